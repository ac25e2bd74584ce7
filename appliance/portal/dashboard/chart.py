"""A line over time as an SVG of our own: where each point lies. Pure; how it looks is in the style sheet."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

WIDTH, HEIGHT = 360, 200
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 14, 30
GRIDS = 4
_STEPS = (1, 2, 2.5, 5, 10)
_TIMES = (1, 5, 10, 30, 60, 300, 600, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 432000, 864000, 2592000)

type Point = tuple[float, float]


@dataclass(frozen=True)
class Chart:
    """`lines` are broken where nothing is known; a point alone is a line of one. `rows`: (y, value) of the grid,
    `columns`: (x, moment) that are named, `promise`: where the promised value lies."""

    lines: tuple[tuple[Point, ...], ...]
    rows: tuple[tuple[float, float], ...]
    columns: tuple[tuple[float, float], ...]
    promise: float | None = None


def draw(
    moments: Sequence[float], values: Sequence[float | None], promised: float | None = None, *, of_time: bool = False
) -> Chart | None:
    """None where no value is known at all. `of_time`: values are seconds, whose grid has whole hours or days."""
    known = [it for it in values if it is not None]
    if not known:
        return None
    step = _step(max(*known, promised or 0.0, 0.0) or 1.0, of_time=of_time)
    top = step * GRIDS

    def x(moment: float) -> float:
        span = moments[-1] - moments[0] or 1.0
        return round(LEFT + (moment - moments[0]) / span * (WIDTH - LEFT - RIGHT), 1)

    def y(value: float) -> float:
        return round(HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM), 1)

    points = [
        (x(moment), y(value)) if value is not None else None for moment, value in zip(moments, values, strict=True)
    ]
    named = (moments[0], moments[len(moments) // 2], moments[-1])
    return Chart(
        tuple(_runs(points)),
        tuple((y(number * step), number * step) for number in range(GRIDS + 1)),
        tuple((x(it), it) for it in named),
        y(promised) if promised is not None else None,
    )


def _runs(points: Sequence[Point | None]) -> Iterator[tuple[Point, ...]]:
    for is_known, run in groupby(points, key=lambda it: it is not None):
        if is_known:
            yield tuple(it for it in run if it is not None)


def _step(most: float, *, of_time: bool) -> float:
    """How far apart the lines of the grid are, so that GRIDS of them hold `most`: a number that people read."""
    least = most / GRIDS
    if of_time:
        return float(next((it for it in _TIMES if it >= least), math.ceil(least / _TIMES[-1]) * _TIMES[-1]))
    power = 10.0 ** math.floor(math.log10(least))
    return float(next(it * power for it in _STEPS if it * power >= least * 0.999999))
