"""Which acts count now, and which must be told on: the one rule of nodes, vaults and brokers. Pure.

Of several quarantines of one node the one that starts later decides, once it has begun. So one that ends as it begins
takes the others back, whatever they say of their end; it is told on for as long as there is anything to take back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from appliance.trust.act import ANY_SERVICE, Act

Newest = Mapping[tuple[str, str], float]
"""When the newest quarantine of a node (by its name) for a service began, seconds UTC."""


def in_force(acts: Iterable[Act], now: float) -> tuple[Act, ...]:
    """Those of `acts` that are obeyed at `now`."""
    known = tuple(acts)
    newest = _newest(known, now)
    return tuple(it for it in known if it.in_force(now) and not _is_overruled(it, newest))


def to_tell(acts: Iterable[Act], now: float) -> tuple[Act, ...]:
    """Those in force, and those that keep others from it."""
    known = tuple(acts)
    newest = _newest(known, now)
    back = [it for it in known if it.in_force(now) and _is_overruled(it, newest)]
    return tuple(
        it
        for it in known
        if not _is_overruled(it, newest) and (it.in_force(now) or any(_overrules(it, other) for other in back))
    )


def takes_back(act: Act) -> bool:
    """Whether `act` is a quarantine that only ends earlier ones."""
    return act.act == "quarantine" and act.end <= act.start


def _newest(acts: Iterable[Act], now: float) -> Newest:
    newest = dict[tuple[str, str], float]()
    for it in acts:
        if it.act == "quarantine" and it.start <= now:
            about = it.subject, it.service
            newest[about] = max(it.start, newest.get(about, it.start))
    return newest


def _is_overruled(act: Act, newest: Newest) -> bool:
    """By one that is about as much as `act`, or about more."""
    if act.act != "quarantine":
        return False
    wider = {(act.subject, act.service), (act.subject, ANY_SERVICE)}
    return any(act.start < newest[about] for about in wider & newest.keys())


def _overrules(act: Act, other: Act) -> bool:
    return (
        act.act == "quarantine"
        and act.subject == other.subject
        and act.service in (ANY_SERVICE, other.service)
        and act.start > other.start
    )
