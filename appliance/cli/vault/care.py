"""`appliance vault scrub`, `repair` and `prune`: what the agent does by itself, typed to have it now."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from appliance.backup.vault.maintenance import damage
from appliance.backup.vault.maintenance.damage import Damage
from appliance.backup.vault.maintenance.freeze import why_frozen
from appliance.backup.vault.maintenance.pruning import Pruned, would_be_forgotten, would_go
from appliance.backup.vault.maintenance.repair import repair as repair_holding
from appliance.backup.vault.maintenance.scrub import Budget
from appliance.backup.vault.replicas import replica_names, replica_of
from appliance.backup.vault.sealing.sealer_choice import sealer_of
from appliance.cli.arguments import SERVICE_TYPE, command, dry_run_option
from appliance.cli.output import emit, progress, say, table
from appliance.cli.this_node import this_node
from appliance.errors import WARNINGS, NotFound
from appliance.node.handle import Node
from appliance.units import format_bytes

SHOW_EVERY_SECONDS = 2.0

optional_service = click.argument("service", type=SERVICE_TYPE, required=False)


@click.command()
@optional_service
@dry_run_option
def scrub(service: str | None, dry_run: bool) -> int | None:
    """Read the replicas here again, of SERVICE or of all: signatures and chain, then every file against its hash.

    It continues where the last scrub stopped, to the end of the round; corrupt files are set aside, so that they can be
    replaced. Exits with 1 when anything is damaged, with --dry-run when damage is already known.
    """
    node = this_node()
    found = [(_to_scrub if dry_run else _scrub)(node, name) for name in held_services(node, service)]
    rows = [(it["service"], it["generations"], format_bytes(it["bytes"]), len(it["damage"])) for it in found]
    emit({"services": found}, table(("SERVICE", "GENERATIONS", "WOULD READ" if dry_run else "READ", "DAMAGED"), rows))
    broken = [it["service"] for it in found if it["damage"]]
    for name in broken:
        say(f"Next: {command('vault', 'repair', name)}")
    return WARNINGS if broken else None


@click.command()
@optional_service
@dry_run_option
def repair(service: str | None, dry_run: bool) -> int | None:
    """Replace files known to be corrupt or missing, of SERVICE or of all, by copies from other replica nodes.

    Exits with 1 when something is still damaged.
    """
    node = this_node()
    found: list[dict[str, Any]] = []
    for name in held_services(node, service):
        if dry_run:
            left = damage.known(replica_of(node, name))
            found.append({"service": name, "mended": [], "left": _json(left), "failed": {}})
            continue
        done = repair_holding(node, name)
        left = done.left
        found.append({"service": name, "mended": _json(done.mended), "left": _json(left), "failed": dict(done.failed)})
    rows = [(it["service"], len(it["mended"]), len(it["left"]), _reasons(it["failed"])) for it in found]
    emit({"services": found}, table(("SERVICE", "REPAIRED", "STILL DAMAGED", "COULD NOT HELP"), rows))
    return WARNINGS if any(it["left"] for it in found) else None


@click.command()
@optional_service
@dry_run_option
def prune(service: str | None, dry_run: bool) -> None:
    """Remove the generations, of SERVICE or of all, that retention no longer keeps; none younger than its lock.

    This node decides by its own ageing clock; no other node can request a removal.
    """
    node = this_node()
    found = [_chosen(node, name) if dry_run else sealer_of(node).prune(name) for name in held_services(node, service)]
    rows = [
        (it.service, len(it.dropped), it.headers_removed, format_bytes(it.bytes_removed), it.skipped or "-")
        for it in found
    ]
    emit(
        {"services": [{**vars(it), "dropped": list(it.dropped)} for it in found]},
        table(("SERVICE", "WOULD GO" if dry_run else "LET GO", "HEADERS", "FREED", "SKIPPED"), rows),
    )


def held_services(node: Node, service: str | None = None) -> list[str]:
    """`service`, or all of which something is held here; raise NotFound when nothing of it was ever held."""
    known = list(replica_names(node))
    if service is None:
        return known
    if service not in known:
        raise NotFound(f"this node holds nothing of {service}.", remedy=f"See {command('vault', 'list')}.")
    return [service]


def _to_scrub(node: Node, service: str) -> dict[str, Any]:
    """Return what a whole round would read, and the damage that is known before it."""
    replica = replica_of(node, service)
    return {
        "service": service,
        "generations": len(replica.stored()),
        "blobs": sum(1 for _ in replica.blobs()),
        "bytes": replica.used_bytes(),
        "damage": _json(damage.known(replica)),
    }


def _scrub(node: Node, service: str) -> dict[str, Any]:
    total, sealer = replica_of(node, service).used_bytes(), sealer_of(node)
    generations = blobs = size = 0
    with progress(f"Reading the replica of {service}") as advance:
        while True:
            part = sealer.scrub(service, Budget(seconds_max=SHOW_EVERY_SECONDS))
            generations, blobs, size = generations + part.generations, blobs + part.blobs, size + part.bytes
            if part.finished:
                break
            advance(size, max(total, size + 1))
    return {
        "service": service,
        "generations": generations,
        "blobs": blobs,
        "bytes": size,
        "damage": _json(part.damage),
    }


def _chosen(node: Node, service: str) -> Pruned:
    """Return what pruning would do now."""
    if reason := why_frozen(node, service):
        return Pruned(service, skipped=f"frozen: {reason}")
    replica = replica_of(node, service)
    forgotten = would_be_forgotten(node, service, replica)
    return Pruned(service, would_go(node, service, replica), headers_removed=len(forgotten))


def _json(found: Iterable[Damage]) -> list[dict[str, str]]:
    return [{"kind": it.kind, "name": it.name} for it in found]


def _reasons(failed: dict[str, str]) -> str:
    return "; ".join(f"{peer}: {reason}" for peer, reason in failed.items()) or "-"
