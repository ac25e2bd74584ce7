"""`appliance vault list`, `show` and `replicate`: what is held here for others, and handing it on."""

from __future__ import annotations

import contextlib
from typing import Any

import click

from appliance.backup.peers.conversation import connect
from appliance.backup.peers.fetch import short_name
from appliance.backup.peers.replicate import ask_head
from appliance.backup.peers.replicate import replicate as replicate_to
from appliance.backup.vault.evidence import read_own_receipt, read_stored_header
from appliance.backup.vault.maintenance.act_effects import quota_bytes
from appliance.backup.vault.replicas import replica_of
from appliance.backup.vault.stored import Stored
from appliance.cli.arguments import NAME_TYPE, SERVICE_TYPE, dry_run_option, service_argument
from appliance.cli.output import emit, say, table
from appliance.cli.this_node import this_node
from appliance.cli.vault.care import held_services
from appliance.clock import utc_text
from appliance.config.remember import kept_until
from appliance.errors import ApplianceError
from appliance.node.acts import load_acts
from appliance.node.handle import Node
from appliance.trust.in_force import in_force
from appliance.units import format_bytes, format_count


@click.command("list")
@click.argument("service", type=SERVICE_TYPE, required=False)
def list_(service: str | None) -> None:
    """List the replicas here, or that of SERVICE only: number of generations, the newest, space used."""
    node = this_node()
    found = [_summary(node, name) for name in held_services(node, service)]
    rows = [
        (
            it["label"],
            it["generations"],
            it["newest"] or "-",
            _size(it["used_bytes"]),
            _size(it["quota_bytes"]),
            it["left"] or "-",
        )
        for it in found
    ]
    headings = ("SERVICE", "GENERATIONS", "NEWEST", "USED", "QUOTA", "LEFT")
    leaving = len(headings) if any(it["left"] for it in found) else len(headings) - 1
    text = table(headings[:leaving], [row[:leaving] for row in rows])
    emit({"node": node.name, "services": [{**it, **holds_json(node, it["service"])} for it in found]}, text)


@click.command()
@service_argument
def show(service: str) -> None:
    """Show every generation of SERVICE that this node knows, and whether its files are here."""
    node = this_node()
    held_services(node, service)
    found = [_generation(node, service, item) for item in replica_of(node, service).stored()]
    used, quota = replica_of(node, service).used_bytes(), _quota(node, service)
    # An act names a generation in full: the sides of a fork have one number.
    rows = [
        (short_name(it["name"]), it["state"], it["received"] or "-", _size(it["bytes"]), it["name"]) for it in found
    ]
    shown = table(("GENERATION", "STATE", "RECEIVED", "SIZE", "IN FULL"), rows)
    emit(
        {"service": service, "generations": found, "used_bytes": used, "quota_bytes": quota},
        f"{shown}\n\n{_size(used)} used of {_size(quota)}.",
    )


@click.command()
@service_argument
@click.option("--to", "peer", required=True, type=NAME_TYPE, help="The node that gets the copy.")
@dry_run_option
def replicate(service: str, peer: str, dry_run: bool) -> None:
    """Copy every generation of SERVICE held here to another replica node, still sealed, with the acts in force.

    A spare accepts copies only when a signed act says that a replica node or the origin is lost.
    """
    node = this_node()
    held_services(node, service)
    if dry_run:
        lacking = _lacking(node, service, peer)
        emit(
            {"peer": peer, "taken": [], "lacking": lacking},
            f"{peer} lacks {format_count(len(lacking), 'generation')} of {service}.",
        )
        return
    acts = in_force(load_acts(node.layout.acts, node.bundle), node.clock.now())
    done = replicate_to(node, service, peer, acts, lambda name: say(f"{peer} holds generation {short_name(name)}."))
    took = format_count(len(done.taken), "generation")
    emit(
        {"peer": done.peer, "taken": list(done.taken), "bytes_sent": done.bytes_sent},
        f"{peer} took {took} of {service}, {format_bytes(done.bytes_sent)} sent.",
    )
    say(f"Next, on {peer}: appliance vault show {service}")


def holds_json(node: Node, service: str) -> dict[str, list[str]]:
    """The generations of `service` held here, and those that this node's own rules let go, by their full names."""
    stored = replica_of(node, service).stored()
    return {"held": [it.name for it in stored if it.held], "let_go": [it.name for it in stored if it.pruned]}


def _summary(node: Node, service: str) -> dict[str, Any]:
    held = [item.name for item in replica_of(node, service).listed() if item.held]
    terms = node.bundle.care_terms(service)
    return {
        "service": service,
        "label": terms.service.label if terms else service,
        "generations": len(held),
        "newest": short_name(held[-1]) if held else None,
        "used_bytes": replica_of(node, service).used_bytes(),
        "quota_bytes": _quota(node, service),
        "left": _left(node, service),
    }


def _left(node: Node, service: str) -> str:
    """The note that `service` goes on no more, or elsewhere, and how long this node keeps what it has; "" for other
    ones."""
    if service in node.bundle.territory.services:
        ceased = node.bundle.former.ceased(service, node.name)
        return ceased.goes if ceased else ""
    left = node.bundle.left(service)
    if left is None:
        return "is in no bundle known here; the usual retention applies"
    return f"{left.told}; the last copy is deleted by {utc_text(kept_until(left))[:10]}"


def _generation(node: Node, service: str, item: Stored) -> dict[str, Any]:
    """A header or a receipt that is damaged leaves its field empty; `vault scrub` says what is wrong."""
    replica = replica_of(node, service)
    size = received = None
    with contextlib.suppress(ApplianceError):
        size = read_stored_header(node, replica, item.name).bytes
    with contextlib.suppress(ApplianceError):
        received = read_own_receipt(node, replica, item.name).time
    return {
        "name": item.name,
        "epoch": item.epoch,
        "sequence": item.sequence,
        "held": item.held,
        "state": _state(item),
        "received": received,
        "bytes": size,
    }


def _state(item: Stored) -> str:
    if item.held:
        return "held"
    if item.given_up:
        return "given up"
    return "damaged" if item.damaged else "pruned" if item.pruned else "known only"


def _lacking(node: Node, service: str, peer: str) -> list[str]:
    with connect(node, peer) as conversation:
        there = ask_head(conversation, service)
    return [item.name for item in replica_of(node, service).listed() if item.held and there.lacks(item.name)]


def _quota(node: Node, service: str) -> int | None:
    """None for a service that left the territory, of which nothing new is taken."""
    return quota_bytes(node, node.bundle.terms(service)) if service in node.bundle.territory.services else None


def _size(size_bytes: int | None) -> str:
    return "-" if size_bytes is None else format_bytes(size_bytes)
