"""What the next bundle remembers of services and holders that its plan names no more, and the room they take. Pure.

All moments are in seconds UTC. A service is remembered until its holders keep nothing of it by their own rules; a
holder as long as both it and the service are in the plan.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from appliance.backup.retention import TIERS, YEAR
from appliance.clock import utc_seconds, utc_text
from appliance.errors import UsageError
from appliance.territory.model import Placement, Service, Territory
from appliance.territory.placement import place
from appliance.territory.renaming import follow_names
from appliance.territory.room import Kept
from appliance.trust.bundle import Bundle, quota_of
from appliance.trust.former import NOBODY, Former, FormerHolder, FormerService
from appliance.units import DAY

MARGIN_SECONDS = YEAR
"""Holders count by clocks that stand still while a machine is off: what they keep must not outlive its entry."""
GIVING_UP_SECONDS = 60 * DAY
"""How long after its lock a former holder is reckoned to need for giving up its copy."""


def former_services(
    previous: Bundle, territory: Territory, *, serial: int, now: float, forget: Collection[str] = ()
) -> Mapping[str, FormerService]:
    """The services that left before bundle `serial` or with it, but for those to `forget`; raise UsageError when one of
    these did not leave."""
    found = {it.name: it for it in _former_services(previous, territory, serial, now)}
    if strange := sorted(set(forget) - found.keys()):
        known = ", ".join(sorted(found)) or "none"
        raise UsageError(f'"{strange[0]}" is no service that left.', remedy=f"Those that are remembered: {known}.")
    return {name: left for name, left in found.items() if name not in forget}


def _former_services(previous: Bundle, territory: Territory, serial: int, now: float) -> Iterator[FormerService]:
    for name, left in sorted(previous.former.services.items()):
        if name not in territory.services and now < kept_until(left) + MARGIN_SECONDS:
            yield left
    for name in sorted(previous.territory.services.keys() - territory.services.keys()):
        terms = previous.terms(name)
        ceased = (it.node for it in previous.former.holders if it.service == name and _fills(it, terms.service, now))
        holders = tuple(dict.fromkeys((*terms.holders, *ceased)))
        yield FormerService(terms.service, holders, terms.spares, serial, utc_text(now))


def former_holders(
    previous: Bundle, territory: Territory, placements: Mapping[str, Placement], *, serial: int, now: float
) -> tuple[FormerHolder, ...]:
    """One entry for each node and service, the older where a node ceased twice: it has what came before, too. Also of a
    service that had left and comes back, perhaps to other nodes."""
    known = {(it.service, it.node): it for it in previous.former.holders}
    before = previous.territory.services.keys() | previous.former.services.keys()
    for name in sorted(before & territory.services.keys()):
        terms = previous.last_terms(name)
        for node in terms.holders:
            entry = FormerHolder(name, node, terms.quota_bytes, serial, utc_text(now))
            known.setdefault((name, node), entry)
    return tuple(it for _, it in sorted(known.items()) if it.node in territory.nodes and _ceased(it, placements))


def _ceased(it: FormerHolder, placements: Mapping[str, Placement]) -> bool:
    return it.service in placements and it.node not in placements[it.service].holders


@dataclass(frozen=True)
class Next:
    """The plan with each service under its first name, where copies go next, what is remembered then, and what nodes
    still hold beside these copies."""

    territory: Territory
    placements: Mapping[str, Placement]
    former: Former = NOBODY
    kept: Kept = field(default_factory=dict)


def follow(
    previous: Bundle, territory: Territory, *, now: float, serial: int = 0, forget: Collection[str] = ()
) -> Next:
    """What follows `previous` with the plan `territory`, as bundle `serial`, by default the next; raise Infeasible,
    UsageError, and Refused for a rename that makes no sense."""
    left = {name: it.service for name, it in previous.former.services.items()}
    territory = follow_names(territory, previous.territory.services, left)
    serial = serial or previous.serial + 1
    services = former_services(previous, territory, serial=serial, now=now, forget=forget)
    before = {**{name: it.placement for name, it in previous.former.services.items()}, **previous.placements}
    holding = previous.former.holders
    while True:
        placements = place(territory, before, kept(Former(services, holding), territory, now))
        former = Former(services, former_holders(previous, territory, placements, serial=serial, now=now))
        # What ceases with this bundle lies where it is, too: otherwise the next bundle would find no room.
        merged = {(it.service, it.node): it for it in (*former.holders, *holding)}
        if len(merged) == len(holding):
            return Next(territory, placements, former, kept(former, territory, now))
        holding = tuple(merged.values())


def kept(former: Former, territory: Territory, now: float) -> Kept:
    """The bytes that nodes of `territory` may still hold of what is placed there no more, by node and service."""
    found = {(node, left.name): quota_of(left.service) for left in former.services.values() for node in left.holders}
    for it in former.holders:
        service = territory.services.get(it.service)
        if service and _fills(it, service, now):
            found[it.node, it.service] = it.quota_bytes
    return {(node, name): size for (node, name), size in found.items() if node in territory.nodes}


def _fills(it: FormerHolder, service: Service, now: float) -> bool:
    """Whether the node may still hold what it had of `service`."""
    return now < utc_seconds(it.since) + service.lock_seconds + GIVING_UP_SECONDS


def kept_until(left: FormerService) -> float:
    """When its holders keep nothing of it any more, if their machines were never off."""
    return utc_seconds(left.since) + left.service.lock_seconds + TIERS[-1].seconds
