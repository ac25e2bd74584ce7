"""A seal beside another borg at the same repository: it waits for who only reads, and gives way to who does not end."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.backup.chain import seal
from appliance.errors import Busy
from tests.worlds.vaults import HOLDER, ORIGIN, SERVICE
from tests.worlds.vaults_in_process import World


@pytest.fixture
def lock(begun: World) -> Path:
    """As borg has it, for an instant, when a listing of archives begins and ends."""
    lock = begun.vaults.open(ORIGIN).service(SERVICE).repository / "lock.exclusive"
    lock.mkdir()
    return lock


def test_it_waits_for_a_reader(begun: World, lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.backup.chain.seal.time.sleep", lambda seconds: lock.rmdir())
    begun.run(ORIGIN)
    assert len(begun.vaults.holding(HOLDER).stored()) == 1


def test_it_does_not_wait_for_ever(begun: World, lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seal, "READER_SECONDS_MAX", 0.0)
    with pytest.raises(Busy, match="is being written"):
        begun.run(ORIGIN)
    assert begun.vaults.holding(HOLDER).stored() == ()
