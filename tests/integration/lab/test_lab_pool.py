"""Disks of nodes come and go whole, on a machine without btrfs too."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.host.disks import btrfs
from appliance.host.disks.mounts import mounts_below
from appliance_lab.hosts.paths import HostPaths
from appliance_lab.hosts.pool import ARCHIVES, BTRFS, OVERLAY, Pool

pytestmark = pytest.mark.root


@pytest.fixture(params=[OVERLAY, BTRFS])
def pool(request: pytest.FixtureRequest, tmp_path: Path) -> Pool:
    """A pool on plain folders: as a btrfs pool finds what an overlay left, and the other way round."""
    made = Pool(HostPaths(tmp_path), OVERLAY)
    made.open()
    for folder in ("etc", str(ARCHIVES)):
        (tmp_path / "pool/bases/debian" / folder).mkdir(parents=True)
    (tmp_path / "pool/bases/debian/etc/hostname").write_text("nobody\n")
    made.prepare(tmp_path / "pool/bases/debian", "test", "commune-a")
    return Pool(made.paths, request.param)


def test_a_disk_that_was_not_prepared_to_its_end_is_none(pool: Pool) -> None:
    assert not pool.has_disk("test", "commune-a")
    pool.remove("test", "commune-a")
    assert pool.with_disk("test") == []
    assert mounts_below(pool.paths.root) == []


def test_a_disk_keeps_what_was_prepared_and_leaves_the_base_alone(tmp_path: Path) -> None:
    pool = Pool(HostPaths(tmp_path), OVERLAY)
    pool.open()
    base = tmp_path / "pool/bases/debian"
    (base / ARCHIVES).mkdir(parents=True)
    unfinished = pool.prepare(base, "test", "commune-a")
    (unfinished / "hostname").write_text("commune-a\n")
    pool.install(base, "test", "commune-a")
    assert (pool.root("test", "commune-a") / "hostname").read_text() == "commune-a\n"
    assert not (base / "hostname").exists()
    (pool.root("test", "commune-a") / ARCHIVES / "borg.deb").touch()
    pool.remove("test", "commune-a")
    assert (pool.packages / "borg.deb").exists(), "what was downloaded is lent to the next one"
    assert not pool.has_disk("test", "commune-a")
    assert mounts_below(tmp_path) == []
    pool.remove("test", "commune-a")


def test_what_an_ended_removal_left_goes_with_the_lab(tmp_path: Path) -> None:
    paths = HostPaths(tmp_path)
    pool = Pool(paths, BTRFS)
    pool.open()
    try:
        left = pool.root("test", "commune-a") / "srv/appliance"
        left.mkdir(parents=True)
        btrfs.create(left / "data")
        btrfs.create(left / "data/inner")
        btrfs.snapshot(left / "data", left / "snapshot", read_only=True)
        pool.remove_all("test")
        assert pool.with_disk("test") == []
        assert list((paths.pool / "labs").iterdir()) == []
    finally:
        pool.close()
