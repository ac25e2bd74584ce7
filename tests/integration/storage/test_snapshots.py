"""Snapshots on a real btrfs: made before old ones go, kept for who reads, in the file system's own order."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.backup.versions import Keep
from appliance.errors import ApplianceError
from appliance.host.command import run
from appliance.host.disks import btrfs
from appliance.provision import snapshots
from appliance.provision.snapshots import Target, keep_versions
from appliance.units import DAY, HOUR, MIB

NOW = 1_795_000_000.0

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("mkfs.btrfs"), reason="needs root and btrfs-progs"),
]


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Target]:
    """A subvolume with one file, on a btrfs of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    btrfs.make_image(tmp_path / "image", 256 * MIB)
    btrfs.mount_image(tmp_path / "image", place)
    btrfs.create(place / "shares")
    (place / "shares/letter").write_text("0")
    monkeypatch.setattr(snapshots, "LOCK", tmp_path / "lock")
    yield Target(place / "shares", place / "shares/.snapshots", Keep(hours=3, days=2), 0o755)
    run(("umount", str(place)), timeout_seconds=60, check=True)


def test_each_hour_has_its_state_which_nobody_can_change(target: Target) -> None:
    for hour in range(5):
        (target.folder / "letter").write_text(str(hour))
        kept = keep_versions(target, NOW + hour * HOUR)
        assert Path(kept.made, "letter").read_text() == str(hour)
    assert sorted(Path(it, "letter").read_text() for it in map(str, target.into.iterdir())) == ["2", "3", "4"]
    with pytest.raises(OSError, match="Read-only"):
        Path(kept.made, "letter").write_text("other")
    assert list(Path(kept.made, ".snapshots").glob("*/*")) == []  # no snapshot within another


def test_a_clock_that_jumps_a_year_either_way_drops_one_and_not_all(target: Target) -> None:
    for hour in range(4):
        keep_versions(target, NOW + hour * HOUR)
    before = set(target.into.iterdir())
    for jump in (365 * DAY, -365 * DAY):
        keep_versions(target, NOW + jump)
    assert len(before & set(target.into.iterdir())) >= 1
    assert len(set(target.into.iterdir())) >= 3


def test_what_somebody_reads_is_dropped_only_when_he_ends(target: Target) -> None:
    of_the_hour = keep_versions(target, NOW).made
    asked_for = keep_versions(target, NOW + 1, on_demand=True).made
    fd = os.open(asked_for, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_SH)
    assert keep_versions(target, NOW + 2, on_demand=True).in_use == (asked_for,)
    os.close(fd)
    assert asked_for in keep_versions(target, NOW + 3, on_demand=True).dropped
    assert not Path(asked_for).exists()
    assert Path(of_the_hour).exists()


def test_a_dry_run_says_the_same_and_does_nothing(target: Target) -> None:
    said = keep_versions(target, NOW, dry_run=True)
    assert not target.into.exists()
    assert said == keep_versions(target, NOW)


def test_a_plain_folder_is_unsupported_and_said_so(target: Target) -> None:
    plain = target.folder / "docs"
    plain.mkdir()
    kept = keep_versions(Target(plain, plain / ".snapshots", target.keep, 0o755), NOW)
    assert "not a btrfs subvolume" in kept.unsupported
    assert not (plain / ".snapshots").exists()


def test_a_folder_that_somebody_else_can_change_is_refused(target: Target) -> None:
    os.chown(target.folder, 12345, 12345)
    with pytest.raises(ApplianceError, match="this folder must belong to root"):
        keep_versions(target, NOW)
    os.chown(target.folder, 0, 0)
    (target.folder / ".snapshots").symlink_to("/tmp")
    with pytest.raises(ApplianceError, match="this folder must belong to root"):
        keep_versions(target, NOW)
