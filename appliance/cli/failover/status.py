"""`appliance failover status` and `history`: who holds what, how this node stands, and what happened."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import click

from appliance.agent.observe import now_of
from appliance.branches.store import waiting
from appliance.cli.arguments import command, service_argument
from appliance.cli.failover.store import Store, ask
from appliance.cli.output import emit, say, table
from appliance.cli.this_node import this_node
from appliance.coordination.port import Moved
from appliance.errors import WARNINGS, ApplianceError
from appliance.failover.status import see_program
from appliance.monitor.failover import silent_reason
from appliance.node.failover_status import load_of_boot
from appliance.node.handle import Node
from appliance.territory.implicit import is_implicit

WATCH_EVERY_SECONDS = 1.0
SHOWN = ("holder", "writer", "epoch", "intent")


@click.command()
@click.option("--watch", is_flag=True, help="Refresh every second, until interrupted.")
def status(watch: bool) -> int | None:
    """Show the lease holder and the writer of each service, and the state of failover on this node.

    Exits with 1 when no majority of the voters answers, the program that runs services is not running here, something
    here is in trouble, or a branch waits for a decision.
    """
    node = this_node()
    while True:
        found = look(node)
        emit({"node": node.name, **found}, text_of(found))
        if not watch:
            troubled = (
                found["voters"] or found["program"] or any(it["trouble"] or it["branches"] for it in found["services"])
            )
            return WARNINGS if troubled else None
        time.sleep(WATCH_EVERY_SECONDS)


@click.command()
@service_argument
@click.option(
    "--last", type=click.IntRange(1, 500), default=20, show_default=True, help="The number of changes to list."
)
def history(service: str, last: int) -> None:
    """List the takeovers and releases of SERVICE that the voters recorded, newest first."""
    node = this_node()
    node.bundle.territory.service(service)
    moved = ask(node, lambda store: store.port.history(service, entries_max=last))
    entries = [
        {"time": it.time, "node": it.node, "released": it.released, "reason": it.reason, "revision": it.revision}
        for it in moved
    ]
    emit({"service": service, "history": entries}, text_of_moves(service, moved))
    say(f"Full log of failover on this node: {node.layout.failover_history}")


def look(node: Node) -> dict[str, Any]:
    """Return what is known here and at the voters; `voters` is why those do not answer, `program` that nothing runs
    services here, "" where all is well."""
    services = sorted(name for name, it in node.bundle.territory.services.items() if not is_implicit(it))
    try:
        known, why = ask(node, lambda store: _known(store, services)), ""
    except ApplianceError as error:
        known, why = {}, str(error)
    silent = silent_reason(see_program(node), now_of(node))
    program = f"{silent.sentence} {silent.remedy}" if silent else ""
    rows = [_row(node, name, known.get(name, {})) for name in services]
    return {"voters": why, "program": program, "services": rows}


async def _known(store: Store, services: list[str]) -> dict[str, dict[str, Any]]:
    found = {}
    for name in services:
        record, granted = await store.port.read(name), await store.granted(name)
        intent = record.intent
        found[name] = {
            "holder": record.holder.node if record.holder else "",
            "owner": record.owner.node if record.owner else "",
            "released": bool(record.owner and record.owner.released),
            "intent": f"{intent.kind} {intent.to}".strip() if intent else "",
            "intent_by": intent.by if intent else "",
            "intent_reason": intent.reason if intent else "",
            "writer": granted.writer if granted else "",
            "epoch": granted.epoch if granted else 0,
        }
    return found


def _row(node: Node, service: str, known: dict[str, Any]) -> dict[str, Any]:
    here = load_of_boot(node.layout.failover, service, node.clock.boot_id())
    plan = node.bundle.territory.service(service)
    kept = [it.epoch for it in waiting(node.layout, service)]
    return {
        "service": service,
        "policy": plan.policy,
        **known,
        "state": here.state if here else "",
        "reason": here.reason if here else "",
        "trouble": dict(here.trouble) if here else {},
        "branches": kept,
    }


def text_of_moves(service: str, moved: Sequence[Moved]) -> str:
    rows = [(it.time, it.node, "let go" if it.released else "took it", it.reason, it.revision) for it in moved]
    return table(("TIME", "NODE", "WHAT", "WHY", "REVISION"), rows) if rows else f"{service} was never taken over."


def text_of(found: dict[str, Any]) -> str:
    headings = ("SERVICE", "POLICY", "HOLDER", "WRITER", "EPOCH", "INTENT", "HERE")
    rows = [
        (it["service"], it["policy"], *(str(it.get(name, "?")) for name in SHOWN), it["state"] or "-")
        for it in found["services"]
    ]
    lines = [table(headings, rows)]
    lines += [f"No majority of the voters answers: {found['voters']}"] if found["voters"] else []
    lines += [found["program"]] if found["program"] else []
    lines += [
        f"{it['service']}: {it['intent']}, announced by {it['intent_by']}: {it['intent_reason']}"
        for it in found["services"]
        if it.get("intent")
    ]
    lines += [f"{it['service']}: {it['reason']}" for it in found["services"] if it["reason"]]
    lines += [f"{it['service']}: {what}: {why}" for it in found["services"] for what, why in it["trouble"].items()]
    lines += [
        f"{it['service']}: a branch written here alone under epoch {epoch} waits for a merge: "
        f"{command('failover', 'merge', it['service'], '--branch', str(epoch), '--dry-run')}"
        for it in found["services"]
        for epoch in it["branches"]
    ]
    return "\n".join(lines)
