"""The cost of revoking a node: which services start over with a new key, what that sends, and until when what was
sealed before can still be read with a key that the node could know. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from appliance.backup.chain.retention import TIERS
from appliance.errors import NotFound
from appliance.territory.model import Service
from appliance.trust.bundle import Bundle


@dataclass(frozen=True)
class Renewal:
    """`writer` sends `size_bytes` to each of `holders`, which takes its uplink `seconds` in all.

    Every old copy is kept until `all_until`, a few of them until `last_until`, none after; both seconds UTC. `tight`:
    the quota may be too small for both at once.
    """

    service: str
    writer: str
    holders: tuple[str, ...]
    size_bytes: int
    seconds: float
    all_until: float
    last_until: float
    tight: bool = False


def renewals(bundle: Bundle, node: str, now: float, also: Iterable[str] = ()) -> tuple[Renewal, ...]:
    """The services whose key `node` could know, by the bundle in force: as their origin, or by an envelope of its own;
    and those named in `also`, which it could open by an earlier bundle. Raise NotFound for a service that is none."""
    extra = frozenset(also)
    if unknown := sorted(extra - bundle.territory.services.keys()):
        raise NotFound(f'there is no service "{unknown[0]}" in this territory.')
    found = sorted(bundle.territory.services.items())
    return tuple(
        _renewal(bundle, service, node, now)
        for name, service in found
        if name in extra or node in bundle.territory.trusted(name)
    )


def _renewal(bundle: Bundle, service: Service, node: str, now: float) -> Renewal:
    replica_nodes = tuple(holder for holder in bundle.terms(service.name).replica_nodes if holder != node)
    plan = bundle.territory.nodes[service.node]
    rate = bundle.territory.links[plan.uplink].up_bits_per_second
    rate = min(rate, plan.push_bits_per_second_max or rate)
    all_until = now + service.lock_seconds
    return Renewal(
        service=service.name,
        writer=service.node,
        holders=replica_nodes,
        size_bytes=service.size_bytes,
        seconds=len(replica_nodes) * service.size_bytes * 8 / rate,
        all_until=all_until,
        last_until=all_until + TIERS[-1].seconds,
        tight=bundle.terms(service.name).quota_bytes < 2 * service.size_bytes,
    )
