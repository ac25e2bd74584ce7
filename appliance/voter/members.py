"""Membership of the voters: bring etcd's own list of voters to what the territory says.

A voter that comes back without its memory could promise a second time what it promised before. It is another one: the
former is taken out before it is taken in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from appliance.coordination.answers import FAILED_PRECONDITION, UNKNOWN, Rejected
from appliance.coordination.deadlines import total
from appliance.errors import Unreachable
from appliance.voter.etcd_admin import EtcdAdmin, Listed

RECONCILE_SECONDS_MAX = 60.0
AGAIN_SECONDS = 0.5
_LATER = (UNKNOWN, FAILED_PRECONDITION)  # what it says of too few that are started, to a removal and to an addition
STAY_MIN = 2
"""So many voters take another one in: a voter alone would be one of two until the other runs, and decide nothing."""


@dataclass(frozen=True)
class Changes:
    """One step that brings the list of voters nearer to what the territory says: remove `gone`, then add `add`.

    `stay`: so many of `gone` are left until `add` runs. `wait`: the peer URLs that are added after it, one by one.
    """

    gone: tuple[Listed, ...] = ()
    stay: int = 0
    add: str = ""
    wait: tuple[str, ...] = ()


def changes(listed: Collection[Listed], wanted: Sequence[str], empty: Sequence[str]) -> Changes:
    """The next step from the voters `listed` to the peer URLs `wanted`; the voters at `empty` lost their memory and are
    added first, in this order. Pure."""
    gone = sorted((it for it in listed if it.peer_url not in wanted or it.peer_url in empty), key=_by_memory(empty))
    kept = {it.peer_url for it in listed if it not in gone}
    add, *wait = [url for url in dict.fromkeys((*empty, *wanted)) if url in wanted and url not in kept] or [""]
    stay = min(len(gone), max(0, STAY_MIN - len(kept))) if add else 0
    return Changes(tuple(gone), stay, add, tuple(wait))


def names(listed: Collection[Listed], known: Mapping[str, str]) -> Mapping[str, str]:
    """The peer URL of each voter in `listed` by the name that `known` has for that URL, or by its number: etcd asks a
    new one for the right URLs, and for the right name of itself alone."""
    return {known.get(it.peer_url, f"{it.member:x}"): it.peer_url for it in listed}


def _by_memory(empty: Sequence[str]) -> Callable[[Listed], bool]:
    """Those without memory come first: they are down, and nobody is added while one of those that are listed is."""
    return lambda it: it.peer_url not in empty


async def reconcile(
    admin: EtcdAdmin, decided: Changes, *, seconds_max: float = RECONCILE_SECONDS_MAX
) -> tuple[Listed, ...]:
    """Carry out `decided` at the voter of `admin`; return the voters that it removed. After a call that was cut, the
    caller asks for the list again and repeats.

    Raise Unreachable when the voters do not agree within `seconds_max`: etcd takes nobody in until those that it has
    have been connected for some seconds.
    """
    left = list(decided.gone)
    async with total(seconds_max):
        while len(left) > decided.stay:
            left.remove(await _removed_of(admin, left))
        while decided.add and not await _takes_in(admin, decided.add):
            await asyncio.sleep(AGAIN_SECONDS)
    return tuple(it for it in decided.gone if it not in left)


async def _removed_of(admin: EtcdAdmin, candidates: Sequence[Listed]) -> Listed:
    """Remove one of `candidates`: etcd refuses while those that would be left and run are no majority."""
    while True:
        for it in candidates:
            if await _takes_out(admin, it):
                return it
        await asyncio.sleep(AGAIN_SECONDS)


async def _takes_out(admin: EtcdAdmin, it: Listed) -> bool:
    """Whether `it` is no voter by now; an answer that was lost may have been yes."""
    try:
        if it in await admin.listed():
            await admin.remove(it.member)
    except (Unreachable, Rejected) as error:
        return _unless_later(error)
    return True


async def _takes_in(admin: EtcdAdmin, url: str) -> bool:
    """Whether the voters have `url` among them by now; an answer that was lost may have been yes."""
    try:
        if url not in {it.peer_url for it in await admin.listed()}:
            await admin.add(url)
    except (Unreachable, Rejected) as error:
        return _unless_later(error)
    return True


def _unless_later(error: Unreachable | Rejected) -> bool:
    """False for what etcd may agree to later: too few of those that it has are started, or have been connected for
    long enough."""
    if isinstance(error, Rejected) and error.code not in _LATER:
        raise error
    return False
