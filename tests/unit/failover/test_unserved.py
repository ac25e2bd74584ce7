"""A service that was taken over here and does not start is told, for as long as that lasts."""

from __future__ import annotations

import asyncio

from appliance.failover.told import load as load_told
from tests.unit.failover.test_act import SERVICE, World
from tests.unit.failover.test_keeper import look, serving


def test_a_takeover_that_cannot_start_is_told_for_as_long_as_that_lasts(world: World) -> None:
    keeper = serving(world)
    world.it.trouble["start"] = "nobody could send generation 2.7."
    asyncio.run(look(keeper))
    told = load_told(world.site.run, SERVICE)
    assert told is not None
    assert (told.unserved_since, told.trouble["start"]) == (world.clock.boottime(), "nobody could send generation 2.7.")
    del world.it.trouble["start"]
    asyncio.run(look(keeper))
    told = load_told(world.site.run, SERVICE)
    assert told is not None
    assert told.unserved_since is None
