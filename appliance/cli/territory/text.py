"""A territory, its plan and its survivability as text and as JSON values; pure, the command only prints them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from appliance.backup.chain.growth import day_of_refusal, quota_that_lasts, refuses
from appliance.cli.output import table
from appliance.clock import utc_text
from appliance.config.remember import kept_until
from appliance.territory.change import Move
from appliance.territory.model import Node, Placement, Schedule, Service, Territory
from appliance.territory.outcomes import Outcome
from appliance.territory.room import NOTHING_KEPT, Kept, asked_of_others
from appliance.territory.survival import Verdict, planned_only
from appliance.territory.voters import COUNTS, Voters
from appliance.trust.former import Former
from appliance.units import as_typed, format_bytes, format_count, format_duration, printable

SPARES_SHOWN = 3
GONE_TOLD_MAX = 3
BALANCE = ("NODE", "OFFERS", "HOLDS", "NEEDS OF OTHERS", "HELD OF REMOVED SERVICES")
SURVIVAL = ("EVENT", "SURVIVE", "LEAST", "GONE", "AS PLANNED")
# A row each would be hundreds of lines that all say the same; those that fail are always named.
SUMMED = {"node": "each node lost", "pair": "each pair of nodes lost"}


def checked_text(name: str, territory: Territory, outcomes: Sequence[Outcome]) -> str:
    """The text of `check` for a file without mistakes."""
    things = ((territory.sites, "site"), (territory.nodes, "node"), (territory.services, "service"))
    counts = ", ".join(format_count(len(found), thing) for found, thing in things)
    lines = [f"{name}: {counts}. No mistakes, and every copy has a place."]
    if not any(person.may and person.keys for person in territory.people.values()):
        lines.append(
            "Warning: no person in `people` who may sign acts has a key, so no loss can be signed. Add `keys`."
        )
    lines += _planned_only(territory)
    taking = [it for it in outcomes if it.lost]
    if not taking:
        return "\n".join([*lines, f"Every service survives each of the {len(outcomes)} events."])
    lines.append(f"Not everything survives each of the {len(outcomes)} events:")
    for event, gone in ((it.loss.event, it.lost) for it in taking):
        if len(gone) > GONE_TOLD_MAX:
            lines.append(
                f"  {event}: {len(gone)} of {len(territory.services)} services are lost, such as {gone[0].service}:"
            )
            lines.append(f"    {gone[0].why}")
        else:
            lines += [f"  {event}: {it.service} is lost. {it.why}" for it in gone]
    return "\n".join(lines)


def stale_text(schema: Path) -> str:
    return (
        f"{printable(str(schema))} is not the schema of this version, so an editor checks the file by other rules. "
        f"Write it again: `appliance territory schema >{as_typed(str(schema))}`."
    )


def short_quotas(territory: Territory, places: Mapping[str, str]) -> list[dict[str, Any]]:
    """The quotas at which holders will have to refuse one day, at the declared change; `places` by service."""
    return [
        {
            "service": name,
            "where": places.get(name, name),
            "quota_bytes": territory.services[name].quota_bytes,
            "lasts_days": day,
            "would_do_bytes": quota_that_lasts(territory.services[name]),
        }
        for name, day in refuses(territory).items()
    ]


def held_back_text(territory: Territory, held_back: Mapping[str, int]) -> str:
    """A line for each service that keeps the quota signed before; "" where none does."""
    return "\n".join(
        f"Warning: {name} keeps the quota of {format_bytes(territory.services[name].quota_bytes)} that was signed "
        f"before, since there is no space for the default of {format_bytes(size)}: "
        f"{_lasts(territory.services[name])}. Offer more room, or write `quota` or a shorter `retention` for it into "
        "territory.yml."
        for name, size in sorted(held_back.items())
    )


def _lasts(service: Service) -> str:
    day = day_of_refusal(service)
    if day is None:
        return "at the declared change its replica nodes refuse nothing, and keep less of its old history"
    return f"at the declared change its replica nodes refuse backups from day {day} on, counted from the first backup"


def short_text(it: Mapping[str, Any]) -> str:
    return (
        f"Warning: {it['where']}: {format_bytes(it['quota_bytes'])} is too small. At the declared change its replica "
        f"nodes refuse backups from day {it['lasts_days']} on, counted from the first backup; "
        f"{format_bytes(it['would_do_bytes'])} would be enough."
    )


def early_pruning_text(days: Mapping[str, int]) -> str:
    """When shares become full enough for early pruning: the day of each service that does, of one at least."""
    first = min(days, key=lambda name: (days[name], name))
    return (
        f"At the declared change the quotas of {format_count(len(days), 'service')} fill up within ten years, the "
        f"first of {first} on day {days[first]}: from then on less is kept of the history older than the lock."
    )


def checked_json(name: str, territory: Territory, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    return {
        "file": name,
        "sites": len(territory.sites),
        "nodes": len(territory.nodes),
        "services": len(territory.services),
        "events": len(outcomes),
        "planned_only": list(planned_only(territory)),
        "lost": [asdict(verdict) for outcome in outcomes for verdict in outcome.lost],
    }


def territory_text(territory: Territory) -> str:
    """The text of `show`: nodes with their zones, services, and the people who may sign which acts."""
    nodes = [_node_row(territory, node) for node in territory.nodes.values()]
    services = [_service_row(service) for service in territory.services.values()]
    people = [
        (
            person.title,
            ", ".join(person.may) or "nothing",
            format_count(len(person.keys), "key"),
            ", ".join(person.sites) or "everywhere",
        )
        for person in territory.people.values()
    ]
    return "\n\n".join(
        (
            f"{territory.title} ({territory.name}, {territory.timezone})",
            table(("NODE", "SITE", "ADDRESS", "OFFERS", "OF", "ROLES", "ZONES"), nodes),
            table(("SERVICE", "AT", "KIND", "SIZE", "QUOTA", "COPIES", "RUNS", "STANDBYS"), services),
            table(("PERSON", "MAY SIGN", "WITH", "AT"), people),
        )
    )


def plan_text(
    territory: Territory, placements: Mapping[str, Placement], *, every_reason: bool, kept: Kept = NOTHING_KEPT
) -> str:
    """Where each service goes and why, then what each node lends, holds and asks."""
    rows = []
    for placement in placements.values():
        rows.append(
            (territory.services[placement.service].label, ", ".join(placement.holders), _first(placement.spares))
        )
    shown = table(("SERVICE", "HOLDERS", "SPARES"), rows).splitlines()
    lines = shown[:1]
    for row, placement in zip(shown[1:], placements.values(), strict=True):
        lines.append(row)
        lines += [
            f"    {reason.node} {reason.why}"
            for reason in placement.reasons
            if every_reason or reason.node in placement.holders
        ]
    return "\n".join(lines) + "\n\n" + balance_text(territory, placements, kept)


def balance_text(territory: Territory, placements: Mapping[str, Placement], kept: Kept = NOTHING_KEPT) -> str:
    """The table of what each node lends to others, what of that is taken, and what it asks of others; `kept` comes on
    top."""
    rows = []
    for name, node in sorted(territory.nodes.items()):
        held = sum(territory.services[it.service].quota_bytes for it in placements.values() if name in it.holders)
        sizes = (node.offered_bytes, held, asked_of_others(territory, name), _kept_at(kept, name))
        rows.append((name, *map(format_bytes, sizes)))
    columns = len(BALANCE) if kept else len(BALANCE) - 1
    return table(BALANCE[:columns], [row[:columns] for row in rows])


def kept_text(kept: Kept) -> str:
    """The space that nodes hold of removed services: that room is not promised to anything else."""
    nodes = sorted({node for node, _ in kept})
    lines = [f"  {node}: {format_bytes(_kept_at(kept, node))} of {_services_at(kept, node)}" for node in nodes]
    return "\n".join(["Space taken by removed services and copies, until they are deleted:", *lines])


def kept_json(kept: Kept) -> list[dict[str, Any]]:
    return [{"node": node, "service": name, "bytes": size} for (node, name), size in sorted(kept.items())]


def _kept_at(kept: Kept, node: str) -> int:
    return sum(size for (at, _), size in kept.items() if at == node)


def _services_at(kept: Kept, node: str) -> str:
    return ", ".join(sorted(name for at, name in kept if at == node))


def moves_text(moves: Sequence[Move]) -> str:
    """The moves of the new plan."""
    if not moves:
        return "Nothing moves."
    return "\n".join(["The change, before anything moves:", *(f"  {_move(move)}" for move in moves)])


def former_text(former: Former) -> str:
    """The services and replica nodes that are remembered though the plan names them no more; "" where there are
    none."""
    services = [
        (
            it.service.label,
            f"bundle {it.serial}",
            it.since[:10],
            utc_text(kept_until(it))[:10],
            ", ".join(it.holders) or "nobody",
            ", ".join(it.trusted),
        )
        for _, it in sorted(former.services.items())
    ]
    holders = [(it.node, it.service, f"bundle {it.serial}", it.since[:10]) for it in former.holders if not it.was_spare]
    told = []
    if services:
        headings = ("FORMER SERVICE", "LEFT IN", "ON", "KEPT UNTIL", "HELD BY", "OPENS ON")
        told.append(table(headings, services))
    if holders:
        told.append(table(("FORMER HOLDER", "OF", "SINCE", "ON"), holders))
    return "\n\n".join(told)


def survival_text(territory: Territory, outcomes: Sequence[Outcome]) -> str:
    """One row for each event, nodes and pairs summed up; `LEAST` is the fewest copies that any service is left with.

    Where copies are named that nothing writes yet, a sentence names them, and the last column counts them.
    """
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        for heading, part in _parts(outcome):
            groups.setdefault(heading, []).append(part)
    planned = _planned_only(territory)
    columns = len(SURVIVAL) if planned else len(SURVIVAL) - 1
    rows = [_survival_row(event, group)[:columns] for event, group in groups.items()]
    return "\n".join((*planned, table(SURVIVAL[:columns], rows)))


def _parts(outcome: Outcome) -> tuple[tuple[str, Outcome], ...]:
    """The rows that tell of an event: services that survive the loss of a node or a pair are counted in one row for all
    such events."""
    event, summed = outcome.loss.event, SUMMED.get(outcome.loss.kind)
    if not summed or not outcome.surviving:
        return ((event, outcome),)
    if not outcome.lost:
        return ((summed, outcome),)
    return (summed, replace(outcome, lost=())), (event, replace(outcome, surviving=0))


def _planned_only(territory: Territory) -> tuple[str, ...]:
    """The sentence that names copies which are planned and not made; none where there are none."""
    names = planned_only(territory)
    if not names:
        return ()
    what = "nothing writes to external peers and offline disks yet, so they are not counted"
    return (f"Warning: {what}: {', '.join(names)}.",)


def voters_text(voting: Voters, *, every_reason: bool) -> str:
    """The voters that decide which node holds a service, why, and which events would leave no majority."""
    if voting.nodes:
        named = "" if voting.named else "; give them the role `voter` to keep them"
        lines = [f"{len(voting.nodes)} voters, {voting.losses_survived} of which may be lost{named}:"]
    else:
        lines = [f"No voters: there are no {min(COUNTS)} failure domains, so services are moved by hand only."]
    lines += [f"    {it.node} {it.why}" for it in voting.reasons if every_reason or it.accepted]
    # Pairs are many, and a majority that a pair can take is told by the number above.
    lost_by = [event for event in voting.lost_by if not event.startswith("nodes ")]
    return "\n".join([*lines, *(f"No majority would be left after: {event}" for event in lost_by)])


def plan_json(
    territory: Territory,
    placements: Mapping[str, Placement],
    verdicts: Iterable[Verdict],
    moves: Iterable[Move],
    voting: Voters,
) -> dict[str, Any]:
    """The whole plan; `placements` can be given back to `plan --from`."""
    return {
        "placements": [asdict(placement) for placement in placements.values()],
        "planned_only": list(planned_only(territory)),
        "verdicts": [asdict(verdict) for verdict in verdicts],
        "moves": [asdict(move) for move in moves],
        "voters": asdict(voting),
    }


def _node_row(territory: Territory, node: Node) -> tuple[str, ...]:
    return (
        node.name,
        node.site,
        f"{node.address}:{node.port}",
        format_bytes(node.offered_bytes),
        format_bytes(node.disk_bytes),
        ", ".join(node.roles) or "-",
        ", ".join(sorted(territory.zones_of(node.name))),
    )


def _service_row(service: Service) -> tuple[str, ...]:
    return (
        service.label,
        service.node,
        service.kind,
        format_bytes(service.size_bytes),
        format_bytes(service.quota_bytes),
        str(service.copies),
        _schedule(service.schedule),
        ", ".join(service.standbys) or "-",
    )


def _schedule(schedule: Schedule) -> str:
    return f"at {schedule}" if schedule.daily_at else str(schedule)


def _first(spares: Sequence[str]) -> str:
    more = len(spares) - SPARES_SHOWN
    shown = ", ".join(spares[:SPARES_SHOWN]) or "none"
    return f"{shown} and {more} more" if more > 0 else shown


def _move(move: Move) -> str:
    if move.left:
        return f"{move.service}: removed; {move.node} takes nothing new and keeps what it has until its retention ends"
    if not move.seeds:
        stays = "its replica stays until the others have held newer generations for one retention lock"
        return f"{move.service}: {move.node} takes no new generation; {stays}"
    return (
        f"{move.service}: seed {move.node} with {format_bytes(move.size_bytes)}, {format_duration(move.seconds)} at "
        "the full rate of the origin's link"
    )


def _survival_row(heading: str, outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    lost = [verdict for outcome in outcomes for verdict in outcome.lost]
    gone = [verdict.service for verdict in lost]
    surviving = sum(outcome.surviving for outcome in outcomes)
    every = surviving + len(lost)
    return (
        heading,
        f"{surviving} of {every}",
        str(0 if lost else min(outcome.fewest for outcome in outcomes)),
        (", ".join(gone) or "-") if len(gone) <= GONE_TOLD_MAX else f"{gone[0]} and {len(gone) - 1} more",
        f"{surviving + sum(verdict.survives_as_planned for verdict in lost)} of {every}",
    )
