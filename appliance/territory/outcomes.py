"""The outcome of each event for all services, judged at once with bit sets: the sum of the verdicts of `survival.py`.
Pure.

A verdict is only made of a service that does not survive. Pairs of nodes grow with the square of the towns, and their
verdicts with the cube; nearly all of those say that a service survives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from appliance.territory.model import Placement, Territory
from appliance.territory.survival import Loss, Verdict, judge, losses


@dataclass(frozen=True)
class Outcome:
    """The sum of the verdicts on `loss`: how many services survive, the fewest copies beside the origin that one of
    these is left with (0 when none survives), and the verdicts on the others, by name."""

    loss: Loss
    surviving: int
    fewest: int
    lost: tuple[Verdict, ...]


def outcomes(territory: Territory, placements: Mapping[str, Placement]) -> tuple[Outcome, ...]:
    """The outcome of each event, in the order of KINDS; none where there are no services."""
    if not territory.services:
        return ()
    sets = _ServiceSets(territory, placements)
    return tuple(_outcome(territory, placements, sets, loss) for loss in losses(territory))


class _ServiceSets:
    """Services as bit sets: bit i is the i-th service by name. An event is judged for all of them at once."""

    def __init__(self, territory: Territory, placements: Mapping[str, Placement]) -> None:
        self.names = sorted(territory.services)
        self.every = (1 << len(self.names)) - 1
        self._home = dict.fromkeys(territory.nodes, 0)
        self._held = dict.fromkeys(territory.nodes, 0)
        most = max(len(placements[name].holders) for name in self.names)
        self._at_most = [0] * most + [self.every]
        for index, name in enumerate(self.names):
            bit, holders = 1 << index, placements[name].holders
            self._home[territory.services[name].node] |= bit
            for node in holders:
                self._held[node] |= bit
            for copies in range(len(holders), most):
                self._at_most[copies] |= bit

    def left(self, nodes: Iterable[str]) -> tuple[int, list[int]]:
        """The services whose origin is among the lost `nodes`; and those with at most 0, 1, 2… copies left."""
        struck, at_most = 0, self._at_most
        for node in nodes:
            struck |= self._home[node]
            held = self._held[node]
            at_most = [*(fewer | more & held for fewer, more in pairwise(at_most)), self.every]
        return struck, at_most

    def named(self, services: int) -> list[str]:
        return [name for index, name in enumerate(self.names) if services >> index & 1]


def _outcome(territory: Territory, placements: Mapping[str, Placement], sets: _ServiceSets, loss: Loss) -> Outcome:
    struck, at_most = sets.left(loss.nodes)
    gone = struck & at_most[0]
    surviving = sets.every & ~gone
    fewest = next((copies for copies, services in enumerate(at_most) if services & surviving), 0)
    names = sets.named(gone) if gone else ()
    lost = tuple(judge(territory, territory.services[name], placements[name], loss) for name in names)
    return Outcome(loss, surviving.bit_count(), fewest, lost)
