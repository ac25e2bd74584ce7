"""What a node does when the table says so. Each action is safe to repeat and to cut; one that fails says why.

Whatever opens the service looks at the clock again right before: a decision may be old by then. Whatever it allows is
on the disk before it is done.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from appliance.coordination.port import Holder, Lost
from appliance.coordination.rules import LEASE_SECONDS_MAX
from appliance.errors import ApplianceError, Refused
from appliance.failover.claiming import REQUEST_SECONDS_MAX, acquire, claim_on, hear
from appliance.failover.fsm.model import STOPPING, Action, Decision
from appliance.failover.giving_up import release, resume_writes, sync
from appliance.failover.observe import acts_in_force, promoting, promotions, record_of
from appliance.failover.papers import newest
from appliance.failover.situation import Situation
from appliance.failover.votes import above_next, ask_all
from appliance.host.files import write_atomic
from appliance.node.branch import Branch
from appliance.node.failover_state import Lease
from appliance.trust.act import Act
from appliance.trust.grant import make_request, read_request
from appliance.trust.keys import public_line

A = Action


async def _read(it: Situation, decision: Decision) -> None:
    asked = it.site.clock.boottime()
    hear(it, await it.site.store.read(it.service, seconds_max=REQUEST_SECONDS_MAX), asked)
    if it.kept.given and it.site.copies.goes_on_without(it.service, it.kept.given) is False:
        it.keep(given="")


async def _renew(it: Situation, decision: Decision) -> None:
    lease = it.lease
    if lease is None:
        return
    left = lease.holding.ends - it.site.clock.boottime()
    try:
        held = await it.site.store.renew(lease.holding, seconds_max=max(0.1, min(left, REQUEST_SECONDS_MAX)))
    except Lost:
        if it.lease is lease:
            it.lose(lease)
        raise
    if it.lease is not None and it.lease.epoch == lease.epoch:
        renewed = it.lease.renewed(held)
        if decision.deadline is not None and it.site.services.look(it.service).writer:
            _bind(it, renewed)  # no renewal counts for what runs that its watchdog was not told of
        _proven(it, renewed)


def _proven(it: Situation, lease: Lease) -> None:
    it.prove(lease)
    it.lost = False
    held = lease.holding
    told = {"sent": held.sent, "ttl": held.ttl_seconds, "lease": held.lease}
    it.site.tell(it.service, lease.epoch, "renewal-proven", **told)


async def _return(it: Situation, decision: Decision) -> None:
    """The lease again, under the epoch that this node has: the very one, while the voters let it last."""
    site, own = it.site, it.own
    state = await site.store.read(it.service, seconds_max=REQUEST_SECONDS_MAX / 2)
    if own is None or (state.holder and state.holder.node != site.name):
        return
    had, lasts = it.lease, state.holder.lease if state.holder else 0  # a new leader lets all leases last anew
    if had and (had.epoch, had.holding.lease) == (own.epoch, lasts):  # not that of a claim that got no grant
        _proven(it, had.renewed(await site.store.renew(had.holding, seconds_max=REQUEST_SECONDS_MAX / 2)))
        return
    mine = state.owner is not None and state.owner.node == site.name and not state.owner.released
    held = await acquire(it, claim_on(it, state, f"continues under epoch {own.epoch}", resumes=mine))
    # A reboot may have forgotten until when, and an earlier version whom, an earlier takeover deposed.
    deposed = _deposed_until(it, it.kept.deposed_seconds) if it.kept.opened_epoch != own.epoch else 0.0
    _proven(it, Lease(site.boot_id, held, own.epoch, deposed_until=deposed))


async def _wake(it: Situation, decision: Decision) -> None:
    it.site.services.wake(it.service)


async def _expect(it: Situation, decision: Decision) -> None:
    it.site.copies.expect(it.service)


async def _take_over(it: Situation, decision: Decision) -> None:
    site = it.site
    state, record = it.state, record_of(it)
    if state is None or record is None:
        return
    by = "act" if promoting(it, acts_in_force(it)) else "release" if record.released else "vacancy"
    ousts = state.holder.revision if by == "act" and state.holder and state.holder.node != site.name else 0
    voting = site.bundle().voting
    epoch = voting.epoch_above(decision.above, it.service)
    site.tell(it.service, 0, "takeover-asked", by=by)
    claim = claim_on(it, state, f"takes over by {by}", ousts=ousts)
    if ousts and state.holder:  # before the store forgets it: a claim whose answer was lost may have deposed it
        it.keep(deposed_seconds=max(it.kept.deposed_seconds, _begun_for(state.holder)))
    held = await acquire(it, claim)
    deposed = _deposed_until(it, it.kept.deposed_seconds) if it.kept.deposed_seconds else 0.0
    site.tell(it.service, 0, "takeover-won", by=by, revision=held.revision)  # the epoch is a grant's
    _proven(it, Lease(site.boot_id, held, epoch, decision.above, deposed))


def _begun_for(holder: Holder) -> int:
    """The lease of `holder`, in seconds. One that does not say may be the longest."""
    return min(holder.ttl_seconds or LEASE_SECONDS_MAX, LEASE_SECONDS_MAX)


def _deposed_until(it: Situation, begun_for: int) -> float:
    """Until when a holder that was deposed now may go on by its own clock: a lease lasts as long as it was begun for,
    and may be older than the bundle that made leases shorter."""
    return it.site.clock.boottime() + max(it.site.timers.ttl, begun_for)


async def _ask_grant(it: Situation, decision: Decision) -> None:
    """A round of asking all brokers; what came is on the disk before it counts."""
    site, lease, present = it.site, it.lease, it.site.papers.grants.get(it.service)
    if lease is None or present is None:
        raise Refused(f"{it.service} has no grant yet: the first one is the territory key's.")
    reason = f"taken over by the voters' decision at revision {lease.holding.revision}"
    raw = make_request(
        site.key,
        service=it.service,
        repository=present.repository,
        writer=site.name,
        known_epoch=max(lease.above, present.epoch),
        reason=reason,
    )
    request = read_request(raw, public_line(site.key))
    papers = tuple(it.decode() for it in shown(it))
    found = await ask_all(site.brokers, request, papers, site.bundle().voting, REQUEST_SECONDS_MAX)
    if found.grant is None:
        it.rounds += 1
        above = above_next(found, present.epoch, it.rounds, site.bundle().voting)
        if above != lease.above and it.lease is not None:
            epoch = site.bundle().voting.epoch_above(above, it.service)
            it.prove(replace(it.lease, epoch=epoch, above=above))
        raise Refused("; ".join(f"{name}: {why}" for name, why in found.reasons.items()))
    _take_grant(it, found.grant, present.writer)
    it.show(found.grant)


def _take_grant(it: Situation, raw: bytes, before: str) -> None:
    site = it.site
    granted = site.papers.granters(it.service).read(raw)
    acts = acts_in_force(it)
    act = promoting(it, acts)
    # An epoch of its own that it never opened left nothing to go on from: what was named for that one still holds.
    again = it.kept.generation if before == site.name else ""
    generation = act.generation if act else again
    # Who promotes this node answers for what the last writer named and nobody can give it.
    required = "" if act or generation else it.kept.required if before == site.name else site.papers.last_of(it.service)
    adopts = before != site.name or it.kept.adopts
    it.keep(adopts=adopts, branch=Branch.NONE, generation=generation, required=required)
    write_atomic(it.granted_path, raw)
    if act:  # after the grant: one that is used up and brought nothing would never be obeyed
        _use_up(it, promotions(it, acts), generation)
    site.papers.take([raw])
    site.tell(it.service, granted.epoch, "granted")
    if it.lease is not None:
        it.prove(replace(it.lease, epoch=granted.epoch))


def _use_up(it: Situation, acts: tuple[Act, ...], generation: str) -> None:
    """Go on from `generation`. None of `acts` promotes this node again: one that is left over would oust whoever writes
    the service next."""
    served = it.kept.served_acts
    left = [act.document.digest for act in acts if act.document.digest not in served]
    it.keep(generation=generation, served_acts=(*served, *left))


def shown(it: Situation) -> tuple[bytes, ...]:
    """The papers of this service that this node shows to whom it asks."""
    granted = it.site.papers.grants.get(it.service)
    given_up = it.site.papers.release_of(it.service)
    acts = (act.document.raw for act in acts_in_force(it) if act.act in ("promote", "quarantine", "lost"))
    return (*([granted.document.raw] if granted else []), *([given_up.document.raw] if given_up else []), *acts)


async def _present(it: Situation, decision: Decision) -> None:
    own = it.own
    told = await it.site.copies.present(it.service)
    if told.newer:
        it.keep(refused_by_epoch=max(told.newer, it.kept.refused_by_epoch))
    if told.accepted and own is not None:
        it.keep(acknowledged_epoch=own.epoch)


async def _cut_network(it: Situation, decision: Decision) -> None:
    had = it.site.network.has_address(it.service)
    await it.site.network.cut(it.service)
    if had:
        it.site.tell(it.service, _epoch(it), "address-del")


async def _stop(it: Situation, decision: Decision) -> None:
    ran = it.site.services.look(it.service).writer
    await it.site.services.stop(it.service)
    it.healthy = False
    if ran:
        it.site.tell(it.service, _epoch(it), "writer-stop")


async def _reset(it: Situation, decision: Decision) -> None:
    it.site.services.reset(it.service)


async def _arm_watchdog(it: Situation, decision: Decision) -> None:
    tie(it, decision)


def tie(it: Situation, decision: Decision) -> None:
    """Give the watchdog the deadline of the lease, or take it away from who may go on alone.

    Once the lease is gone the deadline that was proven last stands: what still runs must not outlive it.
    """
    if decision.deadline is None:
        it.site.watchdog.watch(it.service, it.kept.opened_epoch, None)
    elif it.lease is not None:
        _bind(it, it.lease)


def _bind(it: Situation, lease: Lease) -> None:
    deadline = it.site.timers.dead_at(lease.holding.sent, lease.holding.ttl_seconds)
    it.site.watchdog.watch(it.service, it.kept.opened_epoch, deadline)


async def _start(it: Situation, decision: Decision) -> None:
    own, alone = it.own, decision.deadline is None
    if own is None or it.site.services.look(it.service).writer:
        return
    if it.kept.opened_epoch != own.epoch:
        await _adopt(it)
    if not it.may_write(alone) or own.epoch < newest(it.site.papers.grants, it.service):
        raise Refused("the lease expired before the service started.")
    it.keep(
        opened_epoch=own.epoch,
        tail=True,
        adopts=False,
        generation="",
        synced="",
        given="",
        required="",
        deposed_seconds=0,
    )
    _tie(it, decision)  # what was laid in place meanwhile may have taken longer than the deadline that is there
    it.started_at = it.site.clock.boottime()  # from now on it has its time to come up
    it.starting = True
    try:
        await it.site.services.start(it.service, own.epoch)
    finally:
        it.starting = False
    it.site.tell(it.service, own.epoch, "writer-start", took=round(it.site.clock.boottime() - it.started_at, 3))
    try:
        _tie(it, decision)
    except (ApplianceError, OSError):
        await _stop(it, decision)  # nothing would end it if this program hung
        raise


def _tie(it: Situation, decision: Decision) -> None:
    """`tie`, which must go well where a lease binds. Nothing ends who goes on alone, so there it is trouble only: on a
    full disk the watchdog cannot be told, and its people could not even make room."""
    if decision.deadline is not None:
        tie(it, decision)
        return
    with it.telling(str(A.ARM_WATCHDOG)):
        tie(it, decision)


async def _adopt(it: Situation) -> None:
    """As long as it takes; only a service that is in place and does not start is given to another after a while."""
    _hear_promotions(it)
    with it.moving_files():
        laid = None
        while laid != (it.kept.generation, it.kept.required):  # an act that came meanwhile may name another
            generation, required = laid = it.kept.generation, it.kept.required
            keep_files = not it.kept.adopts
            await it.site.copies.adopt(it.service, keep_files=keep_files, generation=generation, required=required)
            _hear_promotions(it)


def _hear_promotions(it: Situation) -> None:
    """Have what promotes this node do so now: until it opens its epoch the last act may still say from where to go on.

    An act whose grant is here was left as if it had promoted nobody when the power failed right after that.
    """
    acts = promotions(it, acts_in_force(it))
    says = acts and it.kept.adopts and acts[-1].document.digest not in it.kept.served_acts
    if says:
        it.keep(required="")
    _use_up(it, acts, acts[-1].generation if says else it.kept.generation)


async def _probe(it: Situation, decision: Decision) -> None:
    await it.probe()


async def _add_address(it: Situation, decision: Decision) -> None:
    if not it.may_write(decision.deadline is None) or not it.site.services.look(it.service).writer:
        raise Refused("it must not be served here any more.")
    if not it.site.network.has_address(it.service):
        await it.site.network.add_address(it.service)
        it.site.tell(it.service, _epoch(it), "address-add")


async def _serve_copy(it: Situation, decision: Decision) -> None:
    await it.site.copies.lay_copy(it.service)
    await it.site.services.serve_copy(it.service)


async def _pull(it: Situation, decision: Decision) -> None:
    asked = it.site.clock.boottime()
    await it.site.copies.pull(it.service)
    it.pulled_at = asked


async def _keep_branch(it: Situation, decision: Decision) -> None:
    """Once it is kept it no longer keeps the service; merging is a command, where the service is written again."""
    with it.moving_files():
        where = await it.site.copies.keep_branch(it.service, it.kept.opened_epoch)
    it.keep(branch=Branch.KEPT, tail=False, given="")
    it.site.tell(it.service, it.kept.opened_epoch, "branch", values=[], where=where)
    merge = f"appliance failover merge {it.service}"
    with it.telling(str(A.ALARM)):
        told = f"`{merge} --dry-run` shows what differs once it is written here again"
        if it.plan.kind != "files":
            told = f"a database is never merged: check its dump there, then `{merge} --leave`"
        it.site.alarm(
            it.service, f"writes made here while another node wrote the service are kept in branches/; {told}"
        )


async def _alarm(it: Situation, decision: Decision) -> None:
    it.site.alarm(it.service, f"{decision.row}: {decision.reason}")


def _epoch(it: Situation) -> int:
    return it.kept.opened_epoch


DOES: Mapping[Action, Callable[[Situation, Decision], Awaitable[None]]] = {
    A.READ: _read,
    A.RENEW: _renew,
    A.RETURN: _return,
    A.WAKE: _wake,
    A.EXPECT: _expect,
    A.TAKE_OVER: _take_over,
    A.RELEASE: release,
    A.ASK_GRANT: _ask_grant,
    A.PRESENT: _present,
    A.CUT_NETWORK: _cut_network,
    A.STOP: _stop,
    A.SET_READ_ONLY: lambda it, _: it.site.services.set_read_only(it.service),
    A.RESET: _reset,
    A.ARM_WATCHDOG: _arm_watchdog,
    A.START: _start,
    A.PROBE: _probe,
    A.ADD_ADDRESS: _add_address,
    A.SERVE_COPY: _serve_copy,
    A.WITHDRAW_COPY: lambda it, _: it.site.services.withdraw_copy(it.service),
    A.PULL: _pull,
    A.HOLD_WRITES: lambda it, _: it.site.services.hold(it.service),
    A.RESUME_WRITES: resume_writes,
    A.SYNC: sync,
    A.KEEP_BRANCH: _keep_branch,
    A.ALARM: _alarm,
}


CLOSING = frozenset({*STOPPING, A.RESET, A.WITHDRAW_COPY, A.ALARM})
"""Each makes it safer by itself, or calls a person: it is done whatever failed before it."""


async def perform(it: Situation, decision: Decision) -> bool:
    """Do what `decision` says, in order; whether all of it was done. After one that fails only what closes goes on, and
    the table asks again. A person who cannot be called, as on a full disk, ends nothing."""
    done = True
    for action in decision.actions:
        if not done and action not in CLOSING:
            continue
        it.last[action] = it.site.clock.boottime()
        with it.telling(str(action)):
            await DOES[action](it, decision)
        done = done and (action is A.ALARM or str(action) not in it.trouble)
    return done
