"""`appliance territory sign` and `grant`: what only the holder of the territory key can do, away from any node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.cli import territory_text
from appliance.cli.arguments import (
    FILE_TYPE,
    check_folder,
    check_writable,
    dry_run_option,
    naming,
    read_file,
    write_file,
)
from appliance.cli.confirm import confirm
from appliance.cli.output import emit, say
from appliance.clock import SystemClock, utc_text
from appliance.config.collected import merge, read_collected
from appliance.config.draft import Draft, draft
from appliance.config.load import load, territory_file
from appliance.config.placed import with_lines_of
from appliance.errors import WARNINGS, ApplianceError, Refused, UsageError
from appliance.escrow.age import check_recipient
from appliance.trust import signed, sshsig
from appliance.trust.bundle import BYTES_MAX, TYPE, Bundle, make_bundle, read_bundle
from appliance.trust.grant import REQUEST_TYPE, Grant, GrantRequest, read_request
from appliance.trust.granted import Granted
from appliance.trust.keys import load_key, public_line
from appliance.trust.pki import fingerprint_of, read_certificates
from appliance.trust.signed import fingerprint
from appliance.units import as_typed, printable

ROOT_NAME = "pki/root.pem"  # where `appliance pki sign` puts it
RECOVERY_NAME = "recovery.pub"  # where `appliance escrow export` puts it, beside territory.yml
SERIAL_MAX = 2**62  # half of what nodes read, so that there is always a next one
SERIAL_STEP_MAX = 1_000_000
"""No node takes a lower serial ever again: what is further from the last one is asked about."""
key_option = click.option("--key", required=True, metavar="FILE", type=FILE_TYPE, help="The territory's private key.")


@click.command()
@click.argument("plan", metavar="PLAN", type=FILE_TYPE)
@click.option(
    "--keys",
    "key_files",
    multiple=True,
    metavar="FILE|DIR",
    type=FILE_TYPE,
    help="Keys of one node, as `appliance node keys` printed them, or {NODE: {user, keys}} of several; a DIR of such "
    "files. Again for more.",
)
@key_option
@click.option("--serial", type=click.IntRange(1, SERIAL_MAX), help="By default the one after --previous, or 1.")
@click.option(
    "--recovery",
    metavar="age1...|FILE",
    help=f"The recovery key's public half; by default {RECOVERY_NAME} beside PLAN.",
)
@click.option(
    "--previous",
    metavar="BUNDLE",
    type=FILE_TYPE,
    help="The bundle in force: copies stay where they are, and nodes without new keys keep theirs.",
)
@click.option("--out", required=True, metavar="FILE", type=FILE_TYPE, help="Where the signed bundle goes.")
@click.option("--yes", is_flag=True, help="Sign a serial far above the last one without asking.")
@dry_run_option
def sign(
    plan: Path,
    key_files: tuple[Path, ...],
    key: Path,
    serial: int | None,
    recovery: str | None,
    previous: Path | None,
    out: Path,
    yes: bool,
    dry_run: bool,
) -> int | None:
    """Sign PLAN (territory.yml or its folder) with the keys collected from its nodes: the bundle they will live by.

    Ends with 1 when a node has no keys yet or there is no recovery key; the bundle is good, but say so.
    """
    check_writable(out)
    territory_key = load_key(key)
    before = _signed_bundle(previous, territory_key) if previous else None
    collected = merge(read_collected(read_file(file), name=str(file)) for file in _key_files(key_files))
    public = _recovery(recovery, plan)
    with with_lines_of(plan):
        new = draft(load(plan), collected, previous=before, serial=serial, recovery=public, ca=_ca(plan))
    if out.exists():
        _check_follows(out, new, follows=before is not None, public=public_line(territory_key))
    far = _far(new.serial, before.serial if before else 0)
    if not dry_run:
        if far:
            confirm(far, "Sign this serial?", yes=yes, what="such a serial")
        raw = make_bundle(
            territory_key,
            serial=new.serial,
            issued=utc_text(SystemClock().now()),
            territory=new.territory,
            placements=new.placements,
            members=new.members,
            recovery=new.recovery,
            revoked=new.revoked,
            ca=new.ca,
            term=new.term,
            confirmed=new.confirmed,
        )
        write_file(out, raw)
    text = "\n".join(filter(None, (far, _text(new, out, dry_run))))
    emit({**_json(new), "out": str(out), "written": not dry_run}, text)
    if not dry_run:
        say(f"Next, on every node: {as_typed('appliance', 'node', 'accept', str(out))}")
    return WARNINGS if new.without_keys or not new.recovery else None


@click.command()
@click.argument("requests", metavar="REQUEST...", type=FILE_TYPE, nargs=-1, required=True)
@click.option("--bundle", required=True, metavar="FILE", type=FILE_TYPE, help="The bundle in force.")
@key_option
@click.option(
    "--out", required=True, metavar="FILE|DIR", type=FILE_TYPE, help="Where the grant goes; a DIR for several."
)
@click.option("--yes", is_flag=True, help="Sign without asking.")
@dry_run_option
def grant(requests: tuple[Path, ...], bundle: Path, key: Path, out: Path, yes: bool, dry_run: bool) -> None:
    """Grant the next epoch to the node that signed REQUEST, after showing who asks, for what and why.

    From then on only that node can write the service. Be sure that the present writer is gone or has stopped. Of
    several requests each is confirmed, and DIR gets a file SERVICE.grant for each.
    """
    single = len(requests) == 1 and not out.is_dir()
    check_writable(out) if single else check_folder(out)
    territory_key = load_key(key)
    in_force = _signed_bundle(bundle, territory_key)
    asked = _read_requests(requests, in_force)
    granted = Granted(key)
    answers = [granted.grant(territory_key, it, above=in_force.revoked.ended_epoch(it.service)) for it in asked]
    files = [out if single else out / f"{it.service}.grant" for it in answers]
    shown = [_asked(it, answer, in_force) for it, answer in zip(asked, answers, strict=True)]
    if not dry_run:
        for answer, file, words in zip(answers, files, shown, strict=True):
            confirm(words, "Sign this grant?", yes=yes, what="a grant")
            granted.save()
            write_file(file, answer.document.raw)
    values = [_grant_json(answer, file, dry_run) for answer, file in zip(answers, files, strict=True)]
    said = shown if dry_run else [f"{it['out']}: {it['writer']} may write {it['service']}." for it in values]
    emit(values[0] if single else {"grants": values}, "\n".join(said))
    if not dry_run:
        for it in values:
            _say_next(it)


def _key_files(places: Sequence[Path]) -> Iterator[Path]:
    """The files among `places`, and every NODE.json in the folders among them."""
    for place in places:
        yield from sorted(place.glob("*.json")) if place.is_dir() else (place,)


def _signed_bundle(file: Path, key: Ed25519PrivateKey) -> Bundle:
    """The bundle in `file`, which `key` signed."""
    raw = read_file(file)
    with naming(file, "a bundle"):
        signer = sshsig.verify(signed.split(raw, TYPE, bytes_max=BYTES_MAX)[1], TYPE, raw[: raw.find(b"\n") + 1])
        if signer != public_line(key):
            what = f"this is not the key that signed the bundle {file} ({fingerprint(signer)} did)."
            raise Refused(what, where="--key", remedy="Name that one with --key.")
        return read_bundle(raw, signer)


def _check_follows(out: Path, new: Draft, *, follows: bool, public: str) -> None:
    """Refuse to write over the bundle at `out` what does not follow from it: its keys would be in no file any more."""
    try:
        there = read_bundle(read_file(out), public)
    except ApplianceError as error:
        what = "there is a file that is no bundle of this territory key."
        raise Refused(what, where=str(out), remedy="Name a new file with --out.") from error
    if follows and new.serial > there.serial:
        return
    lost = sorted(there.members.keys() - new.members.keys())
    loses = f" that loses keys of: {', '.join(lost)}" if lost else ""
    raise Refused(
        f"bundle {there.serial} is there, and bundle {new.serial}{loses} does not follow from it.",
        where=str(out),
        remedy=f"Add --previous {out}, or name a new file with --out.",
    )


def _far(serial: int, last: int) -> str:
    """What to think of before `serial` is signed after `last`; "" where nothing is far."""
    if serial <= last + SERIAL_STEP_MAX:
        return ""
    return f"Serial {serial} is far above {last}, and no node will ever take a lower one again."


def _grant_json(answer: Grant, file: Path, dry_run: bool) -> dict[str, Any]:
    return {
        "service": answer.service,
        "writer": answer.writer,
        "epoch": answer.epoch,
        "previous": answer.previous,
        "repository": answer.repository,
        "reason": answer.reason,
        "out": str(file),
        "written": not dry_run,
    }


def _say_next(values: Mapping[str, Any]) -> None:
    service = values["service"]
    verb = ("resync", service, "--grant") if values["previous"] else ("accept", service)
    say(f"Next, on {values['writer']}: {as_typed('appliance', 'backup', *verb, values['out'])}")
    if values["previous"]:
        say("Add --paper if that node is a new machine: it has no envelope of its own.")


def _recovery(given: str | None, plan: Path) -> str | None:
    """The public half of the recovery key; None when nothing names one."""
    if given and given.startswith("age1"):
        check_recipient(given)
        return given
    beside = territory_file(plan).with_name(RECOVERY_NAME)
    file = Path(given) if given else beside if beside.exists() else None
    if file is None:
        return None
    line = read_file(file).decode("utf-8", "replace").strip()
    try:
        check_recipient(line)
    except UsageError as error:
        remedy = "It is one line that starts with age1; `appliance escrow export` writes it."
        raise UsageError("this is not the recovery key's public half.", where=str(file), remedy=remedy) from error
    return line


def _ca(plan: Path) -> str:
    """The fingerprint of the root certificate beside PLAN; "" when there is none."""
    file = territory_file(plan).parent / ROOT_NAME
    if not file.exists():
        return ""
    return fingerprint_of(read_certificates(read_file(file), str(file))[0])


def _json(new: Draft) -> dict[str, Any]:
    return {
        "serial": new.serial,
        "territory": new.territory.name,
        "nodes": sorted(new.members),
        "new": list(new.new),
        "replaced": list(new.replaced),
        "gone": list(new.gone),
        "without_keys": list(new.without_keys),
        "recovery": new.recovery,
        "moves": [asdict(move) for move in new.moves],
        "placements": {name: list(placement.holders) for name, placement in sorted(new.placements.items())},
    }


def _text(new: Draft, out: Path, dry_run: bool) -> str:
    what = "would be signed into" if dry_run else "is signed:"
    lines = [f"Bundle {new.serial} of {new.territory.name} {what} {out}", territory_text.moves_text(new.moves)]
    keys = {"New keys": new.new, "Replaced keys": new.replaced, "It loses keys of": new.gone}
    lines += [f"{what}: {', '.join(names)}." for what, names in keys.items() if names]
    if new.without_keys:
        lines.append(f"Without keys, so not taking part yet: {', '.join(new.without_keys)}.")
    if not new.recovery:
        lines.append("There is no recovery key: data whose trusted nodes are all lost could not be read any more.")
    return "\n".join(lines)


def _read_requests(files: Sequence[Path], in_force: Bundle) -> list[GrantRequest]:
    """All of them, before any is answered; two of one service would make two writers of it."""
    asked = [_read_request(file, in_force) for file in files]
    for service, count in Counter(it.service for it in asked).items():
        if count > 1:
            raise UsageError(f"{count} requests are for {service}.", remedy="Give the one that shall be granted.")
    return asked


def _read_request(file: Path, in_force: Bundle) -> GrantRequest:
    """The request, signed by the key that the bundle has for who it says asks."""
    raw = read_file(file)
    with naming(file, "a request for a grant"):
        line, _ = signed.split(raw, REQUEST_TYPE)
        claimed = str(signed.parse(line, REQUEST_TYPE).get("writer"))
        asked = read_request(raw, in_force.member(claimed).keys.sign)
    in_force.terms(asked.service)
    return asked


def _asked(asked: GrantRequest, answer: Grant, in_force: Bundle) -> str:
    terms = in_force.terms(asked.service)
    parts = {terms.origin: "its origin", **dict.fromkeys(terms.standbys, "a standby of it")}
    return "\n".join(
        (
            f"service     {asked.service} ({terms.service.title or terms.service.kind})",
            f"writer      {asked.writer}, {parts.get(asked.writer, 'NEITHER its origin NOR a standby of it')}",
            f"key         {fingerprint(asked.writer_key)}",
            f"epoch       {answer.epoch}, after {asked.known_epoch or 'none'}",
            f"repository  {asked.repository[:16]}...",
            f"reason      {printable(asked.reason)}",
        )
    )
