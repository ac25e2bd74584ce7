"""The next work to begin, and how long to wait otherwise. Pure: the same view and times give the same decisions.

Each kind of work says when it is next wanted, from its schedule or interval; a failure moves that by a wait that
doubles. Wanted work is begun in the order of urgency, as far as its worker class has room; works at one repository take
turns, so that a backup that is always due starves nothing:

    save   a backup until it has sealed, a pruning: reads and packs whole disks, so few at a time
    send   pushes, replications: mostly wait for the line, so each service has its own
    read   a catalogue: lists archives, one at a time
    lay    a warm standby: reads what was changed, at first all of a service, one at a time
    prove  a verification, a drill: read a copy apart, may take hours, one at a time
    keep   repair, exchange, scrub, pruning, check of what is kept for others: one at a time

A backup that has sealed only sends; days of first seeding over a thin line therefore stop neither other services nor
the next local backup of the same one. When a nearly full disk lets old archives go, `_prune` decides.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from appliance.agent.decisions import (
    BackUp,
    Catalogue,
    Check,
    Decision,
    Drill,
    Exchange,
    People,
    Prune,
    PruneVault,
    Push,
    Ready,
    Repair,
    Replicate,
    Scrub,
    Verify,
    Wait,
    Work,
)
from appliance.agent.intervals import EXCHANGE_SECONDS, Intervals
from appliance.backup.proofs.proof_times import CHECK_SECONDS, DRILL_SECONDS, SCRUB_SECONDS, VERIFY_SECONDS
from appliance.backup.vault.free_space import NEARLY_FULL_BYTES
from appliance.backup.writer.schedule import Due, NotDue, due
from appliance.monitor.view import Ahead, Attempt, Held, Now, OriginSeen, Readable, Running, View, Written, last_backup
from appliance.units import DAY, GIB, MINUTE, format_duration

SAVING_MAX = 2
READING_MAX = 1
INSTALLING_MAX = 1
PROVING_MAX = 1
KEEPING_MAX = 1
SILENT_SECONDS = 3 * EXCHANGE_SECONDS
SCRUB_ROUND_DAYS = 28
SCRUB_BYTES_MIN = GIB
PRUNE_VAULT_SECONDS = DAY
PRUNE_SECONDS = DAY
PRUNE_FROM_GENERATIONS = 24
ACCOUNTS_SECONDS = MINUTE
"""How long accounts stay as they are before they are saved: who changes one often changes more."""
HANDED_OVER_SECONDS = 15.0

_SAVE, _SEND, _READ, _INSTALL, _PROVE, _KEEP = "save", "send", "read", "lay", "prove", "keep"
_WORKER_CLASSES = {
    BackUp.kind: _SAVE,
    Prune.kind: _SAVE,
    Push.kind: _SEND,
    Replicate.kind: _SEND,
    Catalogue.kind: _READ,
    Ready.kind: _INSTALL,
    Verify.kind: _PROVE,
    Drill.kind: _PROVE,
}


@dataclass(frozen=True)
class _Candidate:
    """Work that is wanted in `seconds`, now when they are 0 or fewer."""

    seconds: float
    work: Work


def decide(view: View, now: Now, intervals: Intervals) -> tuple[Decision, ...]:
    """Return the work to begin at `now`, most urgent first; it always ends with a Wait, which may be all of it."""
    candidates = list(_candidates(view, now, intervals))
    wanted = _in_turn([candidate.work for candidate in candidates if candidate.seconds <= 0], view, now)
    begun = tuple(_with_room(wanted, view))
    later = min(
        (candidate for candidate in candidates if candidate.seconds > 0),
        key=lambda candidate: candidate.seconds,
        default=None,
    )
    return (*begun, _wait(later, begun, view, intervals))


def _wait(later: _Candidate | None, begun: tuple[Work, ...], view: View, intervals: Intervals) -> Wait:
    if later is not None and later.seconds <= intervals.look_seconds:
        return Wait(later.seconds, f"then {later.work.kind} {later.work.service}: {later.work.reason}")
    if begun or view.running:
        return Wait(intervals.look_seconds, "until work ends")
    if later is None:
        return Wait(intervals.look_seconds, "nothing to do")
    in_words = format_duration(later.seconds)
    return Wait(intervals.look_seconds, f"nothing to do; next is {later.work.kind} {later.work.service} in {in_words}")


def _in_turn(wanted: Sequence[Work], view: View, now: Now) -> list[Work]:
    """`wanted` with the works that lock a repository of this node reordered: the one tried longest ago comes first.

    In a fixed order of kinds a service whose backup reads longer than its interval, and so is always due, would never
    be pruned nor catalogued. Only the first backup after a takeover has no turn to wait for.
    """
    at_repository = [work for work in wanted if _is_at_repository(work.kind, work.service, view)]
    turns = iter(sorted(at_repository, key=lambda work: _turn(work, view, now)))
    return [next(turns) if _is_at_repository(work.kind, work.service, view) else work for work in wanted]


def _turn(work: Work, view: View, now: Now) -> int:
    """When `work` was tried last, by the ageing clock; an attempt from the future (the age was lost) is none."""
    taken_over = any(written.service == work.service and written.taken_over for written in view.written)
    attempt = view.last(work.kind, work.service)
    if (taken_over and work.kind == BackUp.kind) or attempt is None or attempt.age > now.age:
        return -1
    return attempt.age


def _with_room(wanted: Iterable[Work], view: View) -> Iterator[Work]:
    """Those of `wanted` that their worker class has room for, in their order; one at a time at each own repository."""
    free = {_SAVE: SAVING_MAX, _READ: READING_MAX, _INSTALL: INSTALLING_MAX, _PROVE: PROVING_MAX, _KEEP: KEEPING_MAX}
    in_use: set[str] = set()
    for running in view.running:
        if running.kind == BackUp.kind and has_sealed(running, view):
            continue
        _take(running.kind, running.service, free, in_use, view)
    for work in wanted:
        worker_class = _WORKER_CLASSES.get(work.kind, _KEEP)
        at_repository = _is_at_repository(work.kind, work.service, view)
        if free.get(worker_class, 1) > 0 and not (at_repository and work.service in in_use):
            _take(work.kind, work.service, free, in_use, view)
            yield work


def _take(kind: str, service: str, free: dict[str, int], in_use: set[str], view: View) -> None:
    worker_class = _WORKER_CLASSES.get(kind, _KEEP)
    if worker_class in free:
        free[worker_class] -= 1
    if _is_at_repository(kind, service, view):
        in_use.add(service)


def _is_at_repository(kind: str, service: str, view: View) -> bool:
    """Whether this work locks a repository that this node writes; a standby's catalogue reads a copy of its own."""
    written_here = any(written.service == service and written.ours for written in view.written)
    return written_here and kind in (BackUp.kind, Prune.kind, Catalogue.kind)


def has_sealed(running: Running, view: View) -> bool:
    """Whether a backup in progress has sealed its generation, and only sends it now."""
    newest = next((it.newest for it in view.written if it.service == running.service), None)
    return newest is not None and newest.name > running.baseline


def _candidates(view: View, now: Now, intervals: Intervals) -> Iterator[_Candidate]:
    """Everything that is wanted some day, the most urgent kinds first."""
    ours = [written for written in view.written if written.ours]
    holding = [held for held in view.held if held.newest or held.damage]
    for written in sorted(ours, key=lambda it: it.newest.as_of if it.newest else 0.0):
        yield from _back_up(written, view, now, intervals)
    for written in sorted(ours, key=lambda it: it.safety.held):
        yield from _push(written, view, now, intervals)
    for held in holding:
        yield from _replicate(held, view, now, intervals)
    for origin in view.origins:
        yield from _people(origin, view, now, intervals)
    for readable in view.readable:
        yield from _for_each_generation(_catalogue(readable), _rests(readable, now), view, now, intervals)
    for ahead in view.ahead:
        yield from _for_each_generation(_ready(ahead), _rests(ahead, now), view, now, intervals)
    for held in holding:
        yield from _keep(held, view, now, intervals)
    for name in view.being_removed:
        yield from _regularly(PruneVault(name, "unneeded data is removed"), PRUNE_VAULT_SECONDS, view, now, intervals)
    for written in ours:
        yield from _prune(written, view, now, intervals)
    for readable in view.readable:
        yield from _prove(readable, view, now, intervals)


def _back_up(written: Written, view: View, now: Now, intervals: Intervals) -> Iterator[_Candidate]:
    if (running := view.runs(BackUp.kind, written.service)) and not has_sealed(running, view):
        return
    attempt = view.last(BackUp.kind, written.service)
    answer = _due(written, attempt, view, now)
    wanted = 0.0 if isinstance(answer, Due) else answer.next_utc_seconds - now.wall
    work = BackUp(written.service, answer.reason)
    yield _Candidate(max(wanted, _held_back(BackUp.kind, attempt, now, intervals)), work)


def _due(written: Written, attempt: Attempt | None, view: View, now: Now) -> Due | NotDue:
    """By its schedule; before that for a newest generation of another writer, for other accounts than it has, and for
    who could not open it."""
    if written.taken_over:
        return Due(now.wall, f"generation {written.newest} is of the previous writer")
    if written.unsealed and written.newest and not written.starts_over:
        return Due(now.wall, f"no generation has an envelope yet for the present key of {', '.join(written.unsealed)}")
    answer = due(written.schedule, last_backup(written, attempt, now), now.wall, view.timezone)
    # A change made while the newest one was being made may not be in it.
    changed = written.accounts_changed
    if isinstance(answer, Due) or not written.newest or changed <= written.newest.time - ACCOUNTS_SECONDS:
        return answer
    still = changed + ACCOUNTS_SECONDS
    if still <= now.wall:
        return Due(still, f"accounts were changed since generation {written.newest}")
    return NotDue(min(still, answer.next_utc_seconds), "accounts were changed just now")


def _prune(written: Written, view: View, now: Now, intervals: Intervals) -> Iterator[_Candidate]:
    """Once a day, and once for each backup that found the disk full: old archives may have the room that it lacked.
    One that failed is tried again, so that what a full disk did is not reported for ever."""
    paused = written.shrunken and view.disk_free >= NEARLY_FULL_BYTES
    if paused or written.taken_over or view.runs(Prune.kind, written.service):
        return
    attempt, backup = view.last(Prune.kind, written.service), view.last(BackUp.kind, written.service)
    is_full = backup is not None and backup.failures > 0 and backup.disk_full
    if backup and is_full and (attempt is None or not backup.age <= attempt.age <= now.age):
        reason = "the disk is full, and old archives use space"
        yield _Candidate(_held_back(Prune.kind, attempt, now, intervals), Prune(written.service, reason))
    elif written.generations >= PRUNE_FROM_GENERATIONS or (attempt and attempt.failures):
        yield from _regularly(
            Prune(written.service, "old archives are deleted once a day"), PRUNE_SECONDS, view, now, intervals
        )


def _push(written: Written, view: View, now: Now, intervals: Intervals) -> Iterator[_Candidate]:
    """A newest generation of this writer that somebody lacks, unless work in progress is bringing it."""
    missing = written.missing
    if not missing or written.taken_over:
        return
    if view.runs(Push.kind, written.service) or view.runs(BackUp.kind, written.service):
        return
    waits = [_held_back(Push.kind, view.last(Push.kind, written.service, peer), now, intervals) for peer in missing]
    reason = f"generation {written.newest} is not yet at {', '.join(missing)}"
    yield _Candidate(min(waits), Push(written.service, reason, missing))


def _replicate(held: Held, view: View, now: Now, intervals: Intervals) -> Iterator[_Candidate]:
    """Send what is held here to the spares of lost replica nodes, and to peers found to lack it."""
    asked = view.last(Exchange.kind, held.service)
    for peer in dict.fromkeys((*held.targets, *(asked.to_bring if asked else ()))):
        attempt = view.last(Replicate.kind, held.service, peer)
        if _is_brought(held, peer, attempt, asked) or view.runs(Replicate.kind, held.service, peer):
            continue
        is_lost = f"{', '.join(held.lost)} is lost, so {peer} must hold it"
        work = Replicate(
            held.service, is_lost if peer in held.targets else f"{peer} lacks generations that are here", peer
        )
        yield _Candidate(_held_back(Replicate.kind, attempt, now, intervals), work)


def _is_brought(held: Held, peer: str, attempt: Attempt | None, asked: Attempt | None) -> bool:
    """Whether `peer` took all that it should: a target the newest generation here, another since it was asked."""
    if attempt is None or attempt.failures or held.newest is None:
        return False
    if peer in held.targets and attempt.mark != held.newest.name:
        return False
    return asked is None or peer not in asked.to_bring or attempt.age >= asked.age


def _catalogue(readable: Readable) -> Catalogue:
    reason = f"it lacks the names of generation {readable.newest}"
    return Catalogue(readable.service, reason, readable.source, readable.newest.name)


def _ready(ahead: Ahead) -> Ready:
    return Ready(ahead.service, f"generation {ahead.newest} may have to be served here", ahead.newest.name)


def _rests(came: Readable | Ahead, now: Now) -> float:
    """For how long a new copy is left alone. A node that hands over brings its last generation a moment before, and the
    node that takes over would wait for this work, which does not hurry, or share a small processor with it."""
    age = now.wall - came.received
    return HANDED_OVER_SECONDS - age if 0 <= age < HANDED_OVER_SECONDS else 0.0


def _for_each_generation(
    work: Catalogue | Ready, seconds: float, view: View, now: Now, intervals: Intervals
) -> Iterator[_Candidate]:
    """`work`, in `seconds` at the earliest, unless it was done for its generation."""
    attempt = view.last(work.kind, work.service)
    done = attempt is not None and not attempt.failures and attempt.mark == work.newest
    if not done and not view.runs(work.kind, work.service):
        yield _Candidate(max(seconds, _held_back(work.kind, attempt, now, intervals)), work)


def _people(origin: OriginSeen, view: View, now: Now, intervals: Intervals) -> Iterator[_Candidate]:
    """Its people log in here once it is silent, by what it saved last; those who do already, by each newer one.

    This happens once for each generation: a person who sent them away again is not overruled. It never goes by an older
    generation, which is the newest while that one is damaged: a person disabled since would come in again. A person
    must name the generation of a revoked origin: a thief of that box could have saved accounts of his own with it.
    """
    if origin.revoked:
        return
    silent = origin.lost or _is_silent(origin, view, now)
    attempt = view.last(People.kind, origin.service)
    done = attempt is not None and not attempt.failures and attempt.mark >= origin.newest.name
    if (silent or origin.let_in) and not done and not view.runs(People.kind, origin.service):
        reason = (
            f"{origin.node} is silent" if silent else f"its people log in here, and generation {origin.newest} arrived"
        )
        work = People(origin.service, reason, origin.node, origin.newest.name)
        yield _Candidate(_held_back(People.kind, attempt, now, intervals), work)


def _is_silent(origin: OriginSeen, view: View, now: Now) -> bool:
    """Whether it was asked and did not answer: while this agent rested, or was busy for hours, nobody listened."""
    asked = view.last(Exchange.kind, origin.service)
    if origin.seen_age is None or asked is None or asked.ok_age is None:
        return False
    return now.age - origin.seen_age > SILENT_SECONDS and asked.ok_age - origin.seen_age > EXCHANGE_SECONDS


def _keep(held: Held, view: View, now: Now, intervals: Intervals) -> Iterator[_Candidate]:
    """Return the work of a replica node for what it keeps; a scrub reads as much as makes a round of the whole quota in
    four weeks."""
    name = held.service
    if held.damage and not view.runs(Repair.kind, name):
        work = Repair(name, f"the replica is damaged ({len(held.damage)})")
        yield _Candidate(_held_back(Repair.kind, view.last(Repair.kind, name), now, intervals), work)
    if held.newest is None:  # one file that all generations share is enough for that: first it must come again
        return
    if not held.left:
        compare = Exchange(name, "replica nodes compare what they have every hour")
        soon = intervals.exchange_seconds(catching_up=_is_catching_up(held, view, now))
        yield from _regularly(compare, soon, view, now, intervals)
    budget = max(SCRUB_BYTES_MIN, held.quota_bytes // SCRUB_ROUND_DAYS)
    yield from _regularly(Scrub(name, "a part is read again every day", budget), SCRUB_SECONDS, view, now, intervals)
    yield from _regularly(PruneVault(name, "retention is applied every day"), PRUNE_VAULT_SECONDS, view, now, intervals)
    check = Check(name, "borg checks the replica every week")
    first = _spread(f"{view.node} {name}", CHECK_SECONDS) - now.age
    if view.last(Check.kind, name) is None and first > 0:
        yield _Candidate(first, check)
    else:
        yield from _regularly(check, CHECK_SECONDS, view, now, intervals)


def _is_catching_up(held: Held, view: View, now: Now) -> bool:
    """Whether older generations are still to come here, or another node said since the last exchange that it waits for
    some from here, and is not being brought them now."""
    last = view.last(Exchange.kind, held.service)
    if last is None or view.runs(Replicate.kind, held.service):
        return False
    return bool(last.to_come) or last.time < held.asked <= now.wall


def _spread(name: str, interval: int) -> float:
    """When in `interval` seconds the thing `name` has its turn, so that not all of them come at once: always the
    same."""
    return zlib.crc32(name.encode()) % interval


def _prove(readable: Readable, view: View, now: Now, intervals: Intervals) -> Iterator[_Candidate]:
    """Proofs of a node that is new begin a day, and a week, after its first start: the first backups come before."""
    share = Verify(readable.service, "a slice of what may be read here is decrypted every day")
    practice = Drill(readable.service, "a restore drill runs every week")
    for work, interval in ((share, VERIFY_SECONDS), (practice, DRILL_SECONDS)):
        if view.last(work.kind, work.service) is None and now.age < interval:
            yield _Candidate(interval - now.age, work)
        else:
            yield from _regularly(work, interval, view, now, intervals)


def _regularly(work: Work, interval: float, view: View, now: Now, intervals: Intervals) -> Iterator[_Candidate]:
    """`work` when `interval` has passed since it last worked, by the ageing clock."""
    if view.runs(work.kind, work.service):
        return
    attempt = view.last(work.kind, work.service)
    wanted = 0.0
    if attempt is not None and attempt.ok_age is not None and attempt.ok_age <= now.age:
        wanted = attempt.ok_age + interval - now.age
    yield _Candidate(max(wanted, _held_back(work.kind, attempt, now, intervals)), work)


def _held_back(kind: str, attempt: Attempt | None, now: Now, intervals: Intervals) -> float:
    """Seconds still to wait after a failure, or until a peer takes the next part; an attempt from the future (the age
    was lost) holds nothing back."""
    if attempt is None or attempt.age > now.age:
        return 0.0
    if attempt.later_seconds:
        return float(attempt.age + max(attempt.later_seconds, MINUTE) - now.age)
    if not attempt.failures:
        return 0.0
    return attempt.age + intervals.retry_seconds(kind, attempt.failures) - now.age
