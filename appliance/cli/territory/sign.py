"""`appliance territory sign`: the next bundle, by the holder of the territory key, away from any node."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from appliance.cli.arguments import FILE_TYPE, NAME_TYPE, check_writable, dry_run_option, read_file, write_file
from appliance.cli.confirm import confirm
from appliance.cli.output import emit, say
from appliance.cli.signed_bundle import bundle_to_follow, keep_beside_key, key_option, signed_bundle
from appliance.cli.territory import text as territory_text
from appliance.cli.territory.again import FOLDER, noted_in, say_again
from appliance.cli.territory.confirm import (
    collected_in,
    confirmed_after,
    confirming_text,
    earlier_option,
    unconfirmed_option,
)
from appliance.cli.typed_again import typed_again
from appliance.clock import SystemClock, utc_text
from appliance.config.confirming import Confirming, former_voters_after, unconfirmed_after
from appliance.config.draft import Draft, draft
from appliance.config.load import load, territory_file
from appliance.config.placement_errors import with_lines_of
from appliance.errors import WARNINGS, ApplianceError, Refused, UsageError
from appliance.escrow.age import check_recipient
from appliance.host.network import known_hosts
from appliance.territory import codec
from appliance.trust.bundle import make_bundle, read_bundle
from appliance.trust.keys import load_key, public_line
from appliance.trust.pki import fingerprint_of, read_certificates
from appliance.units import as_typed

ROOT_NAME = "pki/root.pem"  # where `appliance pki sign` puts it
RECOVERY_NAME = "recovery.pub"  # where `appliance escrow create-key` puts it, beside territory.yml
SERIAL_MAX = 2**62  # half of what nodes read, so that there is always a next one
SERIAL_STEP_MAX = 1_000_000
"""No node takes a lower serial ever again: what is further from the last one is asked about."""


@click.command()
@click.argument("plan", metavar="PLAN", type=FILE_TYPE)
@click.option(
    "--keys",
    "key_files",
    multiple=True,
    metavar="FILE|DIR",
    type=FILE_TYPE,
    help="Keys of one node, as `appliance internal node keys` printed them, or {NODE: {user, keys}} of several; a DIR "
    "of such files. May be repeated.",
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
@click.option("--out", required=True, metavar="FILE", type=FILE_TYPE, help="Where to write the signed bundle.")
@click.option(
    "--forget",
    multiple=True,
    metavar="SERVICE",
    type=NAME_TYPE,
    help="A former service that no node holds any more: drop it from the bundle; may be repeated.",
)
@click.option("--yes", is_flag=True, help="Sign a serial far above the last one without asking.")
@earlier_option
@unconfirmed_option
@dry_run_option
def sign(
    plan: Path,
    key_files: tuple[Path, ...],
    key: Path,
    serial: int | None,
    recovery: str | None,
    previous: Path | None,
    out: Path,
    forget: tuple[str, ...],
    yes: bool,
    earlier: tuple[Path, ...],
    unconfirmed: bool,
    dry_run: bool,
) -> int | None:
    """Sign PLAN (territory.yml or its folder) with the keys collected from its nodes, as their next bundle.

    If this changes the voters, the bundle confirms the grants that former voters signed, as collected with the keys of
    the nodes, so that every service can be granted again. Exits with 1 when a node has no keys yet or there is no
    recovery key; the bundle is valid.
    """
    check_writable(out)
    territory_key = load_key(key)
    before, carried = bundle_to_follow(previous, key) if previous else (None, ())
    collected = collected_in(key_files)
    public, now = _recovery(recovery, plan), SystemClock().now()
    with with_lines_of(plan):
        new = draft(
            load(plan),
            collected,
            now=now,
            previous=before,
            serial=serial,
            recovery=public,
            ca=_ca(plan),
            forget=forget,
        )
    confirming = confirmed_after(
        before,
        new.term,
        collected,
        now=now,
        gone=new.gone,
        earlier=[signed_bundle(file, territory_key) for file in earlier],
        unconfirmed=unconfirmed,
        folder=territory_file(plan).parent,
    )
    if out.exists():
        _check_follows(out, new, follows=before is not None, public=public_line(territory_key))
    far = _far(new.serial, before.serial if before else 0)
    if not dry_run:
        if far:
            confirm(far, "Sign this serial?", yes=yes, what="such a serial")
        raw = make_bundle(
            territory_key,
            serial=new.serial,
            issued=utc_text(now),
            territory=new.territory,
            placements=new.placements,
            members=new.members,
            recovery=new.recovery,
            revoked=new.revoked,
            ca=new.ca,
            term=new.term,
            confirmed=confirming.digests,
            former=new.former,
            unconfirmed=unconfirmed_after(before, confirming, new.term) if before else {},
            former_voters=former_voters_after(before, new.term, utc_text(now)),
        )
        write_file(out, raw)
        keep_beside_key(key, raw)
    text = "\n".join(filter(None, (far, *carried, _text(new, out, dry_run), *confirming_text(confirming))))
    emit({**_json(new, confirming), "out": str(out), "written": not dry_run}, text)
    if not dry_run:
        _say_next(plan, out)
    return WARNINGS if new.without_keys or not new.recovery else None


def _say_next(plan: Path, out: Path) -> None:
    """Playbooks bring a bundle to hosts; the folder of their control machine has the host keys that were compared."""
    folder = territory_file(plan).parent
    if line := noted_in(folder / FOLDER):
        say_again(line)
    elif (folder / known_hosts.FILE_NAME).exists():
        say_again(as_typed("ansible-playbook", "-i", str(plan), "playbooks/site.yml"))
    else:
        say(f"Next, on every node: {as_typed('appliance', 'node', 'accept', str(out))}")


def _check_follows(out: Path, new: Draft, *, follows: bool, public: str) -> None:
    """Refuse to write over the bundle at `out` what does not follow from it: its keys would be in no file any more."""
    try:
        there = read_bundle(read_file(out), public, in_force=True)
    except ApplianceError as error:
        what = "this file is not a bundle of this territory key."
        raise Refused(what, where=str(out), remedy="Name a new file with --out.") from error
    if follows and new.serial > there.serial:
        return
    lost = sorted(there.members.keys() - new.members.keys())
    loses = f" that loses keys of: {', '.join(lost)}" if lost else ""
    raise Refused(
        f"bundle {there.serial} is there, and bundle {new.serial}{loses} does not follow from it.",
        where=str(out),
        remedy=f"Type `{typed_again(previous=out)}`, or name a new file with --out.",
    )


def _far(serial: int, last: int) -> str:
    """The warning before `serial` is signed after `last`; "" where it is not far above."""
    if serial <= last + SERIAL_STEP_MAX:
        return ""
    return f"Serial {serial} is far above {last}, and no node will ever take a lower one again."


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
        remedy = "It is one line that starts with age1; `escrow create-key` writes it."
        raise UsageError("this is not the public half of the recovery key.", where=str(file), remedy=remedy) from error
    return line


def _ca(plan: Path) -> str:
    """The fingerprint of the root certificate beside PLAN; "" when there is none."""
    file = territory_file(plan).parent / ROOT_NAME
    if not file.exists():
        return ""
    return fingerprint_of(read_certificates(read_file(file), str(file))[0])


def _json(new: Draft, confirming: Confirming) -> dict[str, Any]:
    return {
        "serial": new.serial,
        "territory": new.territory.name,
        "nodes": sorted(new.members),
        "new": list(new.new),
        "replaced": list(new.replaced),
        "gone": list(new.gone),
        "without_keys": list(new.without_keys),
        "recovery": new.recovery,
        "confirms": {name: grant.epoch for name, grant in sorted(confirming.newest.items())},
        "unconfirmed": sorted(confirming.unknown),
        "moves": [asdict(move) for move in new.moves],
        "placements": {name: list(placement.holders) for name, placement in sorted(new.placements.items())},
        "left": list(new.left),
        "former": codec.plain(new.former),
        "quotas_held_back": dict(new.held_back),
    }


def _text(new: Draft, out: Path, dry_run: bool) -> str:
    what = "would be signed into" if dry_run else "is signed:"
    lines = [f"Bundle {new.serial} of {new.territory.name} {what} {out}", territory_text.moves_text(new.moves)]
    keys = {"New keys": new.new, "Replaced keys": new.replaced, "Removed keys of": new.gone}
    lines += [f"{what}: {', '.join(names)}." for what, names in keys.items() if names]
    lines.append(territory_text.former_text(new.former))
    lines.append(territory_text.held_back_text(new.territory, new.held_back))
    if new.without_keys:
        lines.append(f"Without keys, so not members yet: {', '.join(new.without_keys)}.")
    if not new.recovery:
        lines.append(
            "There is no recovery key: if all trusted nodes of a service are lost, its data cannot be read any more."
        )
    return "\n".join(filter(None, lines))
