"""The writer's own disk is full, at any step: a clear sentence, nothing lost, and with room the next run heals."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from typing import Any

import pytest

from appliance.backup.chain.chain import chain_of
from appliance.backup.peers.adopt import own_repository
from appliance.backup.writer import compacted, saved, writer
from appliance.backup.writer.compacted import KEPT_BYTES
from appliance.borg.client import Borg
from appliance.borg.errors import DiskFull
from appliance.borg.folder import SEGMENT_BYTES, SPARE_BYTES
from appliance.errors import NoSpace
from appliance.host.command import Result
from appliance.host.disks import reserve
from appliance.trust.generation import Header
from appliance.units import MIB
from tests.integration.faults.cut import fill
from tests.integration.faults.world import ORIGIN, SERVICE, FaultWorld
from tests.integration.small_disk import free_bytes, mount, on_small_disk

pytestmark = pytest.mark.root

SIZE = 120 * MIB
"""borg wants 64 MiB to stay free before it commits, and 64 more once there is much to compact."""
STEPS = 5


@pytest.fixture
def tight(world: FaultWorld) -> Iterator[FaultWorld]:
    """The origin's whole state folder on a small disk of its own."""
    with on_small_disk(world.node().layout.root, SIZE):
        yield world


def test_more_data_than_room_is_said_and_saved_once_there_is_room(tight: FaultWorld) -> None:
    big = tight.documents / "vidéo du conseil.mp4"
    big.write_bytes(random.Random(1).randbytes(60 * MIB))
    said = tight.territory.nodes[ORIGIN].cli("backup", "run", SERVICE, check=False)
    assert said.exit_code == NoSpace.exit_code
    assert "the disk is full. Free space on this disk, then run the command again" in said.tail()
    with pytest.raises(DiskFull):
        writer.run(tight.node(), SERVICE)
    tight.assert_nothing_lost()
    mount(tight.node().layout.root, 4 * SIZE, "remount")
    tight.assert_healed()
    tight.assert_nothing_lost()


def test_what_did_not_fit_can_also_be_taken_away(tight: FaultWorld) -> None:
    big = tight.documents / "vidéo du conseil.mp4"
    big.write_bytes(random.Random(1).randbytes(60 * MIB))
    with pytest.raises(DiskFull):
        writer.run(tight.node(), SERVICE)
    big.unlink()
    tight.assert_healed()
    tight.assert_nothing_lost()


def test_a_disk_that_fills_up_at_any_step_costs_that_run_only(tight: FaultWorld, seed: int) -> None:
    mount(tight.node().layout.root, 2 * SIZE, "remount")
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


def test_a_disk_full_before_the_run_is_said(tight: FaultWorld) -> None:
    filler = tight.node().layout.root / "filler"
    fill(filler)
    said = tight.territory.nodes[ORIGIN].cli("backup", "run", SERVICE, check=False)
    assert said.exit_code == NoSpace.exit_code
    assert "the disk is full" in said.tail()
    filler.unlink()
    tight.assert_healed()
    tight.assert_nothing_lost()


def test_the_room_that_is_kept_back_leaves_a_backup_what_borg_wants(tight: FaultWorld) -> None:
    """Once ten segments have something to compact, borg wants 84 MiB more to be free."""
    mount(tight.node().layout.root, 4 * SIZE, "remount")
    for _ in range(10):
        tight.change()
        writer.run(tight.node(), SERVICE)
    reserve.give(tight.node().layout.services_reserve)
    leave_free(tight, KEPT_BYTES + SPARE_BYTES + SEGMENT_BYTES + 8 * MIB)
    for _ in range(2):
        tight.change()
        writer.run(tight.node(), SERVICE)


FILM_BYTES = 40 * MIB
FILMS = 3


def films(tight: FaultWorld) -> None:
    """Three versions of a film in the repository, of which the retention keeps the newest, and room for no fourth."""
    mount(tight.node().layout.root, 4 * SIZE, "remount")
    for number in range(FILMS):
        replace_film(tight, number)
        tight.assert_healed()
    tight.keep_little()
    replace_film(tight, FILMS)
    leave_free(tight, FILM_BYTES + 32 * MIB)


def fill_all(tight: FaultWorld) -> None:
    """Somebody takes what was kept back, too."""
    reserve.give(tight.node().layout.services_reserve)
    fill(tight.layout().root / "filler")


def replace_film(tight: FaultWorld, number: int) -> None:
    (tight.documents / "film du conseil.mp4").write_bytes(random.Random(number).randbytes(FILM_BYTES))


def leave_free(tight: FaultWorld, size: int) -> None:
    filler = tight.node().layout.root / "filler"
    filler.unlink(missing_ok=True)
    disk = os.statvfs(filler.parent)
    filler.write_bytes(bytes(max(0, disk.f_bavail * disk.f_frsize - size)))


def newest_header(tight: FaultWorld) -> Header:
    newest = chain_of(tight.node(), SERVICE).newest()
    assert newest is not None
    return newest.header


def test_tidying_that_frees_nothing_seals_nothing(tight: FaultWorld) -> None:
    before = newest_header(tight)
    writer.prune(tight.node(), SERVICE)
    assert newest_header(tight) == before
    tight.assert_healed()


def test_tidying_gives_a_full_disk_the_room_of_what_it_forgets(tight: FaultWorld) -> None:
    """The sealed generation names every segment that compaction removes, so nothing is free before the next seal."""
    films(tight)
    with pytest.raises(DiskFull):
        writer.run(tight.node(), SERVICE)
    before, sealed = free_bytes(tight.layout().root), newest_header(tight)
    forgotten = writer.prune(tight.node(), SERVICE)
    assert len(forgotten) >= FILMS - 1
    assert free_bytes(tight.layout().root) > before + FILM_BYTES
    after = newest_header(tight)
    assert (after.sequence, after.time) == (sealed.sequence + 1, sealed.time), "it holds no newer state"
    tight.assert_healed()
    tight.assert_nothing_lost()


def test_tidying_needs_no_room_that_borg_keeps_back(tight: FaultWorld) -> None:
    films(tight)
    config = tight.layout().repository / "config"
    reserved = config.read_bytes()
    leave_free(tight, 32 * MIB)
    writer.prune(tight.node(), SERVICE)
    assert config.read_bytes() == reserved
    assert free_bytes(tight.layout().root) > FILM_BYTES
    tight.assert_nothing_lost()


def test_a_disk_that_fills_before_the_seal_after_compaction_lets_go_of_sealed_files_and_tries_again(
    tight: FaultWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The room comes from what only the sealed folder names: the file that filled the disk stays."""
    films(tight)
    before, tries, seal_compacted, seal = newest_header(tight), [], writer.seal_compacted, compacted.seal

    def on_a_full_disk(*words: Any) -> Any:
        fill_all(tight)
        assert free_bytes(tight.layout().root) == 0
        return seal_compacted(*words)

    def counted(*words: Any, **options: Any) -> Any:
        tries.append(free_bytes(tight.layout().root))
        return seal(*words, **options)

    monkeypatch.setattr(writer, "seal_compacted", on_a_full_disk)
    monkeypatch.setattr(compacted, "seal", counted)
    assert len(writer.prune(tight.node(), SERVICE)) >= FILMS - 1
    assert len(tries) == 2
    assert tries[0] < FILM_BYTES < tries[1]
    assert newest_header(tight).sequence == before.sequence + 1
    (tight.layout().root / "filler").unlink()
    monkeypatch.undo()
    tight.assert_healed()
    tight.assert_nothing_lost()


def test_without_an_announced_compaction_no_sealed_file_goes_however_full_the_disk_is(tight: FaultWorld) -> None:
    """A segment that is missing in the repository is lost then, and the sealed folder has its last copy here."""
    layout = tight.layout()
    sealed = sorted(layout.sealed.glob("*/data/*/*"))
    (layout.repository / sealed[0].relative_to(sealed[0].parents[2])).unlink()
    fill_all(tight)
    with pytest.raises(OSError, match="No space left"):
        compacted.with_room(tight.node(), SERVICE, lambda: (layout.root / "more").write_bytes(b"x" * MIB))
    assert sorted(layout.sealed.glob("*/data/*/*")) == sealed


def test_tidying_gives_room_back_on_a_disk_without_one_free_byte(tight: FaultWorld) -> None:
    """Others write on the same disk, to its end: nobody takes the film that filled it away."""
    films(tight)
    writer.prune(tight.node(), SERVICE)
    films(tight)
    leave_free(tight, 0)
    assert free_bytes(tight.layout().root) == 0
    said = tight.territory.nodes[ORIGIN].cli("backup", "run", SERVICE, check=False)
    assert said.exit_code == NoSpace.exit_code
    tidied = tight.territory.nodes[ORIGIN].cli("backup", "prune", SERVICE, check=False)
    assert tidied.exit_code == 0, tidied.tail()
    assert free_bytes(tight.layout().root) > FILM_BYTES
    tight.assert_nothing_lost()


def test_tidying_settles_a_run_that_was_cut_on_a_disk_without_one_free_byte(tight: FaultWorld) -> None:
    """A companion, which borg has to write first, names what the archive of that run lacks."""
    films(tight)
    newest = Borg(own_repository(tight.layout())).archives()[-1].name
    saved.begin(tight.layout(), newest)
    leave_free(tight, 0)
    assert len(writer.prune(tight.node(), SERVICE)) >= FILMS - 1
    assert saved.load(tight.layout()).saving == ""
    assert free_bytes(tight.layout().root) > FILM_BYTES
    tight.assert_nothing_lost()


def test_a_disk_that_fills_up_at_any_step_of_tidying_costs_that_tidying_only(tight: FaultWorld, seed: int) -> None:
    mount(tight.node().layout.root, 2 * SIZE, "remount")
    tight.keep_little()
    filler = tight.node().layout.root / "filler"
    steps = refill_and_tidy(tight, 0)[1]
    for number in sorted(random.Random(seed).sample(range(1, steps + 1), STEPS)):
        ended, _ = refill_and_tidy(tight, f"{number}:{filler}")
        assert ended.exit_code in (0, NoSpace.exit_code), (number, ended.stderr.decode())
        assert ended.exit_code == 0 or "the disk is full" in ended.tail(), (number, ended.tail())
        assert b"Traceback" not in ended.stderr
        writer.prune(tight.node(), SERVICE)  # what filled the disk is still there, and left what is kept back
        filler.unlink(missing_ok=True)
        tight.assert_healed()
    tight.assert_nothing_lost(extract=2)


def refill_and_tidy(tight: FaultWorld, last: int | str) -> tuple[Result, int]:
    """Tidy with something to forget, compact and seal."""
    for _ in range(2):
        (tight.documents / "film du conseil.mp4").write_bytes(os.urandom(4 * MIB))
        tight.assert_healed()
    return tight.cut_tidy(last)
