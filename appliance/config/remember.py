"""The memory of the next bundle: services and replica nodes that its plan no longer names, and the room they take.
Pure.

All moments are in seconds UTC. A service is remembered until its replica nodes keep nothing of it by their own rules; a
replica node as long as both it and the service are in the plan.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

from appliance.backup.chain.growth import default_quota_of
from appliance.backup.chain.retention import TIERS, YEAR
from appliance.clock import utc_seconds, utc_text
from appliance.errors import Refused, UsageError
from appliance.territory.model import Placement, Service, Territory
from appliance.territory.placement import Infeasible, place
from appliance.territory.renaming import follow_names
from appliance.territory.room import Kept
from appliance.trust.bundle import Bundle, quota_of
from appliance.trust.former import NOBODY, Former, FormerReplicaNode, FormerService
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
        raise UsageError(f'"{strange[0]}" is not a removed service.', remedy=f"Removed services: {known}.")
    return {name: left for name, left in found.items() if name not in forget}


def _former_services(previous: Bundle, territory: Territory, serial: int, now: float) -> Iterator[FormerService]:
    for name, left in sorted(previous.former.services.items()):
        if name not in territory.services and now < kept_until(left) + MARGIN_SECONDS:
            yield left
    for name in sorted(previous.territory.services.keys() - territory.services.keys()):
        terms = previous.terms(name)
        ceased = (it.node for it in previous.former.holders if it.service == name and _fills(it, terms.service, now))
        replica_nodes = tuple(dict.fromkeys((*terms.replica_nodes, *ceased)))
        yield FormerService(terms.service, replica_nodes, terms.spares, serial, utc_text(now))


def former_replica_nodes(
    previous: Bundle, territory: Territory, placements: Mapping[str, Placement], *, serial: int, now: float
) -> tuple[FormerReplicaNode, ...]:
    """One entry for each node and service, the older where a node ceased twice: it has what came before, too. Also of a
    service that had left and comes back, perhaps to other nodes.

    A spare that is none any more may have stood in for a holder; its room was never counted."""
    known = {(it.service, it.node): it for it in previous.former.holders}
    before = previous.territory.services.keys() | previous.former.services.keys()
    for name in sorted(before & territory.services.keys()):
        terms = previous.last_terms(name)
        for node in terms.others(""):
            size = terms.quota_bytes if node in terms.replica_nodes else 0
            known.setdefault((name, node), FormerReplicaNode(name, node, size, serial, utc_text(now)))
    return tuple(it for _, it in sorted(known.items()) if it.node in territory.nodes and _ceased(it, placements))


def _ceased(it: FormerReplicaNode, placements: Mapping[str, Placement]) -> bool:
    placed = placements.get(it.service)
    return placed is not None and it.node not in (placed.holders, (*placed.holders, *placed.spares))[it.was_spare]


@dataclass(frozen=True)
class Next:
    """The plan with each service under its first name, where copies go next, what is remembered then, and what nodes
    still hold beside these copies."""

    territory: Territory
    placements: Mapping[str, Placement]
    former: Former = NOBODY
    kept: Kept = field(default_factory=dict)
    held_back: Mapping[str, int] = field(default_factory=dict)
    """The services whose default quota grew and finds no room, so that they keep the one signed before, with what the
    default would be in bytes."""


def follow(
    previous: Bundle, territory: Territory, *, now: float, serial: int = 0, forget: Collection[str] = ()
) -> Next:
    """Return what follows `previous` with the plan `territory`, as bundle `serial`, by default the next; raise
    Infeasible, UsageError, and Refused for a rename that makes no sense.

    A default quota that another version reckons larger grows only where all find room with it, the smallest step first.
    """
    try:
        return _follow(previous, territory, now, serial, forget)
    except Infeasible:
        grown = _grown_defaults(previous, territory)
        if not grown:
            raise
        return _with_room(lambda chosen: _follow(previous, chosen, now, serial, forget), territory, grown)


def _with_room(following: Callable[[Territory], Next], territory: Territory, grown: Mapping[str, int]) -> Next:
    """`following` of `territory` with as many of the `grown` quotas as find room, the former ones for all others."""
    found, held_back = following(_with_quotas(territory, grown)), dict(grown)
    for name in sorted(grown, key=lambda it: (territory.services[it].quota_bytes - grown[it], it)):
        tried = {it: size for it, size in held_back.items() if it != name}
        with contextlib.suppress(Infeasible):
            found, held_back = following(_with_quotas(territory, tried)), tried
    defaults = {it: territory.services[it].quota_bytes for it in held_back}
    return replace(found, held_back=defaults)


def _with_quotas(territory: Territory, quotas: Mapping[str, int]) -> Territory:
    changed = {name: replace(territory.services[name], quota_bytes=size) for name, size in quotas.items()}
    return replace(territory, services={**territory.services, **changed})


def _grown_defaults(previous: Bundle, territory: Territory) -> Mapping[str, int]:
    """By the name in `territory`, the quota signed before of each service whose larger one is the default."""
    signed = previous.territory.services
    before = {key: quota_of(it) for name, it in signed.items() for key in (name, it.called)}
    return {
        name: before[name]
        for name, it in territory.services.items()
        if name in before and before[name] < it.quota_bytes == default_quota_of(it)
    }


def _follow(previous: Bundle, territory: Territory, now: float, serial: int, forget: Collection[str]) -> Next:
    left = {name: it.service for name, it in previous.former.services.items()}
    territory = follow_names(territory, previous.territory.services, left)
    serial = serial or previous.serial + 1
    services = former_services(previous, territory, serial=serial, now=now, forget=forget)
    before = {**{name: it.placement for name, it in previous.former.services.items()}, **previous.placements}
    holding = previous.former.holders
    while True:
        placements = place(territory, before, kept(Former(services, holding), territory, now))
        former = Former(services, former_replica_nodes(previous, territory, placements, serial=serial, now=now))
        # A replica that ends with this bundle still takes its room: otherwise the next bundle would find none.
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


def _fills(it: FormerReplicaNode, service: Service, now: float) -> bool:
    """Whether the node may still hold what it had of `service`, in room that was promised."""
    return not it.was_spare and now < utc_seconds(it.since) + service.lock_seconds + GIVING_UP_SECONDS


def kept_until(left: FormerService) -> float:
    """When its holders keep nothing of it any more, if their machines were never off."""
    return utc_seconds(left.since) + left.service.lock_seconds + TIERS[-1].seconds


def carry_on(last: Bundle, before: Bundle) -> tuple[Bundle, tuple[str, ...]]:
    """`before` with all that the earlier bundle `last` remembers and `before` lost, and a sentence for each kind of it.

    A version that does not know a field signs the next bundle without it. Raise Refused where a service was taken for a
    new one, because its later name was forgotten.
    """
    if last.serial >= before.serial or last.territory_key != before.territory_key:
        return before, ()
    _check_names(last, before)
    found = _carried(last, before)
    told = _carried_on(before, found)
    return found, tuple(
        f"Bundle {before.serial} lacks {what} of bundle {last.serial}; they are kept: {', '.join(each)}."
        for what, each in told.items()
        if each
    )


def _carried_on(before: Bundle, found: Bundle) -> Mapping[str, list[str]]:
    """By kind, what `found` has and `before` has not."""
    grants = len(found.confirmed - before.confirmed)
    replica_nodes = [it for it in found.former.holders if it not in before.former.holders]
    names = {it.called for it in found.territory.services.values()}
    return {
        "former services": sorted(found.former.services.keys() - before.former.services.keys()),
        "former holders": [f"{it.node} of {it.service}" for it in replica_nodes],
        "later names": sorted(names - {it.called for it in before.territory.services.values()}),
        "confirmed grants": [str(grants)] if grants else [],
        "services whose newest grant is not known": sorted(found.unconfirmed.keys() - before.unconfirmed.keys()),
    }


def _carried(last: Bundle, before: Bundle) -> Bundle:
    now, territory = utc_seconds(before.issued), before.territory
    services = former_services(last, territory, serial=before.serial, now=now)
    replica_nodes = former_replica_nodes(last, territory, before.placements, serial=before.serial, now=now)
    merged = {(it.service, it.node): it for it in (*before.former.holders, *replica_nodes)}
    renamed = {name: replace(it, called=it.called or _called(last, name)) for name, it in territory.services.items()}
    return replace(
        before,
        territory=replace(territory, services=renamed),
        confirmed=before.confirmed | last.confirmed,
        unconfirmed={**last.unconfirmed, **before.unconfirmed},
        former_voters=before.former_voters or (last.former_voters if last.term == before.term else None),
        former=Former({**services, **before.former.services}, tuple(it for _, it in sorted(merged.items()))),
    )


def _called(bundle: Bundle, service: str) -> str:
    known = bundle.territory.services.get(service)
    return known.called if known else ""


def _check_names(last: Bundle, before: Bundle) -> None:
    for name, it in last.territory.services.items():
        if it.called in before.territory.services and it.called not in last.territory.services:
            raise Refused(
                f'bundle {before.serial} has a new service "{it.called}", but in bundle {last.serial} that is the '
                f'later name of "{name}": a version of the appliance that does not know renamed services signed it.',
                remedy=f"Continue from bundle {last.serial}, which is stored beside the territory key: give "
                f"KEY.signed to --previous and add --serial {before.serial + 1}.",
            )
