"""`appliance vault`: what this node holds for others. Nothing here removes a generation but thinning, by its rule."""

from __future__ import annotations

from typing import Any

import click

from appliance.backup.fetch import short_name
from appliance.backup.node import Node
from appliance.backup.peers import connect
from appliance.backup.replicate import replicate as replicate_to
from appliance.backup.targets import load_acts
from appliance.backup.vault.store import HEADER, RECEIPT, Stored
from appliance.cli.arguments import NAME_TYPE, command, dry_run_option, service_argument
from appliance.cli.output import emit, say, table
from appliance.cli.this_node import this_node
from appliance.errors import NotFound
from appliance.trust.generation import epoch_of, read_header
from appliance.trust.grant import read_grant
from appliance.trust.receipt import read_receipt
from appliance.units import format_bytes


@click.group()
def vault() -> None:
    """What this node holds for others, sealed and, unless it is a standby, unreadable here."""


@vault.command("list")
@click.argument("service", type=NAME_TYPE, required=False)
def list_(service: str | None) -> None:
    """List the services held here, or SERVICE only: how many generations, the newest, the room they take."""
    node = this_node()
    names = [_known(node, service)] if service else _services(node)
    found = [_summary(node, name) for name in names]
    rows = [
        (it["service"], it["generations"], it["newest"] or "-", *_room(it["used_bytes"], it["quota_bytes"]))
        for it in found
    ]
    emit({"services": found}, table(("SERVICE", "GENERATIONS", "NEWEST", "USED", "QUOTA"), rows))


@vault.command()
@service_argument
def show(service: str) -> None:
    """Show every generation of SERVICE that this node knows, and whether its files are here."""
    node = this_node()
    _known(node, service)
    found = [_generation(node, service, item) for item in node.holding(service).stored()]
    used, quota = node.holding(service).used_bytes(), node.bundle.terms(service).quota_bytes
    rows = [
        (
            short_name(it["name"]),
            "held" if it["held"] else "thinned out",
            it["received"] or "-",
            format_bytes(it["bytes"]),
        )
        for it in found
    ]
    emit(
        {"service": service, "generations": found, "used_bytes": used, "quota_bytes": quota},
        f"{table(('GENERATION', 'STATE', 'RECEIVED', 'SIZE'), rows)}\n\n{' used of '.join(_room(used, quota))}",
    )


@vault.command()
@service_argument
@click.option("--to", "peer", required=True, type=NAME_TYPE, help="The node that shall hold it too.")
@dry_run_option
def replicate(service: str, peer: str, dry_run: bool) -> None:
    """Hand every generation of SERVICE held here on to another holder, still sealed; the acts in force go along.

    A spare takes copies only when a signed act says that a holder or the origin is lost.
    """
    node = this_node()
    _known(node, service)
    if dry_run:
        lacking = _lacking(node, service, peer)
        emit({"peer": peer, "taken": [], "lacking": lacking}, f"{peer} lacks {len(lacking)} generations of {service}.")
        return
    now = node.clock.now()
    acts = [act for act in load_acts(node.layout.acts, node.bundle) if act.in_force(now)]
    done = replicate_to(node, service, peer, acts, lambda name: say(f"{peer} holds generation {short_name(name)}."))
    emit(
        {"peer": done.peer, "taken": list(done.taken), "bytes_sent": done.bytes_sent},
        f"{peer} took {len(done.taken)} generations of {service}, {format_bytes(done.bytes_sent)} sent.",
    )
    say(f"Next, on {peer}: {command('vault', 'show', service)}")


def _services(node: Node) -> list[str]:
    folder = node.layout.vault
    return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.exists() else []


def _known(node: Node, service: str) -> str:
    """`service`; raise NotFound when nothing of it was ever held here."""
    if not node.holding(service).generations.exists():
        raise NotFound(f"this node holds nothing of {service}.", remedy=f"See {command('vault', 'list')}.")
    return service


def _summary(node: Node, service: str) -> dict[str, Any]:
    held = [item.name for item in node.holding(service).stored() if item.held]
    return {
        "service": service,
        "generations": len(held),
        "newest": short_name(held[-1]) if held else None,
        "used_bytes": node.holding(service).used_bytes(),
        "quota_bytes": node.bundle.terms(service).quota_bytes,
    }


def _generation(node: Node, service: str, item: Stored) -> dict[str, Any]:
    holding = node.holding(service)
    raw = holding.read(item.name, HEADER)
    grant = read_grant(holding.grant(epoch_of(raw)), node.bundle.territory_key)
    own_key = node.bundle.member(node.name).keys.sign
    received = read_receipt(holding.read(item.name, RECEIPT), own_key).time if item.held else None
    return {
        "name": item.name,
        "epoch": item.epoch,
        "sequence": item.sequence,
        "held": item.held,
        "received": received,
        "bytes": read_header(raw, grant.writer_key).bytes,
    }


def _lacking(node: Node, service: str, peer: str) -> list[str]:
    with connect(node, peer) as conversation:
        there = set(conversation.head(service).held)
    return [item.name for item in node.holding(service).stored() if item.held and item.name not in there]


def _room(used_bytes: int, quota_bytes: int) -> tuple[str, str]:
    return format_bytes(used_bytes), format_bytes(quota_bytes)
