"""What is kept. Pure.

The origin prunes its own repository by counts. A peer decides for itself which generations it keeps, and these are its
rules, whatever the origin asks:

1. Everything younger than the lock is kept.
2. After the lock: the first and the last of each day for 60 days more, of each week for 26 weeks more, of each month
   for ten years. The first as well as the last, because who takes over an origin can make the last of any day, but
   never what came before it.
3. The newest of each branch and of each epoch is kept for ever; not of an epoch that a revocation ended, once a newer
   one is held: somebody could know its key, so it ends after ten years with the rest. Nor of a service that left the
   territory: its last copy goes after ten years, too.
4. A node that holds the service no more gives up what the present holders have, once each has shown for a whole lock
   that it holds something as new (`vault/relief.py`).
5. Nothing is dropped while thinning is frozen.

Ten years and not for ever: what residents may have erased must end somewhere, and a backup is not the town's archive.
Days, weeks and months are counted on the holder's own ageing clock, from receipt; a month is four weeks, so that
months begin where weeks do and the first of a month is still there when weeks stop counting. No wall time is read, so
none can be forged: a clock that is wrong by years neither drops nor keeps anything.
"""

from __future__ import annotations

from collections.abc import Iterable
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


TIERS = (Tier("day", DAY, 60 * DAY), Tier("week", WEEK, 26 * WEEK), Tier("month", MONTH, 10 * YEAR))


@dataclass(frozen=True)
class Generation:
    """A generation that a holder knows. `previous` is its parent's digest, `received_age_seconds` the holder's ageing
    clock at receipt. `held` is false when only the header is left: it still tells what the newest of a branch is."""

    id: GenerationId
    previous: str
    received_age_seconds: int
    held: bool = True


@dataclass(frozen=True)
class Keep:
    id: GenerationId
    reason: str


@dataclass(frozen=True)
class Drop:
    id: GenerationId
    reason: str


def thin(
    generations: Iterable[Generation],
    now_age_seconds: int,
    lock_seconds: int,
    frozen: bool = False,
    ended: int = 0,
    goes_on: bool = True,
) -> tuple[Keep | Drop, ...]:
    """What to do with each held generation of one service, in their order; `now_age_seconds` is the ageing clock now.

    Epochs up to `ended` are those that a revocation ended; a service that left the territory does not go on.

    A generation received "later than now" (the ageing clock was lost and starts anew) counts as young.
    """
    known = sorted(generations, key=lambda generation: generation.id)
    held = [generation for generation in known if generation.held]
    newest = _newest(known) if goes_on else {}
    if held and held[-1].id.epoch > ended:
        newest = {name: reason for name, reason in newest.items() if name.epoch > ended}
    edges = {tier.name: _edges(held, tier.period_seconds) for tier in TIERS}
    return tuple(
        _decide(generation, now_age_seconds - generation.received_age_seconds, lock_seconds, frozen, newest, edges)
        for generation in held
    )


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
        return Keep(name, "thinning is frozen")
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

    Of an epoch that is the highest held: later ones went to others, and their headers alone came here.
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


def _edges(held: list[Generation], period_seconds: int) -> dict[GenerationId, str]:
    """The first and the last received in each period."""
    in_order = sorted(held, key=lambda generation: (generation.received_age_seconds, generation.id))
    firsts: dict[int, GenerationId] = {}
    lasts: dict[int, GenerationId] = {}
    for generation in in_order:
        period = generation.received_age_seconds // period_seconds
        firsts.setdefault(period, generation.id)
        lasts[period] = generation.id
    return dict.fromkeys(lasts.values(), "the last") | dict.fromkeys(firsts.values(), "the first")
