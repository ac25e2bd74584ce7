"""The port on etcd 3.5, through its JSON gateway.

Two faults of Debian's 3.5.16 shape it. A keepalive may succeed on a lease that was revoked, so each renewal is proven
by comparing what it holds. A read that claims to be linearizable may be stale after a pause or a change of leader, so
nothing is taken by one: acquire and release are transactions that write, and those go through the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import replace
from itertools import groupby

from appliance.clock import Clock
from appliance.coordination import answers, keys, outcomes, requests
from appliance.coordination.answers import NO_LEADER, Answer, Gone, Outcome, Rejected
from appliance.coordination.deadlines import total
from appliance.coordination.gateway import Gateway, Voter
from appliance.coordination.keys import Entry
from appliance.coordination.port import (
    CALL_SECONDS_MAX,
    WATCH_SECONDS_MAX,
    Alive,
    Claim,
    Ended,
    Event,
    Intent,
    Lease,
    Lost,
    Moved,
    NoLeader,
    Report,
    ServiceRecord,
)
from appliance.coordination.requests import Body
from appliance.errors import ApplianceError, Unreachable

TXN, RANGE, WATCH = "/v3/kv/txn", "/v3/kv/range", "/v3/watch"
PUT, GRANT, KEEPALIVE, REVOKE = "/v3/kv/put", "/v3/lease/grant", "/v3/lease/keepalive", "/v3/lease/revoke"
TOLD_MAX = 4096


class Etcd:
    """A client of the `voters`; `tls` as `Gateway` takes it. Use it within one event loop and close it."""

    def __init__(self, voters: Sequence[Voter], clock: Clock, tls: ssl.SSLContext | None = None) -> None:
        self._gateway = Gateway(voters, tls)
        self._clock = clock
        self._told: set[int] = set()
        """Leases whose report is known to stand in the store: those only need a beat."""

    async def close(self) -> None:
        await self._gateway.close()

    async def read(self, service: str, *, seconds_max: float = CALL_SECONDS_MAX) -> ServiceRecord:
        async with total(seconds_max):
            return await self._read(service)

    async def history(
        self, service: str, *, entries_max: int = 100, seconds_max: float = CALL_SECONDS_MAX
    ) -> tuple[Moved, ...]:
        wanted = requests.range_of(keys.history_prefix(service), newest=entries_max)
        async with total(seconds_max):
            answer = await self._gateway.ask(RANGE, wanted)
        return tuple(keys.read_history(service, answers.entries(answer)))

    async def alive(self, *, seconds_max: float = CALL_SECONDS_MAX) -> tuple[Alive, ...]:
        async with total(seconds_max):
            answer = await self._gateway.ask(RANGE, requests.range_of(keys.NODES))
        return tuple(keys.read_alive(answers.entries(answer)))

    async def acquire(self, claim: Claim, *, seconds_max: float = CALL_SECONDS_MAX) -> Lease:
        async with total(seconds_max):
            sent = self._clock.boottime()
            if claim.resumes:
                # The transaction below compares the very revision that is read here, so it is not decided by the read.
                record = await self._read(claim.service)
                if not outcomes.may_resume(record, claim):
                    raise outcomes.taken(record)
            ttl = await self._grant(claim.lease, claim.ttl_seconds)
            outcomes.check_granted(claim, ttl)
            found = await self._transact(requests.acquire(claim))
        if found.held:
            owner = claim.seen if claim.resumes else found.revision
            return Lease(claim.service, claim.node, claim.lease, owner, found.revision, ttl, sent)
        record = keys.record_from(claim.service, found.entries, found.revision)
        if lease := outcomes.held_already(record, claim, ttl, sent):
            return lease
        # The lease that was granted for it holds nothing, and ends by itself.
        raise outcomes.taken(record)

    async def renew(self, holding: Lease, *, seconds_max: float = CALL_SECONDS_MAX) -> Lease:
        async with total(seconds_max):
            sent = self._clock.boottime()
            ttl = await self._keepalive(holding.lease)
            if not ttl:
                raise Lost(f"the lease on {holding.service} has expired.")
            found = await self._transact(requests.prove(holding))
        if not found.held:
            raise _lost(holding, found)
        return replace(holding, ttl_seconds=ttl, sent=sent)

    async def release(self, holding: Lease, reason: str, time: str, *, seconds_max: float = CALL_SECONDS_MAX) -> None:
        async with total(seconds_max):
            found = await self._transact(requests.release(holding, reason, time))
        record = keys.record_from(holding.service, found.entries, found.revision)
        if not found.held and not outcomes.is_released(record, holding):
            raise outcomes.lost(record)

    async def report(self, report: Report, *, seconds_max: float = CALL_SECONDS_MAX) -> None:
        async with total(seconds_max):
            # A beat is a keepalive, which no voter writes to its disk; a put is a write and a sync on each of them.
            if report.lease in self._told and await self._keepalive(report.lease):
                return
            self._told.discard(report.lease)
            if len(self._told) >= TOLD_MAX:
                self._told.clear()  # each is put once more
            await self._grant(report.lease, report.ttl_seconds)
            if isinstance(report, Alive):
                await self._gateway.ask(PUT, requests.alive(report))
            else:
                await self._intend(report)
            self._told.add(report.lease)

    async def withdraw(self, intent: Intent, *, seconds_max: float = CALL_SECONDS_MAX) -> None:
        self._told.discard(intent.lease)
        async with total(seconds_max):
            try:
                await self._gateway.ask(REVOKE, requests.of_lease(intent.lease))
            except Rejected as error:
                if error.code != answers.NOT_FOUND:
                    raise

    async def watch(self, seen: ServiceRecord, *, seconds_max: float = WATCH_SECONDS_MAX) -> AsyncGenerator[Event]:
        record = seen
        lines = self._gateway.stream(WATCH, requests.watch(keys.prefix(seen.service), seen.revision + 1))
        ends = asyncio.get_running_loop().time() + seconds_max
        try:
            async with contextlib.aclosing(lines):
                while True:
                    # Not around the yields: a deadline must end in the task where it began.
                    async with asyncio.timeout_at(ends):
                        line = await anext(lines)
                    if line.get("created"):
                        yield record
                    if line.get("canceled"):
                        yield Ended(_canceled(line))
                        return
                    # A transaction's changes share a revision: nobody must see half of one.
                    for revision, changes in groupby(answers.events(line), key=lambda change: change.revision):
                        record = _with(record, changes, revision)
                        yield record
        except TimeoutError:
            yield Ended(f"watched for {seconds_max:.0f} s.")
        except StopAsyncIteration:
            yield Ended("the voter ended the watch.")
        except (Rejected, Unreachable) as error:
            yield NoLeader(error.what) if _has_no_leader(error) else Ended(error.what)

    async def _intend(self, intent: Intent) -> None:
        found = await self._transact(requests.intend(intent))
        record = keys.record_from(intent.service, found.entries, found.revision)
        if not found.held and not (record.intent and record.intent.lease == intent.lease):
            raise outcomes.intended_already(record)

    async def _read(self, service: str) -> ServiceRecord:
        answer = await self._gateway.ask(RANGE, requests.record_of(service))
        return keys.record_from(service, answers.entries(answer), answers.revision(answer))

    async def _transact(self, body: Body) -> Outcome:
        return answers.outcome(await self._gateway.ask(TXN, body))

    async def _grant(self, lease: int, ttl_seconds: int) -> int:
        """The TTL as granted, which may be longer than was asked; a lease that is there already is renewed."""
        try:
            return answers.number(await self._gateway.ask(GRANT, requests.grant(lease, ttl_seconds)), "TTL")
        except Rejected as error:
            if error.code != answers.FAILED_PRECONDITION:
                raise
        return await self._keepalive(lease)

    async def _keepalive(self, lease: int) -> int:
        """The TTL of the lease, renewed; 0 when it has ended."""
        return max(0, answers.number(await self._gateway.ask(KEEPALIVE, requests.of_lease(lease)), "TTL"))


def _lost(lease: Lease, found: Outcome) -> Lost:
    """Return the reason of the loss, also where no node of ours wrote what is in its place."""
    try:
        return outcomes.lost(keys.record_from(lease.service, found.entries, found.revision))
    except ApplianceError as error:
        return Lost(f"the lease on {lease.service} is no longer ours: {error}")


def _with(record: ServiceRecord, changes: Iterable[Entry | Gone], revision: int) -> ServiceRecord:
    for change in changes:
        if isinstance(change, Gone):
            record = keys.without(record, change.key, revision)
        else:
            record = keys.changed(record, change, revision)
    return record


def _canceled(line: Answer) -> str:
    if answers.number(line, "compact_revision"):
        return "the store no longer has the changes after the last seen revision."
    return f"etcd ended the watch: {line.get('cancel_reason', 'no reason')}."


def _has_no_leader(error: ApplianceError) -> bool:
    return isinstance(error, Rejected) and NO_LEADER in error.message
