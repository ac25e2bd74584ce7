"""Histories of generations for tests of what a peer keeps: drawn ones, and ones made of ages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from hypothesis import strategies as st

from appliance.backup.chain.retention import YEAR, Drop, Generation, Keep, prune
from appliance.trust.generation import NO_PARENT, GenerationId
from appliance.units import DAY

LOCK = 30 * DAY


def digest(epoch: int, sequence: int, side: int = 0) -> str:
    return f"{epoch:06x}{sequence:010x}{side:048x}"


def generation(epoch: int, sequence: int, received: int, previous: str, side: int = 0) -> Generation:
    return Generation(GenerationId(epoch, sequence, digest(epoch, sequence, side)), previous, received)


def line(ages: Iterable[int], epoch: int = 2, parent: str = NO_PARENT) -> list[Generation]:
    """One epoch's generations, received at `ages`."""
    found = []
    for sequence, age in enumerate(ages, 1):
        found.append(generation(epoch, sequence, age, parent))
        parent = found[-1].id.digest
    return found


def kept(decisions: Iterable[Keep | Drop]) -> list[GenerationId]:
    return [decision.id for decision in decisions if isinstance(decision, Keep)]


def after(generations: list[Generation], now: int, lock: int = LOCK) -> list[Generation]:
    """The same generations once the decisions are carried out: headers stay."""
    left = set(kept(prune(generations, now, lock)))
    return [replace(item, held=item.held and item.id in left) for item in generations]


@st.composite
def histories(draw: st.DrawFn) -> list[Generation]:
    """Two or three epochs, each with a parent in an earlier one; some ends of an epoch are forks."""
    found: list[Generation] = []
    age = 0
    for epoch in draw(st.sampled_from([(2,), (2, 4), (2, 3, 8)])):
        gaps = draw(st.lists(st.integers(0, 40 * DAY), min_size=1, max_size=25))
        ages = []
        for gap in gaps:
            age += gap
            ages.append(age)
        parent = draw(st.sampled_from([item.id.digest for item in found])) if found else NO_PARENT
        found += line(ages, epoch, parent)
        if draw(st.booleans()):
            last = found[-1]
            found.append(generation(epoch, last.id.sequence, age, last.previous, side=1))
    return draw(st.permutations(found))


nows = st.integers(0, 12 * YEAR)
locks = st.integers(0, 90 * DAY)
