"""The rules of placement and of the survival table, judged node by node and verdict by verdict.

This is how the code decided before it counted with sets. It is plain enough to be read, and takes minutes for a few
hundred nodes: tests compare the code with it in territories that are drawn.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from appliance.territory.model import Service, Territory
from appliance.territory.room import Room
from appliance.territory.survival import Verdict

SUMMED = {"node": "each node lost", "pair": "each pair of nodes lost"}


def shared_zones(here: Territory, one: str, other: str, *, tolerated: bool = False) -> list[str]:
    both = here.zones_of(one) & here.zones_of(other)
    return sorted(name for name in both if here.zones[name].tolerated is tolerated)


def conflict(here: Territory, one: str, other: str) -> str:
    if one == other:
        return f"is {other} itself"
    zones = shared_zones(here, one, other)
    if zones:
        return f"shares zone{'s' if zones[1:] else ''} {' and '.join(zones)} with {other}"
    return f"is at the same site as {other}" if here.nodes[one].site == here.nodes[other].site else ""


def able(here: Territory, service: Service, room: Room) -> list[str]:
    return [it for it in here.nodes if not conflict(here, it, service.node) and not room.lack(it, service)]


def rank(here: Territory, service: Service, room: Room, node: str, chosen: Collection[str]) -> tuple[int, float, str]:
    near = sum(len(shared_zones(here, node, other, tolerated=True)) for other in (service.node, *chosen))
    return near, room.load(node, service.quota_bytes), node


def choose(
    here: Territory, service: Service, room: Room, wanted: int, chosen: tuple[str, ...], spares: Sequence[str]
) -> tuple[str, ...]:
    """Return the first set with `chosen` that has `wanted` nodes in distinct failure domains, or the first of the
    longest."""

    def order(node: str, beside: tuple[str, ...]) -> tuple[float | str, ...]:
        return spares.index(node) if node in spares else len(spares), *rank(here, service, room, node, beside)

    def extended(chosen: tuple[str, ...], nodes: Collection[str]) -> tuple[str, ...]:
        if len(chosen) >= wanted:
            return chosen
        left = [node for node in nodes if not any(conflict(here, node, other) for other in chosen)]
        best = chosen
        for node in sorted(left, key=lambda node: order(node, chosen)):
            best = max(best, extended((*chosen, node), left), key=len)
            if len(best) >= wanted:
                break
            left.remove(node)
        return best

    return extended(chosen, able(here, service, room))


def survival_rows(verdicts: Sequence[Verdict]) -> list[list[str]]:
    """The rows of the table by column: event, survivors, fewest copies, services that are gone, survivors as planned.
    Of each event, services that survive come first."""
    groups: dict[str, list[Verdict]] = {}
    events = list(dict.fromkeys(it.event for it in verdicts))
    for it in sorted(verdicts, key=lambda it: (events.index(it.event), not it.survives)):
        groups.setdefault(SUMMED.get(it.kind, it.event) if it.survives else it.event, []).append(it)
    return [_row(event, group) for event, group in groups.items()]


def _row(event: str, verdicts: Sequence[Verdict]) -> list[str]:
    gone = sorted({it.service for it in verdicts if not it.survives})
    return [
        event,
        f"{sum(it.survives for it in verdicts)} of {len(verdicts)}",
        str(min(it.copies_left for it in verdicts)),
        (", ".join(gone) or "-") if len(gone) <= 3 else f"{gone[0]} and {len(gone) - 1} more",
        f"{sum(it.survives_as_planned for it in verdicts)} of {len(verdicts)}",
    ]
