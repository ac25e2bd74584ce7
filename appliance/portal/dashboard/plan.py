"""The map: where each site lies on it, and a ring around the sites of each zone. Pure, from coordinates alone.

The earth is flat enough over a few communes: degrees of longitude are shortened by the cosine of the latitude. Where no
site has coordinates they stand on a circle, which says that nothing is known of where they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from appliance.territory.model import Site, Territory, Zone

WIDTH = 800.0
KM_PER_DEGREE = 111.2
MARGIN, RING, LABEL = 80.0, 30.0, 26.0
HEIGHT_MIN, HEIGHT_MAX = 240.0, 800.0
"""Between them all markers lie; rings may reach beyond, and the frame then grows."""
MARKER, LETTER, LINE = 20.0, 8.6, 18.0
"""How large a marker, a letter and a line of text are, so that no name lies over another where there is room."""

type Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Spot:
    """A site by the number that it has in the table."""

    site: Site
    number: int
    x: float
    y: float
    label: tuple[float, float] = (0.0, 0.0)
    """Where the middle of its name stands."""


@dataclass(frozen=True)
class Ring:
    """A zone that sites on the map share the risk of."""

    zone: Zone
    x: float
    y: float
    radius: float
    label: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Plan:
    """`frame`: x, y, width and height of all that is drawn. `is_circle`: no site has coordinates. `unplaced`: sites
    without, where others have some."""

    frame: tuple[float, float, float, float]
    spots: tuple[Spot, ...]
    rings: tuple[Ring, ...]
    unplaced: tuple[Site, ...]
    is_circle: bool


def has_place(site: Site) -> bool:
    return bool(site.latitude_microdegrees or site.longitude_microdegrees)


def arrange(territory: Territory) -> Plan:
    """The map of `territory`: sites in the order of their titles."""
    sites = sorted(territory.sites.values(), key=lambda it: it.title)
    placed = [it for it in sites if has_place(it)]
    is_circle = not placed
    points = _circle(len(sites)) if is_circle else _apart(_projected(placed))
    shown = sites if is_circle else placed
    numbers = {site.name: number for number, site in enumerate(sites, 1)}
    spots = tuple(Spot(site, numbers[site.name], *point) for site, point in zip(shown, points, strict=True))
    rings = tuple(it for zone in territory.zones.values() if (it := _ring(territory, zone, spots)))
    spots, rings = _named(spots, rings)
    unplaced = tuple(it for it in sites if not is_circle and not has_place(it))
    return Plan(_frame(spots, rings), spots, rings, unplaced, is_circle)


def sites_in(territory: Territory, zone: Zone) -> tuple[Site, ...]:
    """The sites that lie in `zone`, or of which a node does."""
    of_nodes = {territory.nodes[it].site for it in territory.nodes_in([zone.name])}
    found = (it for it in territory.sites.values() if zone.name in it.zones or it.name in of_nodes)
    return tuple(sorted(found, key=lambda it: it.title))


def _projected(sites: Sequence[Site]) -> list[tuple[float, float]]:
    middle = math.radians(sum(it.latitude for it in sites) / len(sites))
    east = [it.longitude * KM_PER_DEGREE * math.cos(middle) for it in sites]
    south = [-it.latitude * KM_PER_DEGREE for it in sites]
    wide, high = max(east) - min(east), max(south) - min(south)
    scale = min((WIDTH - 2 * MARGIN) / (wide or 1e-9), (HEIGHT_MAX - 2 * MARGIN) / (high or 1e-9), 1000.0)
    left, top = (WIDTH - wide * scale) / 2, MARGIN
    return [
        (round(left + (x - min(east)) * scale, 1), round(top + (y - min(south)) * scale, 1))
        for x, y in zip(east, south, strict=True)
    ]


def _apart(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Two sites of one village lie beside each other, or one would hide how the other is."""
    made: list[tuple[float, float]] = []
    for x, y in points:
        while any(math.hypot(x - other, y - far) < 2 * MARKER for other, far in made):
            x += MARKER
        made.append((round(x, 1), y))
    return made


def _circle(count: int) -> list[tuple[float, float]]:
    radius = min(170.0, 90.0 + 10.0 * count)
    turns = (2 * math.pi * number / max(1, count) - math.pi / 2 for number in range(count))
    return [
        (round(WIDTH / 2 + 1.35 * radius * math.cos(it), 1), round(MARGIN + radius * (1 + math.sin(it)), 1))
        for it in turns
    ]


def _ring(territory: Territory, zone: Zone, spots: Sequence[Spot]) -> Ring | None:
    """None for a zone that takes hardly any site or all of them: a ring would say nothing."""
    names = {it.name for it in sites_in(territory, zone)}
    inside = [it for it in spots if it.site.name in names]
    if zone.tolerated or not inside or len(inside) == len(spots) > 1:
        return None
    x = (min(it.x for it in inside) + max(it.x for it in inside)) / 2
    y = (min(it.y for it in inside) + max(it.y for it in inside)) / 2
    radius = max(math.hypot(it.x - x, it.y - y) for it in inside) + RING
    return Ring(zone, round(x, 1), round(y, 1), round(radius, 1))


def _named(spots: Sequence[Spot], rings: Sequence[Ring]) -> tuple[tuple[Spot, ...], tuple[Ring, ...]]:
    """Each name at the first of some places where nothing lies yet; sites choose before zones."""
    taken: list[Box] = [(it.x - MARKER, it.y - MARKER, it.x + MARKER, it.y + MARKER) for it in spots]

    def choose(title: str, places: Sequence[tuple[float, float]]) -> tuple[float, float]:
        half = len(title) * LETTER / 2
        boxes = [(x - half, y - LINE + 4, x + half, y + 4) for x, y in places]
        free = next((it for it, box in enumerate(boxes) if not any(_meet(box, other) for other in taken)), 0)
        taken.append(boxes[free])
        return round(places[free][0], 1), round(places[free][1], 1)

    return (
        tuple(replace(it, label=choose(it.site.title, _around(it))) for it in spots),
        tuple(replace(it, label=choose(it.zone.title, _along(it))) for it in rings),
    )


def _around(spot: Spot) -> tuple[tuple[float, float], ...]:
    aside = MARKER + len(spot.site.title) * LETTER / 2
    below, above = spot.y + MARKER + LINE - 4, spot.y - MARKER - 4
    beside = ((spot.x + side * aside, spot.y + 6) for side in (1, -1))
    corners = ((spot.x + side * aside * 0.8, y) for y in (below, above) for side in (1, -1))
    return ((spot.x, below), (spot.x, above), *beside, *corners)


def _along(ring: Ring) -> tuple[tuple[float, float], ...]:
    """On the ring, from its top down on both sides."""
    turns = (math.radians(270 + side * it) for it in range(0, 181, 12) for side in (1, -1))
    return tuple((ring.x + ring.radius * math.cos(it), ring.y + ring.radius * math.sin(it)) for it in turns)


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _frame(spots: Sequence[Spot], rings: Sequence[Ring]) -> tuple[float, float, float, float]:
    left = min((0.0, *(it.x - it.radius - 8 for it in rings)))
    right = max((WIDTH, *(it.x + it.radius + 8 for it in rings)))
    top = min((0.0, *(it.y - it.radius - LABEL for it in rings)))
    bottom = max((HEIGHT_MIN, *(it.y + MARGIN for it in spots), *(it.y + it.radius + LABEL for it in rings)))
    return left, top, round(right - left, 1), round(bottom - top, 1)
