"""A holder's disk without one free byte: pruning gives room back by itself, and loses nothing that is kept."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.backup.vault import receive
from appliance.backup.vault.maintenance.freeze import raise_alarm
from appliance.units import DAY, MIB
from appliance_lab.processes.disks import Disk
from tests.integration.small_disk import free_bytes, on_small_disk
from tests.integration.vault_worlds.history import thin_here
from tests.worlds.vaults import HOLDER, SERVICE, Generation, VaultWorld, assert_whole

pytestmark = pytest.mark.root

SIZE_BYTES = 16 * MIB
BLOB_BYTES = 300_000
LET_GO = 4


@pytest.fixture
def full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[VaultWorld, Disk, list[Generation]]]:
    """A holder that may let go of all but the first and the last generation of a day, on a disk that others filled."""
    monkeypatch.setattr(receive, "FREE_BYTES_MIN", 0)
    vaults = VaultWorld(tmp_path / "desk").create()
    with on_small_disk(vaults.layout(HOLDER).root, SIZE_BYTES) as disk:
        grant = vaults.grant()
        made: list[Generation] = []
        for number in range(2 + LET_GO):
            files = {"config": b"config", f"data/0/{number}": os.urandom(BLOB_BYTES)}
            made.append(vaults.seal(grant, files, made[-1] if made else None))
            vaults.put(made[-1], grant)
            vaults.advance(DAY / 8)
        thin_here(vaults)
        vaults.advance(32 * DAY)
        yield vaults, disk, made


def assert_thinned(vaults: VaultWorld, made: list[Generation]) -> None:
    assert assert_whole(vaults) == [made[0].name, made[-1].name]
    named = {entry.sha256 for it in (made[0], made[-1]) for entry in it.entries}
    assert {path.name for path in vaults.holding(HOLDER).blobs()} == named


def test_a_disk_that_stays_full_is_thinned_in_two_passes(full: tuple[VaultWorld, Disk, list[Generation]]) -> None:
    vaults, disk, made = full
    disk.fill()
    assert free_bytes(disk.place) == 0
    assert len(thin_here(vaults).dropped) == LET_GO
    disk.fill()
    vaults.advance(2 * DAY)
    assert thin_here(vaults).files_removed == LET_GO
    assert free_bytes(disk.place) > LET_GO * BLOB_BYTES
    assert_thinned(vaults, made)


def test_blobs_go_though_the_memory_of_them_cannot_be_written(full: tuple[VaultWorld, Disk, list[Generation]]) -> None:
    """The notes of two days ago are enough to begin with."""
    vaults, disk, made = full
    assert len(thin_here(vaults).dropped) == LET_GO
    disk.fill()
    (vaults.holding(HOLDER).root / "reserve").unlink(missing_ok=True)
    disk.fill()
    vaults.advance(2 * DAY)
    assert thin_here(vaults).files_removed == LET_GO
    assert_thinned(vaults, made)


def test_age_goes_on_and_is_written_down_once_there_is_room(full: tuple[VaultWorld, Disk, list[Generation]]) -> None:
    vaults, disk, _ = full
    before = vaults.open(HOLDER).ageing.now()
    disk.fill()
    vaults.advance(2 * DAY)
    assert vaults.open(HOLDER).ageing.now() == before + 2 * DAY
    kept = json.loads(vaults.layout(HOLDER).ageing.read_bytes())["age_seconds"]
    assert kept < before + DAY, "there was no room for it"
    disk.empty()
    assert vaults.open(HOLDER).ageing.now() == before + 2 * DAY
    assert json.loads(vaults.layout(HOLDER).ageing.read_bytes())["age_seconds"] == before + 2 * DAY


def test_an_alarm_freezes_a_holding_on_a_full_disk(full: tuple[VaultWorld, Disk, list[Generation]]) -> None:
    """Else what an attack makes to go would go."""
    vaults, disk, made = full
    disk.fill()
    raise_alarm(vaults.open(HOLDER), SERVICE, "most files were rewritten")
    assert "most files were rewritten" in thin_here(vaults).skipped
    assert assert_whole(vaults) == [it.name for it in made]
