"""The writer's own disk is full, at any step: a clear sentence, nothing lost, and with room the next run heals."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.backup import compacted, writer
from appliance.backup.chain import chain_of
from appliance.borg.errors import DiskFull
from appliance.errors import NoSpace
from appliance.host.command import run
from appliance.trust.generation import Header
from appliance.units import MIB
from tests.integration.faults.cut import fill
from tests.integration.faults.ground import ORIGIN, SERVICE, Ground

pytestmark = pytest.mark.root

SIZE = 120 * MIB
"""borg wants 64 MiB to stay free before it commits, and 64 more once there is much to compact."""
STEPS = 5


def mount(place: Path, *options: str) -> None:
    words = ("mount", "-t", "tmpfs", "-o", ",".join((f"size={SIZE}", "mode=700", *options)), "tmpfs", str(place))
    done = run(words, timeout_seconds=20)
    if done.exit_code != 0:
        pytest.skip(f"this machine mounts nothing for us: {done.tail()}")


@pytest.fixture
def tight(ground: Ground) -> Iterator[Ground]:
    """The origin's whole state folder on a small disk of its own."""
    state = ground.node().layout.root
    aside = ground.work / "aside"
    run(("cp", "-a", str(state), str(aside)), timeout_seconds=60, check=True)
    mount(state)
    try:
        run(("cp", "-a", f"{aside}/.", str(state)), timeout_seconds=60, check=True)
        yield ground
    finally:
        run(("umount", str(state)), timeout_seconds=20, check=True)


def test_more_data_than_room_is_said_and_saved_once_there_is_room(tight: Ground) -> None:
    big = tight.documents / "vidéo du conseil.mp4"
    big.write_bytes(random.Random(1).randbytes(60 * MIB))
    said = tight.territory.nodes[ORIGIN].cli("backup", "run", SERVICE, check=False)
    assert said.exit_code == NoSpace.exit_code
    assert "the disk is full. Free space on this disk, then run it again" in said.tail()
    with pytest.raises(DiskFull):
        writer.run(tight.node(), SERVICE)
    tight.assert_nothing_lost()
    mount(tight.node().layout.root, "remount", f"size={4 * SIZE}")
    tight.assert_healed()
    tight.assert_nothing_lost()


def test_what_did_not_fit_can_also_be_taken_away(tight: Ground) -> None:
    big = tight.documents / "vidéo du conseil.mp4"
    big.write_bytes(random.Random(1).randbytes(60 * MIB))
    with pytest.raises(DiskFull):
        writer.run(tight.node(), SERVICE)
    big.unlink()
    tight.assert_healed()
    tight.assert_nothing_lost()


def test_a_disk_that_fills_up_at_any_step_costs_that_run_only(tight: Ground, seed: int) -> None:
    mount(tight.node().layout.root, "remount", f"size={2 * SIZE}")
    filler = tight.node().layout.root / "filler"
    tight.change()
    _, steps = tight.cut_backup(0)
    for number in sorted(random.Random(seed).sample(range(1, steps + 1), STEPS)):
        tight.change()
        ended, _ = tight.cut_backup(f"{number}:{filler}")
        assert ended.exit_code in (0, NoSpace.exit_code), (number, ended.stderr.decode())
        assert ended.exit_code == 0 or "the disk is full" in ended.tail(), (number, ended.tail())
        assert b"Traceback" not in ended.stderr
        filler.unlink(missing_ok=True)
        tight.assert_healed()
    tight.assert_nothing_lost(extract=2)


def test_a_disk_full_before_the_run_is_said(tight: Ground) -> None:
    filler = tight.node().layout.root / "filler"
    fill(filler)
    said = tight.territory.nodes[ORIGIN].cli("backup", "run", SERVICE, check=False)
    assert said.exit_code == NoSpace.exit_code
    assert "the disk is full" in said.tail()
    filler.unlink()
    tight.assert_healed()
    tight.assert_nothing_lost()


FILM_BYTES = 40 * MIB
FILMS = 3


def films(tight: Ground) -> None:
    """Three versions of a film in the repository, of which the retention keeps the newest, and room for no fourth."""
    mount(tight.node().layout.root, "remount", f"size={4 * SIZE}")
    for number in range(FILMS):
        replace_film(tight, number)
        tight.assert_healed()
    tight.keep_little()
    replace_film(tight, FILMS)
    leave_free(tight, FILM_BYTES + 32 * MIB)


def replace_film(tight: Ground, number: int) -> None:
    (tight.documents / "film du conseil.mp4").write_bytes(random.Random(number).randbytes(FILM_BYTES))


def leave_free(tight: Ground, size: int) -> None:
    filler = tight.node().layout.root / "filler"
    filler.unlink(missing_ok=True)
    disk = os.statvfs(filler.parent)
    filler.write_bytes(bytes(max(0, disk.f_bavail * disk.f_frsize - size)))


def free_bytes(tight: Ground) -> int:
    disk = os.statvfs(tight.node().layout.root)
    return disk.f_bavail * disk.f_frsize


def newest_header(tight: Ground) -> Header:
    newest = chain_of(tight.node(), SERVICE).newest()
    assert newest is not None
    return newest.header


def test_tidying_that_frees_nothing_seals_nothing(tight: Ground) -> None:
    before = newest_header(tight)
    writer.tidy(tight.node(), SERVICE)
    assert newest_header(tight) == before
    tight.assert_healed()


def test_tidying_gives_a_full_disk_the_room_of_what_it_forgets(tight: Ground) -> None:
    """What was sealed names every segment that compaction removes, so nothing is free before the next seal."""
    films(tight)
    with pytest.raises(DiskFull):
        writer.run(tight.node(), SERVICE)
    before, sealed = free_bytes(tight), newest_header(tight)
    forgotten = writer.tidy(tight.node(), SERVICE)
    assert len(forgotten) >= FILMS - 1
    assert free_bytes(tight) > before + FILM_BYTES
    after = newest_header(tight)
    assert (after.sequence, after.time) == (sealed.sequence + 1, sealed.time), "it holds no newer state"
    tight.assert_healed()
    tight.assert_nothing_lost()


def test_tidying_needs_no_room_that_borg_keeps_back(tight: Ground) -> None:
    films(tight)
    config = tight.layout().repository / "config"
    reserved = config.read_bytes()
    leave_free(tight, 32 * MIB)
    writer.tidy(tight.node(), SERVICE)
    assert config.read_bytes() == reserved
    assert free_bytes(tight) > FILM_BYTES
    tight.assert_nothing_lost()


def test_a_disk_that_fills_before_the_seal_after_compaction_lets_go_of_sealed_files_and_tries_again(
    tight: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The room comes from what only the sealed folder names: the file that filled the disk stays."""
    films(tight)
    before, tries, seal_compacted, seal = newest_header(tight), [], writer.seal_compacted, compacted.seal

    def on_a_full_disk(*words: Any) -> Any:
        fill(tight.layout().root / "filler")
        assert free_bytes(tight) == 0
        return seal_compacted(*words)

    def counted(*words: Any, **options: Any) -> Any:
        tries.append(free_bytes(tight))
        return seal(*words, **options)

    monkeypatch.setattr(writer, "seal_compacted", on_a_full_disk)
    monkeypatch.setattr(compacted, "seal", counted)
    assert len(writer.tidy(tight.node(), SERVICE)) >= FILMS - 1
    assert len(tries) == 2
    assert tries[0] < FILM_BYTES < tries[1]
    assert newest_header(tight).sequence == before.sequence + 1
    (tight.layout().root / "filler").unlink()
    monkeypatch.undo()
    tight.assert_healed()
    tight.assert_nothing_lost()


def test_without_an_announced_compaction_no_sealed_file_goes_however_full_the_disk_is(tight: Ground) -> None:
    """A segment that is missing in the repository is lost then, and the sealed folder has its last copy here."""
    layout = tight.layout()
    sealed = sorted(layout.sealed.glob("*/data/*/*"))
    (layout.repository / sealed[0].relative_to(sealed[0].parents[2])).unlink()
    fill(layout.root / "filler")
    with pytest.raises(OSError, match="No space left"):
        compacted.with_room(layout, lambda: (layout.root / "more").write_bytes(b"x" * MIB))
    assert sorted(layout.sealed.glob("*/data/*/*")) == sealed
