"""Which acts count now, and which must be propagated: the one rule of nodes, vaults and brokers. Pure.

A quarantine or a `lost` that ends as it begins takes back those of the same node that it names, whatever any clock
says: one that is signed later counts, also where the take-back was dated ahead. A quarantine of an earlier version
names none, and takes back those that started before it. It is propagated for as long as there is anything to take back.
"""

from __future__ import annotations

from collections.abc import Iterable

from appliance.trust.act import ANY_SERVICE, TAKEN_BACK, Act


def in_force(acts: Iterable[Act], now: float) -> tuple[Act, ...]:
    """Those of `acts` that are obeyed at `now`."""
    known = tuple(acts)
    return tuple(it for it in known if it.in_force(now) and not _is_taken_back(it, known))


def to_tell(acts: Iterable[Act], now: float) -> tuple[Act, ...]:
    """Those in force, and those that keep others from it."""
    known = tuple(acts)
    count = [it for it in known if not _is_taken_back(it, known)]
    back = [it for it in known if it.in_force(now) and it not in count]
    return tuple(it for it in count if it.in_force(now) or any(_ends(it, other) for other in back))


def takes_back(act: Act) -> bool:
    """Whether `act` only ends earlier ones of its kind."""
    return act.act in TAKEN_BACK and act.end <= act.start


def _is_taken_back(act: Act, known: Iterable[Act]) -> bool:
    return any(_ends(it, act) for it in known)


def _ends(act: Act, other: Act) -> bool:
    """Whether `act` takes `other` back, being about as much, or about more."""
    return (
        takes_back(act)
        and (other.act, other.subject) == (act.act, act.subject)
        and act.service in (ANY_SERVICE, other.service)
        and (other.document.line_digest in act.taken_back if act.taken_back else _ended_unnamed(act, other))
    )


def _ended_unnamed(act: Act, other: Act) -> bool:
    """An earlier version signed such a `lost` by mistake only, and nobody obeyed it."""
    return act.act == "quarantine" and act.start > other.start
