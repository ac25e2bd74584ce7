"""The rules of a voter's broker: six verbs, each for a node's own services only, by the signed bundle. Pure.

Debian's etcd keeps nobody from anything, so only brokers talk to it, each beside its own voter. Invariant: no node can
end, renew, take or speak for what is another's, hold anything for longer than a lease, or take a local-first service
whose owner neither gave it up nor was declared out of the way by a signed act. A broker that lies can still write what
it likes; that is why no vault believes the store.

The broker judges the owner by a state that was read, which may be stale. That decides nothing by itself: the claim's
transaction goes through only if the owner is still of the revision that was judged.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

from appliance.coordination import outcomes
from appliance.coordination.keys import is_lease_of
from appliance.coordination.outcomes import LEASE_SECONDS_MAX
from appliance.coordination.port import (
    CALL_SECONDS_MAX,
    WATCH_SECONDS_MAX,
    Alive,
    Claim,
    Coordination,
    Event,
    Intent,
    Lease,
    Moved,
    Report,
    ServiceRecord,
)
from appliance.errors import Forbidden, Refused, UsageError
from appliance.territory.model import Service, Territory
from appliance.units import HOUR, MINUTE

VERBS = frozenset({"renew", "acquire", "release", "watch", "report", "read"})
MEMBER = frozenset({"read", "watch", "report"})
"""Every node moves addresses and shows who serves what, so every node may see it; names and reasons are in no way
secret inside the territory."""
CANDIDATE = VERBS
QUARANTINED = frozenset({"read"})
ALIVE_SECONDS_MAX = 5 * MINUTE
INTENT_SECONDS_MAX = HOUR
TEXT_BYTES_MAX = 768
ENTRIES_MAX = 500
"""The entries of a history in one answer."""
OPERATING = frozenset({"control", "standby"})
"""Roles whose nodes may announce what they intend with any service: where the maintenance team works."""


@dataclass(frozen=True)
class Acts:
    """The signed acts in force for a service, as this voter itself has checked them: names of nodes."""

    promoted: frozenset[str] = frozenset()
    lost: frozenset[str] = frozenset()
    quarantined: frozenset[str] = frozenset()

    @property
    def out_of_the_way(self) -> frozenset[str]:
        return self.lost | self.quarantined


def verbs(territory: Territory, service: str, caller: str, acts: Acts) -> frozenset[str]:
    """The verbs of `caller` for `service`; none for an unknown node."""
    if caller not in territory.nodes:
        return frozenset()
    if caller in acts.quarantined:
        return QUARANTINED
    return CANDIDATE if caller in territory.service(service).candidates else MEMBER


def check(territory: Territory, service: str, caller: str, acts: Acts, verb: str) -> None:
    """Raise Forbidden unless `caller` may say `verb` of `service`."""
    if verb not in verbs(territory, service, caller, acts):
        why = " while it is in quarantine" if caller in acts.quarantined else ""
        raise Forbidden(f'"{caller}" may not "{verb}" {service}{why}.', remedy="Ask the maintenance team.")


def check_claim(territory: Territory, caller: str, acts: Acts, claim: Claim, record: ServiceRecord) -> None:
    """Raise unless `caller` may make `claim`, `record` being what this broker has just read."""
    check(territory, claim.service, caller, acts, "acquire")
    _check_own(caller, claim.node, claim.lease, claim.ttl_seconds, LEASE_SECONDS_MAX)
    _check_short(claim.boot_id, claim.reason, claim.time)
    # Resuming takes nothing from anybody, and only the owner can; a claim made again was judged before it took effect.
    if claim.resumes or _took_effect(claim, record):
        return
    # Another revision than was judged must not reach the store: it could be the true one, and what was read stale.
    if claim.seen != record.owned or claim.ousts != (record.holder.revision if record.holder else 0):
        raise outcomes.taken(record)
    if claim.ousts:
        _check_ousting(claim, acts, record)
    _check_owner(territory.service(claim.service), claim, acts, record)


def _took_effect(claim: Claim, record: ServiceRecord) -> bool:
    """Whether it is made again: what it saw is over by itself."""
    lease = outcomes.held_already(record, claim, claim.ttl_seconds, 0.0)
    return lease is not None and claim.seen < lease.revision and claim.ousts < lease.since


def check_renewal(territory: Territory, caller: str, acts: Acts, lease: Lease) -> None:
    """Raise unless `caller` may renew `holding`, whose lease is all that a renewal changes."""
    check(territory, lease.service, caller, acts, "renew")
    _check_own(caller, lease.node, lease.lease, lease.ttl_seconds, LEASE_SECONDS_MAX)


def check_release(territory: Territory, caller: str, acts: Acts, lease: Lease, record: ServiceRecord) -> None:
    """Raise unless `holding` is what `caller` holds by `record`, or has released before.

    A release names revisions, not who asks: without this it would give up what another holds.
    """
    check(territory, lease.service, caller, acts, "release")
    _check_own(caller, lease.node, lease.lease, lease.ttl_seconds, LEASE_SECONDS_MAX)
    is_own = record.holder is not None and (record.holder.node, record.holder.lease) == (caller, lease.lease)
    if not (is_own and outcomes.is_held(record, lease)) and not outcomes.is_released(record, lease):
        raise outcomes.lost(record)


def may_announce(territory: Territory, service: Service, caller: str) -> bool:
    """Whether `caller` may announce a plan for `service`: its candidates and the maintenance team may."""
    return caller in service.candidates or not OPERATING.isdisjoint(territory.nodes[caller].roles)


def check_report(territory: Territory, caller: str, acts: Acts, report: Report) -> None:
    """Raise unless `caller` may report that: of itself, or what it intends with a service."""
    if isinstance(report, Alive):
        if caller not in territory.nodes:
            raise Forbidden(f'"{caller}" is not a node of this territory.')
        if caller in acts.quarantined:
            raise Forbidden(f'"{caller}" is in quarantine and cannot renew leases.')
        _check_own(caller, report.node, report.lease, report.ttl_seconds, ALIVE_SECONDS_MAX)
        _check_short(report.boot_id)
        return
    check(territory, report.service, caller, acts, "report")
    _check_own(caller, caller, report.lease, report.ttl_seconds, INTENT_SECONDS_MAX)
    _check_short(report.by, report.reason, report.act)
    service = territory.service(report.service)
    if not may_announce(territory, service, caller):
        remedy = f"Only {', '.join(service.candidates)} and the maintenance team may do that."
        raise Forbidden(f'"{caller}" may not announce anything for {report.service}.', remedy=remedy)
    if report.kind in ("promote", "quarantine") and not report.act:
        raise Refused(f"to {report.kind} {report.service} needs a signed act.", remedy="Name it by its digest.")
    if report.to and report.to not in service.candidates:
        raise UsageError(
            f"{report.to} is not a candidate for {report.service}.", remedy="Name its origin or one of its standbys."
        )


def _check_own(caller: str, node: str, lease: int, ttl_seconds: int, ttl_seconds_max: int) -> None:
    if node != caller:
        raise Forbidden(f'"{caller}" may not speak for {node}.')
    if not is_lease_of(caller, lease):
        raise Forbidden(f"lease {lease} does not belong to {caller}.")
    if not 0 < ttl_seconds <= ttl_seconds_max:
        raise Refused(f"a lease of {ttl_seconds} s is not within 1 to {ttl_seconds_max} s.")


def _check_short(*texts: str) -> None:
    """Refuse long texts: each stays on every voter's disk for an hour at least."""
    if (found := sum(len(text.encode()) for text in texts)) > TEXT_BYTES_MAX:
        raise Refused(f"{found} bytes are more than brokers accept ({TEXT_BYTES_MAX}).", remedy="Shorten the text.")


def _check_ousting(claim: Claim, acts: Acts, record: ServiceRecord) -> None:
    assert record.holder is not None
    if claim.node not in acts.promoted and record.holder.node not in acts.out_of_the_way:
        raise Refused(
            f"{record.holder.node} still holds {claim.service}.",
            remedy="Taking over from a live lease holder needs a signed act: `promote` for the new node, or "
            "`quarantine` or `lost` for the lease holder.",
        )


def _check_owner(service: Service, claim: Claim, acts: Acts, record: ServiceRecord) -> None:
    """Silence is no reason to take a local-first service: its origin may be at work for its own town hall."""
    owner = record.owner
    if service.policy != "local-first" or claim.node in acts.promoted:
        return
    if owner is None:
        if claim.node != service.node:
            remedy = "Start it once at its origin, or have an operator sign `promote`."
            raise Refused(
                f"{service.name} never had a lease holder: its origin {service.node} must be the first.", remedy=remedy
            )
        return
    # A stand-in is bound by its lease, so the end of that lease is enough for the origin.
    if claim.node == service.node and owner.node != service.node:
        return
    if not owner.released and owner.node != claim.node and owner.node not in acts.out_of_the_way:
        raise Refused(
            f"{service.name} is local-first and belongs to {owner.node}, which did not release it and may still be "
            "writing.",
            remedy=f"Serve a dated copy for reading. If {owner.node} is known to be lost, sign `promote`.",
        )


class Brokered:
    """The port for one `caller` of a voter's broker: `behind` it is that voter's own store.

    `acts` gives the signed acts in force for a service, checked by this very node.
    """

    def __init__(self, behind: Coordination, territory: Territory, caller: str, acts: Callable[[str], Acts]) -> None:
        self._behind = behind
        self._territory = territory
        self._caller = caller
        self._acts = acts

    async def read(self, service: str, *, seconds_max: float = CALL_SECONDS_MAX) -> ServiceRecord:
        self._check(service, "read")
        return await self._behind.read(service, seconds_max=seconds_max)

    async def history(
        self, service: str, *, entries_max: int = 100, seconds_max: float = CALL_SECONDS_MAX
    ) -> tuple[Moved, ...]:
        self._check(service, "read")
        wanted = max(1, min(entries_max, ENTRIES_MAX))
        return await self._behind.history(service, entries_max=wanted, seconds_max=seconds_max)

    async def alive(self, *, seconds_max: float = CALL_SECONDS_MAX) -> tuple[Alive, ...]:
        if self._caller not in self._territory.nodes:
            raise Forbidden(f'"{self._caller}" is not a node of this territory.')
        return await self._behind.alive(seconds_max=seconds_max)

    async def acquire(self, claim: Claim, *, seconds_max: float = CALL_SECONDS_MAX) -> Lease:
        record = await self._behind.read(claim.service, seconds_max=seconds_max / 2)
        check_claim(self._territory, self._caller, self._acts(claim.service), claim, record)
        return await self._behind.acquire(claim, seconds_max=seconds_max / 2)

    async def renew(self, holding: Lease, *, seconds_max: float = CALL_SECONDS_MAX) -> Lease:
        check_renewal(self._territory, self._caller, self._acts(holding.service), holding)
        return await self._behind.renew(holding, seconds_max=seconds_max)

    async def release(self, holding: Lease, reason: str, time: str, *, seconds_max: float = CALL_SECONDS_MAX) -> None:
        _check_short(reason, time)
        record = await self._behind.read(holding.service, seconds_max=seconds_max / 2)
        check_release(self._territory, self._caller, self._acts(holding.service), holding, record)
        await self._behind.release(holding, reason, time, seconds_max=seconds_max / 2)

    async def report(self, report: Report, *, seconds_max: float = CALL_SECONDS_MAX) -> None:
        acts = self._acts(report.service if isinstance(report, Intent) else "")  # those that are about every service
        check_report(self._territory, self._caller, acts, report)
        await self._behind.report(report, seconds_max=seconds_max)

    async def withdraw(self, intent: Intent, *, seconds_max: float = CALL_SECONDS_MAX) -> None:
        check_report(self._territory, self._caller, self._acts(intent.service), intent)
        await self._behind.withdraw(intent, seconds_max=seconds_max)

    def watch(self, seen: ServiceRecord, *, seconds_max: float = WATCH_SECONDS_MAX) -> AsyncGenerator[Event]:
        self._check(seen.service, "watch")
        return self._behind.watch(seen, seconds_max=min(seconds_max, WATCH_SECONDS_MAX))

    def _check(self, service: str, verb: str) -> None:
        check(self._territory, service, self._caller, self._acts(service), verb)
