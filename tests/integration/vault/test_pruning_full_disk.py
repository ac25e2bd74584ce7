"""A holder's disk without one free byte: thinning gives room back by itself, and loses nothing that is kept."""

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
from tests.integration.desk.desk import HOLDER, SERVICE, Desk, Generation, assert_whole
from tests.integration.desk.history import thin_here
from tests.integration.small_disk import free_bytes, on_small_disk

pytestmark = pytest.mark.root

SIZE_BYTES = 16 * MIB
BLOB_BYTES = 300_000
LET_GO = 4


@pytest.fixture
def full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Desk, Disk, list[Generation]]]:
    """A holder that may let go of all but the first and the last generation of a day, on a disk that others filled."""
    monkeypatch.setattr(receive, "FREE_FLOOR_BYTES", 0)
    desk = Desk(tmp_path / "desk").create()
    with on_small_disk(desk.layout(HOLDER).root, SIZE_BYTES) as disk:
        grant = desk.grant()
        made: list[Generation] = []
        for number in range(2 + LET_GO):
            files = {"config": b"config", f"data/0/{number}": os.urandom(BLOB_BYTES)}
            made.append(desk.seal(grant, files, made[-1] if made else None))
            desk.put(made[-1], grant)
            desk.advance(DAY / 8)
        thin_here(desk)
        desk.advance(32 * DAY)
        yield desk, disk, made


def assert_thinned(desk: Desk, made: list[Generation]) -> None:
    assert assert_whole(desk) == [made[0].name, made[-1].name]
    named = {entry.sha256 for it in (made[0], made[-1]) for entry in it.entries}
    assert {path.name for path in desk.holding(HOLDER).blobs()} == named


def test_a_disk_that_stays_full_is_thinned_in_two_passes(full: tuple[Desk, Disk, list[Generation]]) -> None:
    desk, disk, made = full
    disk.fill()
    assert free_bytes(disk.place) == 0
    assert len(thin_here(desk).dropped) == LET_GO
    disk.fill()
    desk.advance(2 * DAY)
    assert thin_here(desk).files_removed == LET_GO
    assert free_bytes(disk.place) > LET_GO * BLOB_BYTES
    assert_thinned(desk, made)


def test_blobs_go_though_the_memory_of_them_cannot_be_written(full: tuple[Desk, Disk, list[Generation]]) -> None:
    """What was noticed two days ago is enough to begin with."""
    desk, disk, made = full
    assert len(thin_here(desk).dropped) == LET_GO
    disk.fill()
    (desk.holding(HOLDER).root / "reserve").unlink(missing_ok=True)
    disk.fill()
    desk.advance(2 * DAY)
    assert thin_here(desk).files_removed == LET_GO
    assert_thinned(desk, made)


def test_age_goes_on_and_is_written_down_once_there_is_room(full: tuple[Desk, Disk, list[Generation]]) -> None:
    desk, disk, _ = full
    before = desk.open(HOLDER).ageing.now()
    disk.fill()
    desk.advance(2 * DAY)
    assert desk.open(HOLDER).ageing.now() == before + 2 * DAY
    kept = json.loads(desk.layout(HOLDER).ageing.read_bytes())["age_seconds"]
    assert kept < before + DAY, "there was no room for it"
    disk.empty()
    assert desk.open(HOLDER).ageing.now() == before + 2 * DAY
    assert json.loads(desk.layout(HOLDER).ageing.read_bytes())["age_seconds"] == before + 2 * DAY


def test_an_alarm_freezes_a_holding_on_a_full_disk(full: tuple[Desk, Disk, list[Generation]]) -> None:
    """Else what an attack makes to go would go."""
    desk, disk, made = full
    disk.fill()
    raise_alarm(desk.open(HOLDER), SERVICE, "most files were rewritten")
    assert "most files were rewritten" in thin_here(desk).skipped
    assert assert_whole(desk) == [it.name for it in made]
