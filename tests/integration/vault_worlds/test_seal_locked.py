"""A seal beside another borg at the same repository: it waits for who only reads, and gives way to who does not end."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.backup.chain import seal
from appliance.backup.peers import conversation
from appliance.errors import Busy
from tests.worlds.vaults import HOLDER, ORIGIN, SERVICE, VaultWorld
from tests.worlds.vaults_in_process import World


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(VaultWorld(tmp_path / "desk").create())
    monkeypatch.setattr(conversation, "Line", world.line)
    world.begin()
    return world


@pytest.fixture
def lock(world: World) -> Path:
    """As borg has it, for an instant, when a listing of archives begins and ends."""
    lock = world.vaults.open(ORIGIN).service(SERVICE).repository / "lock.exclusive"
    lock.mkdir()
    return lock


def test_it_waits_for_a_reader(world: World, lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.backup.chain.seal.time.sleep", lambda seconds: lock.rmdir())
    world.run(ORIGIN)
    assert len(world.vaults.holding(HOLDER).stored()) == 1


def test_it_does_not_wait_for_ever(world: World, lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seal, "READER_SECONDS_MAX", 0.0)
    with pytest.raises(Busy, match="is being written"):
        world.run(ORIGIN)
    assert world.vaults.holding(HOLDER).stored() == ()
