"""Membership of the voters: bring etcd's own list of voters to what the territory says.

A voter that comes back without its memory could promise a second time what it promised before. It is another one: the
former is taken out before it is taken in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass

from appliance.coordination.deadlines import total
from appliance.errors import Unreachable
from appliance.voter.etcd_admin import EtcdAdmin, Listed

RECONCILE_SECONDS_MAX = 30.0
AGAIN_SECONDS = 0.5


@dataclass(frozen=True)
class Changes:
    """The changes that bring the list of voters to what the territory says: `remove` before `add`, which are peer
    URLs."""

    remove: tuple[Listed, ...] = ()
    add: tuple[str, ...] = ()


def changes(listed: Collection[Listed], wanted: Collection[str], empty: Collection[str]) -> Changes:
    """The changes from the voters `listed` to the peer URLs `wanted`; the voters at `empty` lost their memory. Pure."""
    gone = tuple(it for it in listed if it.peer_url not in wanted or it.peer_url in empty)
    kept = {it.peer_url for it in listed if it not in gone}
    return Changes(gone, tuple(url for url in wanted if url not in kept))


async def reconcile(admin: EtcdAdmin, decided: Changes, *, seconds_max: float = RECONCILE_SECONDS_MAX) -> None:
    """Carry out `decided` at the voter of `admin`. After a call that was cut, the caller asks for the list again and
    repeats.

    Raise Unreachable when the voters do not agree within `seconds_max`: etcd takes nobody in until those that it has
    have been connected for some seconds.
    """
    async with total(seconds_max):
        for it in decided.remove:
            await admin.remove(it.member)
        for url in decided.add:
            while not await _takes_in(admin, url):
                await asyncio.sleep(AGAIN_SECONDS)


async def _takes_in(admin: EtcdAdmin, url: str) -> bool:
    """Whether the voters have `url` among them by now; an answer that was lost may have been yes."""
    try:
        if url not in {it.peer_url for it in await admin.listed()}:
            await admin.add(url)
    except Unreachable:
        return False
    return True
