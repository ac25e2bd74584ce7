"""Where in the range of its grant a run begins, so that two branches of one history do not meet in it. Pure.

A machine whose whole snapshot was put back, or that was thawed or cloned, writes a second history from an old counter.
A replica node that took something newer says so; a silent one does not. So the range of a grant is cut into stretches,
each with a lane for every answer that the replica nodes can give together, and a run writes in the lane of those that
answered it. Two branches in one lane were answered by the same nodes: those that took what the first one wrote refuse
the second. Two in different lanes use different counters.

Where that proves nothing, because no node answered, or the node that answered took nothing or hides it, the place is
drawn: for a run that all answered, only where a sign says that the machine was perhaps put back. The risk that is left
is in `docs/decisions/0066-lanes-of-counters.md`, with the arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from appliance.borg.nonce import NONCE_BURN, NONCE_RANGE, floor_of

STRETCH = 2**35
"""Counters of one stretch; 8,192 of them make a range."""
ECONOMY = NONCE_RANGE // 4
"""The part that is not spent on lanes and draws: 262,144 borg processes, ten years of one or two each hour."""
DRAWN_OF = 2**14
"""A run that not all answer is set on by up to this part of what is left."""
DRAWN_OF_SIGNED = 2**7
"""The same where a sign says that the machine is perhaps not the one that wrote last: 200 of these leave 45 %."""

Draw = Callable[[int], int]


@dataclass(frozen=True)
class Lane:
    """The counters from `start`, `size` of them, of each stretch. A run begins among the first `drawn` of them, and has
    the rest for three borg processes that write 4 GiB together; more passes its end."""

    start: int
    size: int
    drawn: int


_ROOM = 4 * NONCE_BURN
ALL = Lane(0, STRETCH // 2, STRETCH // 8)
ALONE = Lane(STRETCH // 2, STRETCH // 4, STRETCH // 8)


def lane_of(answered: Sequence[bool]) -> Lane:
    """The lane of a run: which of those who could have taken something newer `answered`, in a fixed order.

    From the third on they count as one, that answers when all of them do.
    """
    if all(answered):
        return ALL
    if not any(answered):
        return ALONE
    first, second, *others = answered
    number = 4 * first + 2 * second + all(others)
    return Lane(ALONE.start + ALONE.size + number * _ROOM, _ROOM, NONCE_BURN)


def start_of(value: int, index: int, lane: Lane, *, signed: bool, draw: Draw) -> int:
    """The counter from which a run in `lane` under the grant `index` begins, when `value` is the next free one.

    `signed`: whether a sign says that this is perhaps not the machine that wrote last. `draw` gives an even chance to
    each number below its argument. In the last quarter of the range, and outside it, the answer is `value`.
    """
    floor = floor_of(index)
    left = floor + NONCE_RANGE - value
    if not ECONOMY <= left <= NONCE_RANGE:
        return value
    if lane == ALL and not signed:  # those who answered took what was written before, or hide it
        return value if (value - floor) % STRETCH <= ALL.size - _ROOM else _in_next(value, floor, ALL)
    drawn = draw(left // (DRAWN_OF_SIGNED if signed else DRAWN_OF))
    return _in_next(value + drawn, floor, lane) + draw(lane.drawn)


def _in_next(value: int, floor: int, lane: Lane) -> int:
    """Where `lane` begins next, from `value` on."""
    return floor + lane.start - (floor + lane.start - value) // STRETCH * STRETCH
