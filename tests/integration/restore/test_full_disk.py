"""A disk that fills at any step of a restore or of an undo: a sentence, nothing lost, and with room it ends."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.borg.client import Borg
from appliance.errors import NoSpace
from appliance.restore import jobs
from appliance.restore.job import jobs as all_jobs
from appliance.restore.undo import give_up, undo
from appliance.restore.unended import pinned
from appliance.units import MIB
from appliance_lab.checkers.tree_record import take
from appliance_lab.processes.disks import Disk
from tests.integration.restore.cuts import at_change
from tests.integration.restore.restoring import AS_ROOT, NOW, contents
from tests.integration.small_disk import on_small_disk

pytestmark = pytest.mark.root

SIZE_BYTES = 96 * MIB
"""A restore wants 64 MiB to stay free."""
STEPS = 4


@pytest.fixture(params=["one disk", "state full", "share full"])
def small(
    request: pytest.FixtureRequest, borg: Borg, share: Path, restores: Path, tmp_path: Path
) -> Iterator[tuple[Disk, Path]]:
    """The disk that fills, and the share: both on one disk, or one of both on a disk of its own."""
    if request.param == "share full":
        with on_small_disk(share, SIZE_BYTES) as disk:
            yield disk, share
        return
    if request.param == "one disk":
        shutil.move(share, restores.parent / "share")
    with on_small_disk(restores.parent, SIZE_BYTES) as disk:
        yield disk, restores.parent / "share" if request.param == "one disk" else share


def fills_at(monkeypatch: pytest.MonkeyPatch, number: int, disk: Disk, action: Callable[[], object]) -> int:
    """Do `action` while the disk fills at its change `number`, 0 for none; how many changes it made."""
    with monkeypatch.context() as patch:
        changes, refusal = at_change(patch, number, disk.fill), None
        try:
            action()
        except NoSpace as error:
            refusal = error
        if refusal is not None:
            assert "the disk is full" in str(refusal) or "more must be free" in str(refusal)
            assert refusal.remedy, "what to do"
        return changes()


def test_a_disk_that_fills_at_any_step_costs_that_try_only(
    small: tuple[Disk, Path], borg: Borg, restores: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    disk, share = small
    before = contents(take(share, AS_ROOT))

    def restored(number: int) -> tuple[str, int]:
        job = jobs.plan(restores, borg, "monday", [], now=NOW, in_place=share).id
        return job, fills_at(monkeypatch, number, disk, lambda: jobs.run(restores, job, borg, age_seconds=0))

    def undone(job: str, number: int) -> int:
        return fills_at(monkeypatch, number, disk, lambda: undo(restores, job, age_seconds=0))

    job, steps = restored(0)
    whole = contents(take(share, AS_ROOT))
    steps_back = undone(job, 0)
    assert contents(take(share, AS_ROOT)) == before
    draw = random.Random(seed)
    for _ in range(STEPS):
        number = draw.randrange(1, steps + 1)
        job, _ = restored(number)
        assert set(before) <= set(contents(take(share, AS_ROOT))), (number, "no name is ever without a file")
        disk.empty()
        assert jobs.run(restores, job, borg, age_seconds=0).state == "done", number
        assert contents(take(share, AS_ROOT)) == whole, number
        number = draw.randrange(1, steps_back + 1)
        undone(job, number)
        disk.empty()
        assert undo(restores, job, age_seconds=0).state == "undone", number
        assert contents(take(share, AS_ROOT)) == before, number


def test_a_restore_that_found_the_disk_full_can_be_given_up(
    small: tuple[Disk, Path], borg: Borg, restores: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    disk, share = small
    before = contents(take(share, AS_ROOT))
    for number in random.Random(seed).sample(range(1, 60), STEPS):
        job = jobs.plan(restores, borg, "monday", [], now=NOW, in_place=share).id
        fills_at(monkeypatch, number, disk, lambda job=job: jobs.run(restores, job, borg, age_seconds=0))  # type: ignore[misc]
        disk.empty()
        if next(it for it in all_jobs(restores) if it.id == job).state == "done":
            undo(restores, job, age_seconds=0)
        else:
            assert pinned(restores) <= {"monday"}
            fills_at(monkeypatch, 3, disk, lambda job=job: give_up(restores, job, age_seconds=0))  # type: ignore[misc]
            disk.empty()
            give_up(restores, job, age_seconds=0)
        assert contents(take(share, AS_ROOT)) == before, number
        assert pinned(restores) == frozenset()


def test_a_restore_that_cannot_begin_leaves_nothing(small: tuple[Disk, Path], borg: Borg, restores: Path) -> None:
    disk, share = small
    disk.fill()
    with pytest.raises(NoSpace, match=r"(more must be free .* Free that much|the disk is full\. Free space)"):
        jobs.plan(restores, borg, "monday", [], now=NOW, in_place=share)
    assert list(restores.glob("*")) == []
