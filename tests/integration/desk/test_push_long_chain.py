"""A peer away for years gets a chain of headers longer than any frame: they go ahead in requests of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from appliance.backup import ahead, peers
from appliance.backup.chain import chain_of
from appliance.backup.vault import session
from appliance.backup.writer import push_newest
from tests.integration.desk.desk import HOLDER, ORIGIN, SERVICE, Desk, Generation
from tests.integration.desk.in_process import World

FRAME_BYTES_MAX = 64 * 1024
HEADERS = 250
PART, REQUEST = ahead.HEADERS_PER_REQUEST, session.REQUEST_BYTES_MAX


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A service whose second holder has been away for HEADERS generations; limits are small, so that these suffice."""
    with pytest.MonkeyPatch.context() as patch:
        world = World(Desk(tmp_path_factory.mktemp("desk") / "desk").create())
        patch.setattr(peers, "Line", world.line)
        world.begin()
        world.run(ORIGIN)
        world.down = frozenset({HOLDER})
        _age(world)
        world.run(ORIGIN)
        patch.setattr(session, "REQUEST_BYTES_MAX", FRAME_BYTES_MAX)
        patch.setattr(ahead, "HEADERS_PER_REQUEST", 50)
        yield world


def _age(world: World) -> None:
    """Give the writer's chain HEADERS more generations, of which the standby gets the headers too."""
    chain = chain_of(world.desk.open(ORIGIN), SERVICE)
    newest = chain.newest()
    assert newest is not None
    made = Generation(newest.header, newest.listing, newest.entries, {})
    for _ in range(HEADERS):
        made = world.desk.seal(chain.grant(), {"config": b"config"}, made)
        chain.add_header(made.header)
    chain.add(made.header, made.listing)


def test_a_push_after_a_long_absence_fits_the_frames_of_a_vault(world: World) -> None:
    chain = chain_of(world.desk.open(ORIGIN), SERVICE)
    sealed = chain.newest()
    assert sealed is not None
    tips = {tip.name[-16:] for tip in world.desk.holding(HOLDER).stored()}
    there = {header.id.digest for header in map(chain.header, chain.names()) if header.id.digest[:16] in tips}
    assert sum(map(len, chain.headers_after(there))) > FRAME_BYTES_MAX
    world.down = frozenset()
    outcomes = {it.peer: it.error for it in push_newest(world.desk.open(ORIGIN), SERVICE)}
    assert outcomes == {HOLDER: None}
    held = world.desk.holding(HOLDER)
    assert held.holds(sealed.header.id)
    assert len(held.stored()) == len(chain.names())


def test_a_full_part_is_far_from_the_limit_of_a_vault(world: World) -> None:
    header = chain_of(world.desk.open(ORIGIN), SERVICE).newest()
    assert header is not None
    assert 2 * PART * len(header.header.document.raw) < REQUEST
