"""What happened to a service in a run, as JSON lines, and whether it was as promised. Pure: a file can be judged again.

    {"t_boottime": 12.5, "wall": 1800000012.5, "node": "commune-a", "boot_id": "…", "svc": "docs-a", "epoch": 3,
     "event": "writer-start", …}

Every line has these; `epoch` is 0 where none is meant. Agents, storage peers, clients and whoever injects faults each
write lines of their own; put together in any order they are one history. The events and what else they carry:

    begin           policy home ttl stop epsilon grace cooldown rto expects   once: what the run is judged by
    state           state row                                 a node changed its state, by that row of the table
    writer-start [took]  writer-stop address-add address-del   the service's programs, which `took` so many seconds to
                                                              start, and its address, at `node`
    renewal-proven  sent ttl [lease]                          at the holder
    holder-deleted  holder cause(expired released deposed) [lease]   as a node hears it from the voters, maybe late
    takeover-asked takeover-won  by(vacancy release act)      by the voters' transaction; `epoch` where it is known then
    granted                                                   a majority of brokers signed `epoch` for this node
    proof-of-death  of kind(release act witness)
    received        writer n accepted                         at a storage peer: a write that arrived
    op              type(invoke ok fail info) f(add read) value server lan    `node` is the client; info: not known
    branch          values                                    kept apart at `node`
    fault heal      fault target                              freeze and kill of a node matter to the checks
    handover        to                                        a planned move began
    healed          every fault is healed, and everybody may reach everybody
    end             holder owner states                       nothing comes after it

A run in which nothing happened proves nothing: it is *unknown*. Times of machines that do not share a boot id cannot be
compared; what needs that is then unknown too.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from appliance.errors import UsageError

Verdict = Literal["held", "violated", "unknown"]
WORST_FIRST: tuple[Verdict, ...] = ("violated", "unknown", "held")
EVENTS = {
    "begin": ("policy", "home"),
    "state": ("state", "row"),
    "writer-start": (),
    "writer-stop": (),
    "address-add": (),
    "address-del": (),
    "renewal-proven": ("sent", "ttl"),
    "holder-deleted": ("holder", "cause"),
    "takeover-asked": ("by",),
    "takeover-won": ("by",),
    "granted": (),
    "proof-of-death": ("of", "kind"),
    "received": ("writer", "n", "accepted"),
    "op": ("type", "f"),
    "branch": ("values",),
    "fault": ("fault", "target"),
    "heal": ("fault", "target"),
    "handover": ("to",),
    "healed": (),
    "end": ("holder", "owner", "states"),
}


@dataclass(frozen=True)
class Event:
    """One line; `line` is its number in the file, for whoever looks it up."""

    line: int
    t: float
    node: str
    boot_id: str
    service: str
    epoch: int
    event: str
    more: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.more[name]

    def get(self, name: str, default: Any = "") -> Any:
        return self.more.get(name, default)


@dataclass(frozen=True)
class Finding:
    """What one invariant says of a history; `lines` are those that show it."""

    name: str
    verdict: Verdict
    sentence: str
    lines: tuple[int, ...] = ()


@dataclass(frozen=True)
class Report:
    service: str
    findings: tuple[Finding, ...]
    sometimes: Mapping[str, int]

    @property
    def verdict(self) -> Verdict:
        said = {it.verdict for it in self.findings}
        return next((it for it in WORST_FIRST if it in said), "unknown")


@dataclass(frozen=True)
class History:
    """The events of one service by time; those of one moment in the order of the file."""

    events: tuple[Event, ...]

    def all(self, *names: str) -> list[Event]:
        return [it for name in names for it in self._by_event.get(name, [])]

    @cached_property
    def _by_event(self) -> Mapping[str, list[Event]]:
        found: dict[str, list[Event]] = {}
        for event in self.events:
            found.setdefault(event.event, []).append(event)
        return found

    @cached_property
    def begin(self) -> Event:
        return self.all("begin")[0]

    @property
    def policy(self) -> str:
        return str(self.begin["policy"])

    @property
    def home(self) -> str:
        return str(self.begin["home"])

    def number(self, name: str, default: float) -> float:
        """A figure by which the run is judged."""
        return float(self.begin.get(name, default))

    @cached_property
    def one_clock(self) -> bool:
        return len({it.boot_id for it in self.events}) == 1

    @property
    def last(self) -> float:
        return self.events[-1].t

    def binds(self, node: str) -> bool:
        """Whether the policy binds `node` to a lease."""
        return self.policy == "exclusive" or node != self.home


type Check = Callable[[History], Finding]


def read(lines: Iterable[str], where: str = "history") -> tuple[History, ...]:
    """The histories in a file, one a service, in the order in which they begin.

    Raise UsageError for a line that is none, with its number: a history that is judged in part would prove nothing.
    """
    found: dict[str, list[Event]] = {}
    for number, line in enumerate(lines, 1):
        if line.strip():
            event = _event(line, number, where)
            found.setdefault(event.service, []).append(event)
    if not found:
        raise UsageError("this is an empty history.", where=where, remedy="Give the file that a run wrote.")
    for service, events in found.items():
        begins = sum(it.event == "begin" for it in events)
        if begins != 1:
            remedy = "It says by which policy and times it is judged."
            raise UsageError(
                f'{service} has {begins} lines with the event "begin", not one.', where=where, remedy=remedy
            )
    return tuple(History(tuple(sorted(events, key=lambda it: it.t))) for events in found.values())


def _event(line: str, number: int, where: str) -> Event:
    place = f"{where}:{number}"
    try:
        values = json.loads(line)
        fixed: dict[str, Any] = {
            "t": float(values.pop("t_boottime")),
            "node": str(values.pop("node")),
            "boot_id": str(values.pop("boot_id")),
            "service": str(values.pop("svc")),
            "epoch": int(values.pop("epoch")),
            "event": str(values.pop("event")),
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        remedy = "Each line is a JSON object with t_boottime, wall, node, boot_id, svc, epoch and event."
        raise UsageError(f"this is no line of a history ({error}).", where=place, remedy=remedy) from error
    if fixed["event"] not in EVENTS:
        raise UsageError(f'unknown event "{fixed["event"]}"; known: {", ".join(EVENTS)}.', where=place)
    missing = [name for name in EVENTS[fixed["event"]] if name not in values]
    if missing or not math.isfinite(fixed["t"]):
        raise UsageError(f'"{fixed["event"]}" lacks {", ".join(missing) or "a time"}.', where=place)
    return Event(line=number, more=values, **fixed)


def line(moment: tuple[float, float, str], node: str, service: str, epoch: int, event: str, **more: object) -> str:
    """One line for a history, without its end. `moment`: CLOCK_BOOTTIME, wall time and boot id of who writes.

    Raise UsageError for an event or a lack of something that `read` would refuse: found when it is written, not judged.
    """
    boottime, wall, boot_id = moment
    fixed = {"t_boottime": round(boottime, 3), "wall": round(wall, 3), "node": node, "boot_id": boot_id}
    text = json.dumps({**fixed, "svc": service, "epoch": epoch, "event": event, **more}, ensure_ascii=False)
    _event(text, 0, node)
    return text


def check(history: History, checks: Sequence[Check]) -> Report:
    """What `checks` say of `history`, and how often what it was made for came about."""
    sometimes = count_sometimes(history)
    findings = [*(each(history) for each in checks), _something_happened(history, sometimes)]
    return Report(history.begin.service, tuple(findings), sometimes)


def count_sometimes(history: History) -> Mapping[str, int]:
    """How often each thing came about without which a run proves little."""
    won = history.all("takeover-won")
    rows = [it["row"] for it in history.all("state")]
    return {
        "acknowledged": sum(it["type"] == "ok" and it["f"] == "add" for it in history.all("op")),
        "disturbed": len(history.all("fault", "handover", "proof-of-death")),
        "takeover": max(0, len(won) - 1),
        "handover": len(history.all("handover")),
        "refusal": sum(not it["accepted"] for it in history.all("received")),
        "demotion": sum(row in ("deadline", "lost") for row in rows),
        "alone": sum(row == "alone" for row in rows),
        "resume": sum(row == "ro-isolated.resume" for row in rows),
        "divergence": sum(row.endswith(".diverged") for row in rows),
        "copy": sum(row == "grace.copy" for row in rows),
    }


def _something_happened(history: History, sometimes: Mapping[str, int]) -> Finding:
    expected = ("acknowledged", "disturbed", *history.begin.get("expects", ()))
    missing = [name for name in expected if not sometimes.get(name)]
    if missing:
        return Finding(
            "sometimes", "unknown", f"never came about, so this run proves nothing of it: {', '.join(missing)}."
        )
    return Finding("sometimes", "held", f"came about: {', '.join(expected)}.")
