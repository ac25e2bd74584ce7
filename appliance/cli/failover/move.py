"""`appliance failover move`, `handback`, `evacuate`, `pause`: moves that somebody plans, with nothing lost."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

import click

from appliance.cli.arguments import NAME_TYPE, command, dry_run_option, service_argument
from appliance.cli.failover.store import Store, ask
from appliance.cli.output import emit, say
from appliance.cli.renamed import RenamedOption
from appliance.cli.this_node import this_node
from appliance.coordination.port import Intent
from appliance.errors import OK, WARNINGS, ApplianceError, Refused
from appliance.failover.fsm.timers import Timers
from appliance.failover.moving import (
    Plan,
    View,
    check_candidate,
    check_settled,
    check_zone,
    evacuation,
    last_holder_of,
    plan_move,
    staying,
)
from appliance.territory.implicit import is_implicit
from appliance.units import MINUTE, format_duration

LOOK_EVERY_SECONDS = 0.5
timeout_option = click.option(
    "--timeout",
    "timeout_seconds",
    cls=RenamedOption,
    formerly="--within",
    type=click.IntRange(10, 3600),
    default=300,
    show_default=True,
    metavar="SECONDS",
    help="Time limit of the move. It is retried until then; clients wait at most a minute at each try.",
)


@click.command()
@service_argument
@click.argument("to", metavar="NODE", type=NAME_TYPE)
@timeout_option
@dry_run_option
def move(service: str, to: str, timeout_seconds: int, dry_run: bool) -> None:
    """Move SERVICE to NODE: its lease holder backs up, stops and releases the lease, and NODE takes over. Nothing is
    lost.

    Clients wait meanwhile. When the move is not done in time, the error says where the service is served, if that is
    known.
    """
    node = this_node()
    territory = node.bundle.territory
    check_candidate(territory, territory.service(service), to)
    ask(node, lambda store: _move(store, service, to, timeout_seconds, dry_run))


@click.command()
@service_argument
@timeout_option
@dry_run_option
def handback(service: str, timeout_seconds: int, dry_run: bool) -> None:
    """Hand SERVICE back to its origin, once the origin has had all that was written elsewhere for five minutes.

    `move` to the origin does not wait for that, and loses nothing either.
    """
    node = this_node()
    ask(node, lambda store: _hand_back(store, service, timeout_seconds, dry_run))


@click.command()
@click.argument("zone", type=NAME_TYPE)
@timeout_option
@dry_run_option
def evacuate(zone: str, timeout_seconds: int, dry_run: bool) -> int:
    """Move every service held in ZONE to its first candidate outside: before a flood or a power cut.

    All moves are planned before the first begins; if one cannot be planned, none begins, and the error says why. Exits
    with 1 when a service without a lease holder is written in ZONE: it stays, and the reason is printed.
    """
    node = this_node()
    check_zone(node.bundle.territory, zone)
    return ask(node, lambda store: _evacuate(store, zone, timeout_seconds, dry_run))


@click.command()
@service_argument
@click.option(
    "--minutes", type=click.IntRange(1, 60), default=30, show_default=True, help="The pause ends after this time."
)
@click.option("--reason", default="maintenance", show_default=True, help="The reason, which `failover status` shows.")
@click.option("--end", is_flag=True, help="End now the pause that was started at this node.")
@dry_run_option
def pause(service: str, minutes: int, reason: str, end: bool, dry_run: bool) -> None:
    """Suspend automatic takeovers of SERVICE for some minutes, for maintenance. Its lease holder keeps serving."""
    node = this_node()
    node.bundle.territory.service(service)
    if end:
        ask(node, lambda store: _end_pause(store, service, dry_run))
        told = {"service": service, "ended": True, "dry_run": dry_run}
        emit(told, f"The pause of {service} {'would end' if dry_run else 'has ended'}.")
        return
    told = {"service": service, "minutes": minutes, "dry_run": dry_run}
    ask(node, lambda store: _pause(store, service, minutes, reason, dry_run))
    emit(told, f"{service} {'would be' if dry_run else 'is'} paused for {minutes} min.")


async def _pause(store: Store, service: str, minutes: int, reason: str, dry_run: bool) -> None:
    intent = store.intent(service, "pause", "", minutes * MINUTE, reason)
    if not dry_run:
        await store.port.report(intent)


async def _end_pause(store: Store, service: str, dry_run: bool) -> None:
    """Only the node that announced a pause takes it back: a voter's broker refuses any other."""
    intent = (await store.port.read(service)).intent
    if intent is None or intent.kind != "pause":
        raise Refused(f"{service} is not paused.", remedy=f"See: {command('failover', 'status')}")
    if intent.by != store.by:
        raise Refused(f"{service} is paused by {intent.by}.", remedy="End it there, or wait: it ends by itself.")
    if not dry_run:
        await store.port.withdraw(intent)


async def _hand_back(store: Store, service: str, timeout_seconds: int, dry_run: bool) -> None:
    """By the same word of the home as in the night."""
    view = await store.view(service)
    if _is_there(view, view.service.node):
        return
    plan = plan_move(view, view.service.node)
    settle = Timers.of_lease(view.territory.lease_seconds).settle
    check_settled(view, await store.ready(service), settle)
    await _do(store, plan, timeout_seconds, dry_run)


async def _move(store: Store, service: str, to: str, timeout_seconds: int, dry_run: bool) -> None:
    view = await store.view(service)
    if not _is_there(view, to):
        await _do(store, plan_move(view, to), timeout_seconds, dry_run)


def _is_there(view: View, to: str) -> bool:
    """Whether `to` holds the lease already, which is then said: a line that is typed twice, or a move that happened by
    itself meanwhile, is no failure."""
    is_there = view.holder == to
    if is_there:
        name = view.service.name
        emit({"service": name, "to": to, "moved": False}, f"{to} already holds the lease of {name}: nothing moves.")
        say(f"Next: {command('failover', 'status')}")
    return is_there


async def _do(store: Store, plan: Plan, timeout_seconds: int, dry_run: bool) -> None:
    intent = _intent(store, plan, timeout_seconds)
    if dry_run:
        emit({**asdict(plan), "dry_run": True}, text_of(plan))
        return
    seconds = await _carry_out(store, plan, intent)
    told = {**asdict(plan), "seconds": round(seconds, 1)}
    emit(told, f"{plan.to} writes {plan.service}, {format_duration(seconds)} after the move started.")
    say(f"Next: {command('failover', 'status')}")


async def _evacuate(store: Store, zone: str, timeout_seconds: int, dry_run: bool) -> int:
    territory = store.node.bundle.territory
    services = [name for name, it in territory.services.items() if not is_implicit(it)]
    views: list[View] = [await store.view(name) for name in sorted(services)]
    plans, stays = evacuation(territory, zone, views), staying(territory, zone, views)
    moves, intents = [asdict(plan) for plan in plans], [_intent(store, plan, timeout_seconds) for plan in plans]
    if not dry_run:
        for plan, intent, told in zip(plans, intents, moves, strict=True):
            told["seconds"] = round(await _carry_out(store, plan, intent), 1)
            took = format_duration(told["seconds"])
            say(f"{plan.service} has moved from {plan.origin} to {plan.to} in {took}.")
    text = "\n\n".join(map(text_of, plans)) if dry_run else f"{len(plans)} services have left {zone}."
    left = [f"{name} stays: {why}." for name, why in stays.items()]
    found = {"zone": zone, "moves": moves, "stays": dict(stays), **({"dry_run": True} if dry_run else {})}
    emit(found, "\n".join([text if plans else f"No node in {zone} holds a service.", *left]))
    return WARNINGS if stays else OK


def _intent(store: Store, plan: Plan, timeout_seconds: int) -> Intent:
    return store.intent(plan.service, "move", plan.to, timeout_seconds, "a planned move")


async def _carry_out(store: Store, plan: Plan, intent: Intent) -> float:
    """Announce the move and wait until it is done; take it back, and raise Refused, when it is not in time."""
    clock, timeout_seconds = store.node.clock, intent.ttl_seconds
    begun = clock.boottime()
    await store.port.report(intent)
    say(f"{plan.origin} is handing {plan.service} over to {plan.to}.")
    try:
        while not await _is_at(store, plan):
            if clock.boottime() > begun + timeout_seconds:
                raise await _late(store, plan, timeout_seconds)
            await asyncio.sleep(LOOK_EVERY_SECONDS)
        return clock.boottime() - begun
    finally:
        await _withdraw(store, intent)


async def _late(store: Store, plan: Plan, timeout_seconds: int) -> Refused:
    """Why it ends here, with what is seen now: it may have left its holder and not have come anywhere."""
    try:
        record = await store.port.read(plan.service)
        holder = record.holder.node if record.holder else ""
        seen = last_holder_of(plan.service, holder, await store.served_at(plan.service))
    except ApplianceError as error:
        seen = f"it is not known where it is served now: {error.what}"
    return Refused(
        f"{plan.service} was not moved to {plan.to} within {timeout_seconds} s; {seen.rstrip('.')}.",
        remedy=f"See why: `{command('failover', 'status')}` at {plan.origin} and at {plan.to}.",
    )


async def _is_at(store: Store, plan: Plan) -> bool:
    record = await store.port.read(plan.service)
    if record.holder is None or record.holder.node != plan.to:
        return False
    return await store.served_at(plan.service) == plan.to


async def _withdraw(store: Store, intent: Intent) -> None:
    await store.port.withdraw(intent)


def text_of(plan: Plan) -> str:
    steps = [f"  {number}. {step}" for number, step in enumerate(plan.steps, 1)]
    moves = f"{plan.service} moves from {plan.origin} to {plan.to}:"
    return "\n".join((moves, *steps, f"Lost: nothing (RPO {plan.rpo_seconds} s).", _waits(plan)))


def _waits(plan: Plan) -> str:
    if plan.rto_seconds is not None:
        return f"Clients wait for the last backup and about {plan.rto_seconds} s (RTO)."
    return (
        "Clients wait until its dump is made, sent and loaded; this grows with the database and was never measured "
        f"(RTO). If it takes more than a minute, {plan.origin} keeps serving it."
    )
