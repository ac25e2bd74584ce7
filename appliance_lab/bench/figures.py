"""A figure: what was measured, what it is compared with, how it spreads, and whether the goal was met. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median

MET, MISSED, TOLD = "met", "missed", "told"


@dataclass(frozen=True)
class Spread:
    minimum: float
    median: float
    maximum: float


def spread(values: Iterable[float]) -> Spread:
    """The spread of one value or more."""
    ordered = sorted(values)
    return Spread(ordered[0], median(ordered), ordered[-1])


@dataclass(frozen=True)
class Goal:
    """The median must be at most, or with `at_least` at least, `limit`, and no value more than `each`."""

    limit: float
    at_least: bool = False
    each: float | None = None

    def is_met_by(self, found: Spread) -> bool:
        if self.each is not None and found.maximum > self.each:
            return False
        return found.median >= self.limit if self.at_least else found.median <= self.limit

    def __str__(self) -> str:
        limit = f"{'≥' if self.at_least else '≤'} {self.limit:g}"
        return limit if self.each is None else f"{limit}, each ≤ {self.each:g}"


@dataclass(frozen=True)
class Figure:
    """One line of the result. With `against`, the figure is `ours` divided by it run by run, and `unit` that of both.

    A figure without goal is only told, to be read beside one that has a goal.
    """

    name: str
    title: str
    unit: str
    ours: tuple[float, ...]
    against: tuple[float, ...] = ()
    rival: str = ""
    goal: Goal | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def values(self) -> tuple[float, ...]:
        """The values that the goal judges, run by run."""
        if not self.against:
            return self.ours
        return tuple(mine / theirs for mine, theirs in zip(self.ours, self.against, strict=True))

    @property
    def spread(self) -> Spread:
        return spread(self.values)

    @property
    def verdict(self) -> str:
        if self.goal is None:
            return TOLD
        return MET if self.goal.is_met_by(self.spread) else MISSED
