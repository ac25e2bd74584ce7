"""The disk of the node that takes a service over fills at any step: a clear sentence, and with room the same ends."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.errors import NoSpace
from appliance.failover.takeover_worker import GRANTED
from appliance.host.command import Result
from appliance.units import MIB
from appliance_lab.checkers.tree_record import compare, take
from tests.integration.faults.world import SERVICE, STANDBY, FaultWorld
from tests.integration.small_disk import on_small_disk

pytestmark = pytest.mark.root

SIZE = 240 * MIB
STEPS = 4


@pytest.fixture
def tight(world: FaultWorld) -> Iterator[FaultWorld]:
    """The standby's whole state folder on a small disk of its own, with the files that it serves."""
    world.node(STANDBY).layout.machine.mkdir()
    (world.documents / "cadastre.tif").write_bytes(random.Random(1).randbytes(2 * MIB))
    world.save()
    with on_small_disk(world.node(STANDBY).layout.root, SIZE):
        yield world


def grant(tight: FaultWorld) -> None:
    """The standby has the newest generation and a grant that waits, as once its voters signed it. It may have written
    that generation itself: a small disk holds nothing for another writer, so none has it back in between.
    """
    tight.fetch_to_continue(STANDBY)
    shutil.copy(tight.grant_file, tight.layout(STANDBY).root / GRANTED)


def take_over(tight: FaultWorld, last: int | str) -> tuple[Result, int]:
    return tight.cut(last, "takeover", str(tight.node(STANDBY).layout.root), SERVICE)


def assert_taken_over(tight: FaultWorld) -> None:
    """The next try has all files in place, and the first backup of the standby seals and is acknowledged."""
    ended, _ = take_over(tight, 0)
    assert ended.exit_code == 0, ended.stderr.decode()
    below = tight.node(STANDBY).layout.machine
    placed = below / str(tight.documents).lstrip("/")
    assert compare(take(tight.documents, as_root=False), take(placed, as_root=False)) == ()
    tight.writer = STANDBY
    tight.assert_healed()


def assert_told(ended: Result, number: int) -> None:
    assert ended.exit_code in (0, NoSpace.exit_code), (number, ended.stderr.decode())
    assert ended.exit_code == 0 or "the disk is full" in ended.tail(), (number, ended.tail())
    assert b"Traceback" not in ended.stderr


def filler_of(tight: FaultWorld) -> Path:
    return tight.node(STANDBY).layout.root / "filler"


def test_a_disk_that_fills_up_at_any_step_of_a_takeover_costs_that_try_only(tight: FaultWorld, seed: int) -> None:
    filler = filler_of(tight)
    grant(tight)
    _, steps = take_over(tight, 0)
    assert_taken_over(tight)
    for number in sorted(random.Random(seed).sample(range(1, steps + 1), STEPS)):
        grant(tight)
        ended, _ = take_over(tight, f"{number}:{filler}")
        assert_told(ended, number)
        filler.unlink(missing_ok=True)
        assert_taken_over(tight)
    tight.assert_nothing_lost(extract=2)


def test_a_full_disk_in_the_middle_of_a_takeover_and_then_a_power_cut(tight: FaultWorld, seed: int) -> None:
    filler, draw = filler_of(tight), random.Random(seed)
    grant(tight)
    _, steps = take_over(tight, 0)
    assert_taken_over(tight)
    for _ in range(2):
        grant(tight)
        number = draw.randrange(1, steps)
        assert_told(take_over(tight, f"{number}:{filler}")[0], number)
        filler.unlink(missing_ok=True)
        take_over(tight, draw.randrange(1, steps))
        assert_taken_over(tight)
    tight.assert_nothing_lost(extract=2)


def test_a_disk_that_fills_up_at_any_step_of_the_first_seal_costs_that_run_only(tight: FaultWorld, seed: int) -> None:
    filler, draw, state = filler_of(tight), random.Random(seed), str(tight.node(STANDBY).layout.root)
    grant(tight)
    assert take_over(tight, 0)[0].exit_code == 0
    tight.writer = STANDBY
    _, steps = tight.cut(0, "backup", state, SERVICE)
    for number in sorted(draw.sample(range(1, steps + 1), STEPS)):
        grant(tight)
        assert take_over(tight, 0)[0].exit_code == 0
        tight.writer = STANDBY
        assert_told(tight.cut(f"{number}:{filler}", "backup", state, SERVICE)[0], number)
        filler.unlink(missing_ok=True)
        tight.assert_healed()
    tight.assert_nothing_lost(extract=2)
