"""A human act: an operator's signed statement (lost, hold, unfreeze, ...) that nodes obey while it is in force.

Signed with `ssh-keygen -Y sign -n appliance/act`, so any SSH key type and hardware keys serve; checked by ssh-keygen
too.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from appliance.clock import utc_seconds
from appliance.errors import IntegrityError, Refused, UsageError
from appliance.host.command import CommandFailed, run
from appliance.trust import signed
from appliance.trust.generation import GENERATION_NAME
from appliance.trust.signed import NAME, Document

TYPE = "appliance/act"
ACTS = ("lost", "quarantine", "hold", "freeze", "unfreeze", "quota", "promote", "continue", "rewind")
PROTECTING = ("quarantine", "hold", "freeze")
"""The acts that only keep somebody from something. Each is signed to begin at once, so a clock by which it has not
begun is behind, as after a power cut on a board whose battery is dead; it counts there too."""
OBEYED_BY_FAILOVER = ("promote", "quarantine", "lost")
TAKEN_BACK = ("quarantine", "lost")
"""The acts that another one of the kind, which ends as it begins, takes back."""
ANY_SERVICE = "any"
BYTES_MAX = 16384
LINE_BYTES_MAX = 8192  # the rest is for the signature, which of the longest RSA key has 6 kB
"""The folder name of a generation: epoch, sequence, and the start of its header's digest, which tells sides apart."""
DIGESTS = re.compile(r"[0-9a-f]{64}( [0-9a-f]{64})*")


@dataclass(frozen=True)
class Operator:
    """A person who may sign acts of the kinds in `may`; `keys` are public key lines."""

    name: str
    keys: tuple[str, ...]
    may: tuple[str, ...]


@dataclass(frozen=True)
class Act:
    """`subject` is a node or a service; `service` narrows it; in force between `start` and `end`, seconds UTC; one of
    PROTECTING from when it is known."""

    act: str
    subject: str
    service: str
    operator: str
    reason: str
    start: float
    end: float
    document: Document
    generation: str = ""
    """The folder name of the one that continues: of `continue` after a fork, of `promote` if it is not the newest."""
    quota_bytes: int = 0
    """For `quota`: the bytes that may be filled; 0 where the act only raises what may come in a day."""
    daily_bytes: int = 0
    """For `quota`: the bytes that may come in a day; 0 where the act does not raise it."""
    taken_back: frozenset[str] = frozenset()
    """For one of TAKEN_BACK that ends as it begins: the SHA-256 of the signed line of each act that it takes back. None
    in an act of an earlier version: see `in_force`."""

    def in_force(self, now: float) -> bool:
        begun = self.start <= now or (self.act in PROTECTING and self.start < self.end)
        return begun and now < self.end

    def concerns(self, act: str, subject: str, service: str, now: float) -> bool:
        """Whether this act says `act` of `subject` for `service` at `now`."""
        return (
            self.act == act
            and self.subject == subject
            and self.service in (ANY_SERVICE, service)
            and self.in_force(now)
        )


def act_line(fields: Mapping[str, str | int]) -> bytes:
    """The line to sign for `fields` (act, subject, service, operator, reason, start, end); raise UsageError or Refused
    for what nobody would accept.

    `continue` has a `generation` too, `promote` may have one, `quota` has `bytes`, `daily` or both, and one of
    TAKEN_BACK that ends as it begins `takes_back`.
    """
    if fields.get("act") not in ACTS:
        raise UsageError(f'"{fields.get("act")}" is not an act; known: {", ".join(ACTS)}.')
    line = signed.body(TYPE, fields)
    if len(line) > LINE_BYTES_MAX:
        raise UsageError(f"this act has {len(line)} bytes, more than {LINE_BYTES_MAX}.", remedy="Shorten the reason.")
    try:
        _act(Document(TYPE, signed.parse(line, TYPE), "", line))
    except IntegrityError as error:
        raise UsageError("no node would accept this act.", remedy=f"({error})") from error
    return line


def make_act(fields: Mapping[str, str | int], key: Path) -> bytes:
    """The signed act of `act_line`, signed by the SSH key at `key`."""
    return sign_as_person(act_line(fields), key, TYPE)


def sign_as_person(line: bytes, key: Path, type_: str) -> bytes:
    """The document of `line`, signed by the SSH key at `key`, which may be on a hardware key or in an agent."""
    argv = ("ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", type_)
    return line + run(argv, timeout_seconds=120, stdin=line, check=True).stdout


def claimed(raw: bytes) -> str:
    """Which act `raw` claims to be, before anything of it is checked."""
    return str(signed.parse(signed.split(raw, TYPE, bytes_max=BYTES_MAX)[0], TYPE).get("act"))


def claim(raw: bytes) -> Act:
    """Return the act in `raw`, before its signature is checked, which takes a process; raise IntegrityError for no
    act."""
    line = signed.split(raw, TYPE, bytes_max=BYTES_MAX)[0]
    return _act(Document(TYPE, signed.parse(line, TYPE), "", raw))


def _generation(document: Document) -> str:
    """The generation that those acts name that do."""
    act = document.fields.get("act")
    named = act == "continue" or (act == "promote" and "generation" in document.fields)
    return document.text("generation", GENERATION_NAME) if named else ""


def _raised(document: Document) -> tuple[int, int]:
    """The bytes and the bytes a day of an act `quota`: one of the two, or both. A former version refuses one without
    `bytes`."""
    if document.fields.get("act") != "quota":
        return 0, 0
    daily = document.number("daily", least=1) if "daily" in document.fields else 0
    return document.number("bytes", least=1) if "bytes" in document.fields or not daily else 0, daily


def _taken_back(document: Document) -> frozenset[str]:
    if document.fields.get("act") not in TAKEN_BACK or "takes_back" not in document.fields:
        return frozenset()
    if _seconds(document, "start") < _seconds(document, "end"):
        raise IntegrityError(f'{TYPE}: only an act that ends when it starts has a field "takes_back".')
    return frozenset(document.text("takes_back", DIGESTS).split(" "))


def read_act(raw: bytes, operators: Collection[Operator]) -> Act:
    """The act in `raw`, signed by an operator who may; raise IntegrityError or Refused otherwise."""
    line, signature = signed.split(raw, TYPE, bytes_max=BYTES_MAX)
    document = Document(TYPE, signed.parse(line, TYPE), "", raw)
    operator = check_operator(operators, document.text("operator", NAME), document.text("act"))
    verify_person(line, signature, operator, TYPE)
    return _act(document)


def _check_narrow(act: str, service: str, generation: str) -> None:
    """A generation exists in one service: all others would be taken from their writers, and opened nowhere."""
    if act == "promote" and generation and service == ANY_SERVICE:
        raise Refused(
            "a promotion for any service cannot name a generation, since each service has its own.",
            remedy="Sign it for one service: --service SERVICE.",
        )


def _act(document: Document) -> Act:
    generation, (quota_bytes, daily_bytes) = _generation(document), _raised(document)
    _check_narrow(document.text("act"), document.text("service", NAME), generation)
    return Act(
        act=document.text("act"),
        subject=document.text("subject", NAME),
        service=document.text("service", NAME),
        operator=document.text("operator", NAME),
        reason=document.text("reason"),
        start=_seconds(document, "start"),
        end=_seconds(document, "end"),
        document=document,
        generation=generation,
        quota_bytes=quota_bytes,
        daily_bytes=daily_bytes,
        taken_back=_taken_back(document),
    )


def check_operator(operators: Collection[Operator], name: str, act: str) -> Operator:
    """The operator `name`; raise Refused, naming those who may, unless it is one who may sign `act`."""
    for it in operators:
        if it.name == name and act in it.may:
            return it
    able = sorted(it.name for it in operators if act in it.may)
    may = f"These persons may: {', '.join(able)}." if able else "No person may: see `people` in territory.yml."
    raise Refused(f'"{name}" may not sign "{act}" in this territory.', remedy=may)


def verify_person(line: bytes, signature: bytes, signer: Operator, type_: str) -> None:
    """Raise IntegrityError unless a key of `signer` signed `line` as a document of `type_`."""
    with tempfile.TemporaryDirectory() as folder:
        allowed = Path(folder) / "allowed_signers"
        allowed.write_text("".join(f"{signer.name} {key}\n" for key in signer.keys))
        signature_file = Path(folder) / "act.sig"
        signature_file.write_bytes(signature)
        argv = (
            "ssh-keygen",
            "-Y",
            "verify",
            "-f",
            str(allowed),
            "-I",
            signer.name,
            "-n",
            type_,
            "-s",
            str(signature_file),
        )
        done = run(argv, timeout_seconds=30, stdin=line)
        if done.exit_code < 0:
            raise CommandFailed(done)  # it was killed, and has judged nothing
        if done.exit_code != 0:
            raise IntegrityError(f"the {type_.partition('/')[2]} is not signed by a key of {signer.name}.")


def _seconds(document: Document, name: str) -> float:
    try:
        return utc_seconds(document.text(name))
    except ValueError as error:
        raise IntegrityError(f'{TYPE}: field "{name}" is not a time such as 2026-11-25T08:00:00Z.') from error
