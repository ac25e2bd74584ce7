"""`appliance node revoke`: take a node's keys back, on the machine of the person who holds the territory's key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from appliance.cli.arguments import FILE_TYPE, NAME_TYPE, check_writable, dry_run_option, naming, read_file, write_file
from appliance.cli.confirm import confirm
from appliance.cli.output import emit, say, table
from appliance.cli.signed_bundle import bundle_to_follow, keep_beside_key, signed_bundle
from appliance.cli.territory.confirm import (
    collected_in,
    confirmed_after,
    confirming_text,
    earlier_option,
    unconfirmed_option,
)
from appliance.clock import SystemClock, utc_text
from appliance.config.confirming import Confirming, former_voters_after, unconfirmed_after
from appliance.errors import Refused, UsageError
from appliance.membership.revoke import Renewal, renewals
from appliance.trust.bundle import Bundle, Member, make_bundle, read_bundle, voter_keys
from appliance.trust.granted import Granted
from appliance.trust.keys import load_key, public_line
from appliance.trust.revocation import Ended, Revocation
from appliance.trust.revocation import revoke as take_back
from appliance.trust.voting import Voting, next_term
from appliance.units import as_typed, format_bytes, format_count, format_duration

PUBLIC = "territory.pub"
BUNDLE = "bundle"
KEYS = "keys"


@click.command()
@click.argument("name", metavar="NODE", type=NAME_TYPE)
@click.option("--reason", required=True, help="The reason, in a sentence: it stays in the bundle for ever.")
@click.option(
    "--territory", "folder", metavar="DIR", default=".", type=FILE_TYPE, help="The folder of territory.yml and bundle."
)
@click.option("--key", metavar="FILE", type=FILE_TYPE, help="The territory's private key; not needed for --dry-run.")
@click.option(
    "--also", multiple=True, metavar="SERVICE", type=NAME_TYPE, help="A service that it could open before this bundle."
)
@click.option(
    "--out", metavar="FILE", type=FILE_TYPE, help="Where to write the signed bundle; by default in its place."
)
@click.option("--yes", is_flag=True, help="Sign without asking.")
@earlier_option
@unconfirmed_option
@dry_run_option
def revoke(
    name: str,
    reason: str,
    folder: Path,
    key: Path | None,
    also: tuple[str, ...],
    out: Path | None,
    yes: bool,
    earlier: tuple[Path, ...],
    unconfirmed: bool,
    dry_run: bool,
) -> None:
    """Revoke the keys of NODE, which was stolen or compromised, in the next signed bundle.

    Each node that accepts the bundle ends the access of NODE: SSH, reading and writing at vaults, the mesh. NODE gets
    no certificate any more. Every service whose key it could know starts over with a new key and a full seeding; the
    command first shows how much that sends, and until when old copies stay readable with the old key. It cannot be
    undone; a new box with new keys may replace NODE.
    """
    now = SystemClock().now()
    before = _in_force(folder / BUNDLE, folder / PUBLIC, key)
    member = before.member(name)
    found = renewals(before, name, now, also)
    target = out or folder / BUNDLE
    shown = {
        "node": name,
        "serial": before.serial + 1,
        "services": [_json(it) for it in found],
        "out": str(target),
        "written": not dry_run,
    }
    if dry_run:
        emit(shown, _text(name, found))
        return
    if key is None:
        raise UsageError("only the territory's key can revoke a node.", remedy="Name it with --key.")
    check_writable(target)
    before, carried = bundle_to_follow(folder / BUNDLE, key)
    revocation = Revocation(name, member.keys, utc_text(now), reason)
    ended = _ended(Granted(key), before.voting, found)
    confirming = confirmed_after(
        before,
        _term(before, name, ended),
        {node: it for node, it in collected_in(_key_folders(folder)).items() if node != name},
        now=now,
        gone=(name,),
        earlier=[signed_bundle(file, load_key(key)) for file in earlier],
        unconfirmed=unconfirmed,
        folder=folder,
    )
    raw = _signed(before, revocation, ended, confirming, key)
    text = "\n".join((*carried, _text(name, found), *confirming_text(confirming)))
    confirm(text, "Revoke its keys for ever?", yes=yes, what="a revocation")
    write_file(target, raw)
    keep_beside_key(key, raw)
    emit(shown, f"{text}\n\nBundle {before.serial + 1} is signed: {target}")
    say(f"Next, on the control machine: ansible-playbook -i {folder} playbooks/revoke_node.yml -e node={name}")
    accept = as_typed("appliance", "node", "accept", str(target))
    say(f"Without one, on every node but {name}: {accept}; as root: appliance internal node apply")


def _key_folders(folder: Path) -> list[Path]:
    return [it for it in (folder / KEYS,) if it.is_dir()]


def _in_force(file: Path, public: Path, key: Path | None) -> Bundle:
    """The bundle in force, of the key `key`, or of the public key beside it."""
    signer = public_line(load_key(key)) if key else " ".join(read_file(public).decode("utf-8", "replace").split()[:2])
    with naming(file, "a bundle"):
        return read_bundle(read_file(file), signer, in_force=True)


def _ended(granted: Granted, voting: Voting, found: Sequence[Renewal]) -> tuple[Ended, ...]:
    """Up to which epoch each service was written with a key that the node could know: all that was ever granted.

    This machine hears of no grant of the voters: all that they could have granted ends.
    """
    if found and not granted.known:
        raise Refused(
            "there is no record of grants beside the key, so the epochs that end are not known.",
            where=str(granted.path),
            remedy="Write it again as {SERVICE: highest epoch granted}; `vault show` on a peer shows them.",
        )
    epochs = ((it.service, max(granted.epoch(it.service), voting.reached)) for it in found)
    return tuple(Ended(service, epoch) for service, epoch in epochs if epoch)


def _without(before: Bundle, name: str) -> dict[str, Member]:
    return {node: member for node, member in before.members.items() if node != name}


def _term(before: Bundle, name: str, ended: Sequence[Ended]) -> int:
    """The voters' term in the bundle without `name`."""
    keys = voter_keys(before.territory, _without(before, name))
    return next_term(before.voting, keys, ended=bool(ended))


def _signed(before: Bundle, revocation: Revocation, ended: Sequence[Ended], confirming: Confirming, key: Path) -> bytes:
    """The bundle in force without the node: nothing else changes, whatever was planned meanwhile."""
    members, term = _without(before, revocation.node), _term(before, revocation.node, ended)
    return make_bundle(
        load_key(key),
        serial=before.serial + 1,
        issued=revocation.since,
        territory=before.territory,
        placements=before.placements,
        members=members,
        recovery=before.recovery,
        revoked=take_back(before.revoked, revocation, ended),
        ca=before.ca,
        term=term,
        confirmed=confirming.digests,
        former=before.former,
        unconfirmed=unconfirmed_after(before, confirming, term),
        former_voters=former_voters_after(before, term, revocation.since),
    )


def _json(it: Renewal) -> dict[str, Any]:
    times = {"all_until": utc_text(it.all_until), "last_until": utc_text(it.last_until)}
    return {**asdict(it), "holders": list(it.holders), "bytes": it.size_bytes * len(it.holders), **times}


def _text(name: str, found: Sequence[Renewal]) -> str:
    if not found:
        return f"{name} could open no service: none starts over."
    rows = [
        (
            it.service,
            it.writer if it.writer != name else f"{name}, once replaced",
            ", ".join(it.holders),
            format_bytes(it.size_bytes * len(it.holders)),
            format_duration(it.seconds),
            utc_text(it.all_until)[:10],
            utc_text(it.last_until)[:10],
        )
        for it in found
    ]
    lines = [
        f"{name} could know the keys of {format_count(len(found), 'service')}. Each starts over, with a new key and "
        "a full seeding:",
        table(("SERVICE", "SENT BY", "TO", "BYTES", "TIME", "OLD COPIES ALL UNTIL", "THE LAST UNTIL"), rows),
        f"Until then the peers keep old copies that {name} could decrypt with a key that it knew; they refuse its "
        "connections.",
        f"Treat what {name} could open as read, personal data included: disk encryption does not stop somebody who "
        "has the whole machine, switched on or off.",
    ]
    lines += [
        f"{it.service}: its quota may be too small for old and new copies together; raise it in territory.yml."
        for it in found
        if it.tight
    ]
    return "\n".join(lines)
