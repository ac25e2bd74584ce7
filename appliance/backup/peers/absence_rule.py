"""The nodes of a service that are gone without an act: unseen for 14 days by all others, two of them at least. Pure.

The origin counts among the observers, as it holds the data itself; otherwise a service with two replica nodes could
never replace one. Nobody can show that somebody kept silent, so a node that says nothing must be unseen too, by each
node that speaks: two nodes cut off from the rest can then not declare lost a node that a third one sees.

The rule allows little, and the absent one's return undoes it: copies, sealed as ever, at spares that the territory key
named beforehand. A forged clock can only delay it: the 14 days are the observer's ageing clock's, and a statement
counts for two days.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from appliance.clock import SKEW_SECONDS_MAX
from appliance.trust.absence import Absence
from appliance.trust.bundle import Terms
from appliance.units import DAY

ABSENT_SECONDS = 14 * DAY
FRESH_SECONDS = 2 * DAY
OBSERVERS_MIN = 2


def parties(terms: Terms) -> frozenset[str]:
    """The nodes that may observe and be missed: the origin and the replica nodes of a service; spares are asked by
    nobody."""
    return frozenset((terms.origin, *terms.replica_nodes))


def proven_absent(of: Collection[str], statements: Iterable[Absence], service: str, now: float) -> frozenset[str]:
    """Those of the parties `of` that the `statements`, in force at `now` (seconds UTC), prove absent."""
    said: dict[str, set[str]] = {name: set() for name in of}
    for it in statements:
        if _counts(it, of, service, now):
            said[it.absent].add(it.observer)
    return frozenset(name for name in of if _is_absent(name, said))


def is_fresh(statement: Absence, now: float) -> bool:
    """Whether it was said within the last two days, and not in the future."""
    return now - FRESH_SECONDS <= statement.said_at <= now + SKEW_SECONDS_MAX


def _counts(it: Absence, of: Collection[str], service: str, now: float) -> bool:
    return (
        it.service == service
        and it.observer in of
        and it.absent in of
        and it.observer != it.absent
        and it.last_seen_age >= ABSENT_SECONDS
        and is_fresh(it, now)
    )


def _is_absent(name: str, said: dict[str, set[str]]) -> bool:
    observers = said[name]
    silent = set(said) - observers - {name}
    return len(observers) >= OBSERVERS_MIN and all(observers <= said[other] for other in silent)
