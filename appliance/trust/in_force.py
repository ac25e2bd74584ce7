"""Which acts count now, and which must be told on: the one rule of nodes, vaults and brokers. Pure.

A quarantine that ends as it begins takes back those of the same node that started earlier, whatever they say of their
end, once it has begun; it is told on for as long as there is anything to take back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from appliance.trust.act import ANY_SERVICE, Act

TakenBack = Mapping[tuple[str, str], float]
"""When those of a node (by its name) for a service were last taken back, seconds UTC."""


def in_force(acts: Iterable[Act], now: float) -> tuple[Act, ...]:
    """Those of `acts` that are obeyed at `now`."""
    known = tuple(acts)
    back_since = _taken_back(known, now)
    return tuple(it for it in known if it.in_force(now) and not _is_overruled(it, back_since))


def to_tell(acts: Iterable[Act], now: float) -> tuple[Act, ...]:
    """Those in force, and those that keep others from it."""
    known = tuple(acts)
    back_since = _taken_back(known, now)
    back = [it for it in known if it.in_force(now) and _is_overruled(it, back_since)]
    return tuple(
        it
        for it in known
        if not _is_overruled(it, back_since) and (it.in_force(now) or any(_overrules(it, other) for other in back))
    )


def takes_back(act: Act) -> bool:
    """Whether `act` is a quarantine that only ends earlier ones."""
    return act.act == "quarantine" and act.end <= act.start


def _taken_back(acts: Iterable[Act], now: float) -> TakenBack:
    back_since = dict[tuple[str, str], float]()
    for it in acts:
        if takes_back(it) and it.start <= now:
            about = it.subject, it.service
            back_since[about] = max(it.start, back_since.get(about, it.start))
    return back_since


def _is_overruled(act: Act, back_since: TakenBack) -> bool:
    """By one that is about as much as `act`, or about more."""
    if act.act != "quarantine":
        return False
    wider = {(act.subject, act.service), (act.subject, ANY_SERVICE)}
    return any(act.start < back_since[about] for about in wider & back_since.keys())


def _overrules(act: Act, other: Act) -> bool:
    return (
        takes_back(act)
        and act.subject == other.subject
        and act.service in (ANY_SERVICE, other.service)
        and act.start > other.start
    )
