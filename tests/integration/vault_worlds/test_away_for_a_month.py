"""A peer that is away for over a month while the origin goes on and compacts, and the other peer prunes."""

from __future__ import annotations

from appliance.backup.chain.chain import chain_of
from appliance.backup.chain.seal import will_compact
from appliance.backup.vault.sealing.sealer_choice import sealer_of
from appliance.units import DAY
from tests.worlds.vaults import HOLDER, ORIGIN, SERVICE, STANDBY, assert_whole
from tests.worlds.vaults_in_process import World

DAYS, BUSY_DAYS, RUNS_OF_A_BUSY_DAY = 36, 2, 3
COMPACTED_EVERY_DAYS = 7


def test_a_peer_that_was_away_takes_the_newest_with_all_headers_and_loses_nothing_it_had(
    begun: World,
) -> None:
    world, vaults = begun, begun.vaults
    first, _ = world.run(ORIGIN)
    world.down = frozenset({HOLDER})
    for day in range(1, DAYS + 1):
        vaults.advance(DAY)
        if day % COMPACTED_EVERY_DAYS == 0:
            compact(world)
        for _ in range(RUNS_OF_A_BUSY_DAY if day <= BUSY_DAYS else 1):
            world.run(ORIGIN)
    sealer_of(vaults.open(STANDBY)).prune(SERVICE)
    assert not all(it.held for it in vaults.holding(STANDBY).stored()), "the peer that was there has pruned"

    world.down = frozenset()
    newest, pushed = world.run(ORIGIN)
    assert {it.peer: it.error for it in pushed} == {STANDBY: None, HOLDER: None}
    assert assert_whole(vaults, HOLDER) == [first.header.id.name, newest.header.id.name]
    assert len(vaults.holding(HOLDER).stored()) == len(chain_of(vaults.open(ORIGIN), SERVICE).names())
    sealer_of(vaults.open(HOLDER)).prune(SERVICE)
    vaults.advance(31 * DAY)
    sealer_of(vaults.open(HOLDER)).prune(SERVICE)
    assert newest.header.id.name in assert_whole(vaults, HOLDER)


def compact(world: World) -> None:
    """borg writes again what is still used of its oldest segments, and unlinks them."""
    layout = world.vaults.open(ORIGIN).service(SERVICE)
    will_compact(layout)
    data = layout.repository / "data" / "0"
    for segment in sorted(data.iterdir(), key=lambda path: int(path.name))[:3]:
        segment.unlink()
