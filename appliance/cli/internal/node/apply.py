"""`appliance internal node apply`: make this host what its bundle says. Only root can."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import click

from appliance.cli.arguments import FILE_TYPE, dry_run_option, read_file
from appliance.cli.caller import caller_address
from appliance.cli.output import emit, say
from appliance.cli.this_layout import layout_as_root
from appliance.errors import OK, UsageError
from appliance.provision import firewall
from appliance.provision.apply import THIS_HOST, Outcome, one_at_a_time
from appliance.provision.apply import apply as apply_parts
from appliance.provision.files import PARTS, Part
from appliance.provision.observe import Declared, declared, networks
from appliance.provision.plan import wanted
from appliance.trust.bundle import Bundle
from appliance.trust.root_bundle import territory_for_root


@click.command()
@click.option("parts", "--part", type=click.Choice(PARTS), multiple=True, help="Only this part; may be repeated.")
@click.option("--operators", metavar="FILE", type=FILE_TYPE, help=f"Store this file as {firewall.OPERATORS}.")
@click.option("--enable", is_flag=True, help="Enable the units of these parts: run them now and at each boot.")
@dry_run_option
def apply(parts: tuple[str, ...], operators: Path | None, enable: bool, dry_run: bool) -> int:
    """Configure this host as its bundle says: names, firewall, mesh, accounts of vaults, voter, exporters.

    Only what differs is written, after a check, and only what changed is loaded again. A part that fails is left
    unchanged, and the others go on. Firewall rules that would lock out the SSH session that applies them are refused.

    On a host, a bundle older than one that root already applied is refused.
    """
    names = parts or PARTS
    text = _operators(operators, names) if operators else ""
    with one_at_a_time(THIS_HOST):
        identity, bundle = territory_for_root(layout_as_root(), dry_run=dry_run)
        here = declared(THIS_HOST.root)
        if operators:
            here = replace(here, operators=networks(text))
        found = wanted(bundle, identity.name, here, names)
        if operators:
            found = tuple(firewall.keeping(it, text) if it.name == "firewall" else it for it in found)
        if "firewall" in names:
            _check_not_locked_out(bundle, identity.name, here)
        outcome = apply_parts(found, THIS_HOST, enable=enable, dry_run=dry_run)
    _report(identity.name, bundle.serial, found, outcome, dry_run)
    for name, error in list(outcome.failures.items())[:-1]:
        say(f"{name}: {error}")
    if outcome.failures:
        raise list(outcome.failures.values())[-1]
    return OK


def _operators(file: Path, names: Iterable[str]) -> str:
    if "firewall" not in names:
        raise UsageError("only the firewall uses operators.", where="--operators", remedy="Add --part firewall.")
    return read_file(file).decode("utf-8", "replace")


def _check_not_locked_out(bundle: Bundle, name: str, here: Declared) -> None:
    if client := caller_address():
        firewall.check_admits(firewall.open_ports(bundle, name, here.operators), client)


def _report(name: str, serial: int, parts: tuple[Part, ...], outcome: Outcome, dry_run: bool) -> None:
    changed = {part: changes.changed for part, changes in outcome.changes.items()}
    reloads = [" ".join(argv) for changes in outcome.changes.values() for argv in changes.reloads]
    paths = [path for of_part in changed.values() for path in of_part]
    warnings = [warning for part in parts for warning in part.warnings]
    data = {
        "node": name,
        "serial": serial,
        "dry_run": dry_run,
        "changed": paths,
        "by_part": changed,
        "reloaded": reloads,
        "failed": {part: str(error) for part, error in outcome.failures.items()},
        "warnings": warnings,
    }
    for warning in warnings:
        say(f"warning: {warning}")
    verb = "would be changed" if dry_run else "changed"
    lines = [*(f"{verb}: {path}" for path in paths), *(f"{'to load' if dry_run else 'loaded'}: {it}" for it in reloads)]
    nothing = "Nothing was changed." if outcome.failures else f"{name} matches bundle {serial}; nothing to change."
    emit(data, "\n".join(lines) or nothing)
