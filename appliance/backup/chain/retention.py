"""The retention rules. Pure.

The origin prunes its own repository by counts. A peer decides for itself which generations it keeps, and these are its
rules, whatever the origin asks:

1. Everything younger than the lock is kept.
2. After the lock: the first and the last of each day for 60 days more, of each week for 26 weeks more, of each month
   for ten years. The first as well as the last, because an attacker who takes over an origin can make the last of any
   day, but never what came before it.
3. The newest of each branch and of each epoch is kept for ever; not of an epoch that a revocation ended, once a newer
   one is held: somebody could know its key, so it ends after ten years with the rest. Nor of a service that left the
   territory: its last copy goes after ten years, too.
4. A node that is no longer a replica node of the service gives up what the present ones have, once each has shown for
   a whole lock that it holds something as new (`vault/maintenance/former_replica.py`).
5. Nothing is dropped while pruning is frozen.
6. In a full quota, what rule 2 keeps is pruned early (`prune_early`): the oldest goes before its time, one generation
   a day. The first whole generation of each of the twelve months after the lock stays, so that a quota must be filled
   for a year, in which every replica node warns, before nothing older is left.

Ten years and not for ever: data that residents may have erased must end somewhere, and a backup is not the town's
archive. Days, weeks and months are counted on the replica node's own ageing clock, from receipt; a month is four weeks,
so that months begin where weeks do and the first of a month is still there when weeks stop counting. No wall time is
read of what the writer brought, so none can be forged: a clock that is wrong by years neither drops nor keeps anything.

A generation that another replica node handed on came here later than it was made, and all at once. That node says when
it came there, and its header, which the writer signed, says it too. Neither is believed alone: it ages by the later of
the two, and stays when it is the first or the last of its period by either. Generations that were handed on never count
among those that the writer brought itself, nor the other way round: a replica node that lies of an age makes no other
generation go.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass

from appliance.trust.generation import GenerationId
from appliance.units import DAY, format_duration

WEEK, MONTH, YEAR = 7 * DAY, 28 * DAY, 365 * DAY


@dataclass(frozen=True)
class Tier:
    """For `seconds` after the lock, the first and the last of each period of `period_seconds` are kept."""

    name: str
    period_seconds: int
    seconds: int


FLOOR_MONTHS = 12
"""For how many months after the lock a full quota keeps one whole generation of each."""
TIERS = (Tier("day", DAY, 60 * DAY), Tier("week", WEEK, 26 * WEEK), Tier("month", MONTH, 10 * YEAR))


@dataclass(frozen=True)
class Generation:
    """A generation that a holder knows. `previous` is its parent's digest, `received_age_seconds` the holder's ageing
    clock at receipt. `held` is false when only the header is left: it still tells what the newest of a branch is.
    `whole` is what its writer says of the newest archive in it. `relayed` are the two readings of when one that was
    handed on came to who did, by that holder's word and by its header, on the same clock; nothing where the writer
    brought it. `received_age_seconds` is then the later of them."""

    id: GenerationId
    previous: str
    received_age_seconds: int
    held: bool = True
    whole: bool = True
    relayed: tuple[int, int] | None = None


type Aged = tuple[int, Generation]
type Line = list[Aged]


@dataclass(frozen=True)
class Keep:
    id: GenerationId
    reason: str


@dataclass(frozen=True)
class Drop:
    id: GenerationId
    reason: str


def prune(
    generations: Iterable[Generation],
    now_age_seconds: int,
    lock_seconds: int,
    frozen: bool = False,
    ended: int = 0,
    goes_on: bool = True,
) -> tuple[Keep | Drop, ...]:
    """Decide on each held generation of one service, in their order; `now_age_seconds` is the ageing clock now.

    Epochs up to `ended` are those that a revocation ended; a service that left the territory does not go on.

    A generation received "later than now" (the ageing clock was lost and starts over) counts as young.
    """
    known = sorted(generations, key=lambda generation: generation.id)
    held = [generation for generation in known if generation.held]
    newest = _newest_going_on(known, held, ended) if goes_on else {}
    in_order = _in_order(held)
    edges = {tier.name: _edges_of_whole(in_order, tier.period_seconds) for tier in TIERS}
    return tuple(
        _decide(generation, now_age_seconds - generation.received_age_seconds, lock_seconds, frozen, newest, edges)
        for generation in held
    )


def prune_early(
    generations: Iterable[Generation],
    now_age_seconds: int,
    lock_seconds: int,
    young: Container[GenerationId] = (),
    ended: int = 0,
) -> Drop | None:
    """Return what a full quota lets go next of what `prune` keeps; None when nothing may go, and then the vault
    refuses.

    The oldest first, which frees most: files that every later generation has too cost nothing. Never anything younger
    than the lock or in `young`, the newest of a branch or an epoch, nor the first whole generation of a month within
    FLOOR_MONTHS after the lock: the first, as nobody can make it afterwards.
    """
    known = sorted(generations, key=lambda generation: generation.id)
    held = [generation for generation in known if generation.held]
    floor = _firsts_of_months(held, now_age_seconds - lock_seconds - FLOOR_MONTHS * MONTH)
    fixed = {*_newest_going_on(known, held, ended), *floor}
    able = [
        it
        for it in held
        if now_age_seconds - it.received_age_seconds >= lock_seconds and it.id not in fixed and it.id not in young
    ]
    oldest = min(able, key=lambda it: (it.received_age_seconds, it.id), default=None)
    return Drop(oldest.id, "the quota is full, and it is the oldest that may be removed") if oldest else None


def _firsts_of_months(held: list[Generation], since_age_seconds: int) -> set[GenerationId]:
    """Return the first generation of each month received later than `since_age_seconds`; a whole one where there is
    any."""
    found: set[GenerationId] = set()
    for line in _in_order(held):
        firsts: dict[int, GenerationId] = {}
        for age, generation in sorted(line, key=lambda it: not it[1].whole):
            if age > since_age_seconds:
                firsts.setdefault(age // MONTH, generation.id)
        found.update(firsts.values())
    return found


def _decide(
    generation: Generation,
    age_seconds: int,
    lock_seconds: int,
    frozen: bool,
    newest: dict[GenerationId, str],
    edges: dict[str, dict[GenerationId, str]],
) -> Keep | Drop:
    name = generation.id
    if frozen:
        return Keep(name, "pruning is frozen")
    if age_seconds < lock_seconds:
        return Keep(name, f"younger than the lock of {format_duration(lock_seconds)}")
    if name in newest:
        return Keep(name, newest[name])
    for tier in TIERS:
        if age_seconds < lock_seconds + tier.seconds:
            if edge := edges[tier.name].get(name):
                return Keep(name, f"{edge} of its {tier.name}")
            return Drop(name, f"neither the first nor the last of its {tier.name}, {format_duration(age_seconds)} old")
    return Drop(name, f"older than all that is kept, {format_duration(age_seconds)}")


def _newest(known: list[Generation]) -> dict[GenerationId, str]:
    """Each branch's end and each epoch's highest sequence (two of them in a fork), with the reason to keep it.

    The highest of an epoch is the highest held: later ones went to others, and their headers alone came here.
    """
    parents = {generation.previous for generation in known}
    held = [generation for generation in known if generation.held]
    heights = {}
    for generation in held:
        heights[generation.id.epoch] = generation.id.sequence  # sorted, so the highest comes last
    ends = {generation.id: "the newest of its branch" for generation in known if generation.id.digest not in parents}
    tops = {
        generation.id: "the newest of its epoch"
        for generation in held
        if generation.id.sequence == heights[generation.id.epoch]
    }
    return tops | ends


def _newest_going_on(known: list[Generation], held: list[Generation], ended: int) -> dict[GenerationId, str]:
    """As `_newest`, but without epochs that a revocation ended once a newer one is held."""
    newest = _newest(known)
    if held and held[-1].id.epoch > ended:
        return {name: reason for name, reason in newest.items() if name.epoch > ended}
    return newest


def _in_order(held: Iterable[Generation]) -> tuple[Line, ...]:
    """Return the generations that the writer brought, and those handed on by either reading; each in the order of
    receipt."""
    brought, by_word, by_header = list[Aged](), list[Aged](), list[Aged]()
    for generation in held:
        if generation.relayed is None:
            brought.append((generation.received_age_seconds, generation))
        else:
            by_word.append((generation.relayed[0], generation))
            by_header.append((generation.relayed[1], generation))
    return tuple(sorted(line, key=lambda it: (it[0], it[1].id)) for line in (brought, by_word, by_header))


def _edges_of_whole(in_order: Iterable[Line], period_seconds: int) -> dict[GenerationId, str]:
    """The first and the last received in each period, and the first and the last of those that are whole."""
    found: dict[GenerationId, str] = {}
    for line in in_order:
        whole = [(age, generation) for age, generation in line if generation.whole]
        found |= _edges(whole, period_seconds) | _edges(line, period_seconds)
    return found


def _edges(line: Line, period_seconds: int) -> dict[GenerationId, str]:
    """The first and the last received in each period."""
    firsts: dict[int, GenerationId] = {}
    lasts: dict[int, GenerationId] = {}
    for age, generation in line:
        period = age // period_seconds
        firsts.setdefault(period, generation.id)
        lasts[period] = generation.id
    return dict.fromkeys(lasts.values(), "the last") | dict.fromkeys(firsts.values(), "the first")
