"""A chain of headers longer than any frame goes in parts: ahead of a push, and in the answer to who fetches."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from appliance.backup.chain.chain import chain_of
from appliance.backup.peers import conversation, fetch, header_batches
from appliance.backup.vault import header_parts, session
from appliance.backup.vault.replicas import replica_of
from appliance.backup.writer.writer import push_newest
from appliance.failover import warm_standby
from tests.worlds import vaults_in_process
from tests.worlds.vaults import HOLDER, ORIGIN, SERVICE, STANDBY, Generation, VaultWorld, ask
from tests.worlds.vaults_in_process import CutChannel, World

FRAME_BYTES_MAX = 64 * 1024
HEADERS = 250
PART, REQUEST = header_batches.HEADERS_PER_REQUEST, session.REQUEST_BYTES_MAX


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A service whose second holder has been away for HEADERS generations; limits are small, so that these suffice."""
    with pytest.MonkeyPatch.context() as patch:
        world = World(VaultWorld(tmp_path_factory.mktemp("desk") / "desk").create())
        patch.setattr(conversation, "Line", world.line)
        world.begin()
        world.run(ORIGIN)
        world.down = frozenset({HOLDER})
        _age(world)
        world.run(ORIGIN)
        patch.setattr(session, "REQUEST_BYTES_MAX", FRAME_BYTES_MAX)
        patch.setattr(header_batches, "HEADERS_PER_REQUEST", 50)
        yield world


def _age(world: World) -> None:
    """Give the writer's chain HEADERS more generations, of which the standby gets the headers too."""
    chain = chain_of(world.vaults.open(ORIGIN), SERVICE)
    newest = chain.newest()
    assert newest is not None
    made = Generation(newest.header, newest.listing, newest.entries, {})
    for _ in range(HEADERS):
        made = world.vaults.seal(chain.grant(), {"config": b"config"}, made)
        chain.add_header(made.header)
    chain.add(made.header, made.listing)


def test_a_push_after_a_long_absence_fits_the_frames_of_a_vault(world: World) -> None:
    chain = chain_of(world.vaults.open(ORIGIN), SERVICE)
    sealed = chain.newest()
    assert sealed is not None
    tips = {tip.name[-16:] for tip in world.vaults.holding(HOLDER).stored()}
    there = {header.id.digest for header in map(chain.header, chain.names()) if header.id.digest[:16] in tips}
    assert sum(map(len, chain.headers_after(there))) > FRAME_BYTES_MAX
    world.down = frozenset()
    outcomes = {it.peer: it.error for it in push_newest(world.vaults.open(ORIGIN), SERVICE)}
    assert outcomes == {HOLDER: None}
    replica = world.vaults.holding(HOLDER)
    assert replica.holds(sealed.header.id)
    assert len(replica.stored()) == len(chain.names())
    assert len(replica.folders()) < HEADERS / 4, "a long history needs no folder for each generation"


@pytest.fixture
def short_frames(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The receiver of a fetch reads frames of FRAME_BYTES_MAX, and the replica node has more bytes of headers than
    that."""
    world.down = frozenset()
    push_newest(world.vaults.open(ORIGIN), SERVICE)
    monkeypatch.setattr(vaults_in_process, "CutChannel", partial(CutChannel, frame_bytes_max=FRAME_BYTES_MAX))
    monkeypatch.setattr(header_parts, "PART_BYTES_MAX", FRAME_BYTES_MAX // 4)
    return world


def test_a_fetch_of_more_headers_than_a_frame_holds_brings_them_all(short_frames: World, tmp_path: Path) -> None:
    """`get` answered all headers in one frame: nothing that a vault held could be fetched any more (NoFrame)."""
    vaults = short_frames.vaults
    node, known = vaults.open(STANDBY), chain_of(vaults.open(ORIGIN), SERVICE)
    chain = chain_of(node, SERVICE)
    sealed = fetch.fetch(node, SERVICE, HOLDER, None, tmp_path / "fetched", chain)
    assert sealed.header.id.name == known.names()[-1]
    assert chain.names() == known.names()
    assert all(chain.header(name).document.raw == known.header(name).document.raw for name in known.names())


def test_a_second_fetch_brings_only_the_headers_that_are_new(
    short_frames: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vaults, came = short_frames.vaults, list[int]()

    def counted(*args: object) -> list[str]:
        found = header_parts.read_headers(*args)  # type: ignore[arg-type]
        came.append(len(found))
        return found

    monkeypatch.setattr(fetch, "read_headers", counted)
    node = vaults.open(STANDBY)
    chain = chain_of(node, SERVICE)
    for number in range(2):
        short_frames.run(ORIGIN)
        fetch.fetch(node, SERVICE, HOLDER, None, tmp_path / f"fetched{number}", chain)
    fetch.fetch(node, SERVICE, HOLDER, None, tmp_path / "read")
    assert came[1:] == [1, 1]
    assert chain.names() == chain_of(vaults.open(ORIGIN), SERVICE).names()


def test_a_header_lost_here_comes_again_with_the_next_fetch(short_frames: World, tmp_path: Path) -> None:
    vaults = short_frames.vaults
    node = vaults.open(STANDBY)
    chain = chain_of(node, SERVICE)
    fetch.fetch(node, SERVICE, HOLDER, None, tmp_path / "first", chain)
    [file, *_] = sorted(path for path in (chain.root / "history").iterdir() if path.name[0] == "0")
    file.unlink()
    chain = chain_of(node, SERVICE)
    fetch.fetch(node, SERVICE, HOLDER, None, tmp_path / "second", chain)
    assert chain.names() == chain_of(vaults.open(ORIGIN), SERVICE).names()


def test_a_history_learned_ahead_leaves_a_takeover_only_what_is_new(
    short_frames: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first takeover wrote each header of years with two fsyncs while people waited: three minutes on a slow disk."""
    vaults, synced = short_frames.vaults, list[int]()
    node = vaults.open(STANDBY)
    chain = chain_of(node, SERVICE)
    shutil.rmtree(chain.root, ignore_errors=True)
    monkeypatch.setattr(os, "fsync", synced.append)

    def calls_of(act: Callable[..., object], *args: object) -> int:
        synced.clear()
        act(*args)
        return len(synced)

    assert calls_of(warm_standby.learn_ahead, node, SERVICE) < 20
    assert chain.names() == replica_of(node, SERVICE).names()
    assert calls_of(fetch.keep_history, node, SERVICE, chain) == 0
    short_frames.run(ORIGIN)
    assert calls_of(fetch.keep_history, node, SERVICE, chain) < 4
    assert chain.names() == replica_of(node, SERVICE).names()


def test_a_former_caller_gets_all_headers_in_one_frame(short_frames: World) -> None:
    with short_frames.vaults.session(HOLDER, STANDBY) as channel:
        ask(channel, "get")
        answer = channel.read_frame()
    assert len(answer["headers"]) == len(short_frames.vaults.holding(HOLDER).stored())
    assert "more" not in answer


def test_a_full_part_is_far_from_the_limit_of_a_vault(world: World) -> None:
    header = chain_of(world.vaults.open(ORIGIN), SERVICE).newest()
    assert header is not None
    assert 2 * PART * len(header.header.document.raw) < REQUEST
