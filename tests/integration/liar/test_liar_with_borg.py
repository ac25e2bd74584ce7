"""One liar among honest peers, with real repositories and real borg. CI plays a short case of the day;
that many of 30 steps by `make soak SUITE=liar_with_borg N=200`."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.liar.besieged_borg import BesiegedBorg, BorgWorld
from tests.integration.liar.defects import DEFECTS
from tests.integration.liar.liar import HABITS
from tests.integration.liar.one_liar import DRAWN, HERE, LOCK_SECONDS, PLAYED, STEPS, machine, make_desks
from tests.integration.life.real_town import date_archives
from tests.integration.life.world import Broken
from tests.no_fsync import no_fsync
from tests.soak import play_machine, soak
from tests.worlds.vaults import HOLDER

__all__ = ("no_fsync",)

CASES_A_PART = 5


@pytest.fixture
def cases() -> Iterator[Any]:
    """The machine, whose cases one folder in memory has room for."""
    with tempfile.TemporaryDirectory(prefix="liar.", dir=HERE) as made, pytest.MonkeyPatch.context() as patch:
        date_archives(patch)
        folder = Path(made)
        vaults = BorgWorld(folder / "made", lock_seconds=LOCK_SECONDS, source=folder / "documents")
        yield machine(make_desks(folder, vaults), folder, BesiegedBorg)


def test_liar_with_borg_breaks_no_promise(cases: Any, seed: int) -> None:
    """A takeover and a restore from what the liar and the honest hold."""
    draw = random.Random(seed)
    case = cases()
    try:
        case.begin(drawn=draw.choice(DRAWN), seed=seed, habit=draw.choice(HABITS), calls=True)
        case.the_service_moves()
        case.a_cycle()
        case.a_restore()
    finally:
        case.teardown()
    assert case.world.content.keys() == {it.header.list_digest for it in case.world.sealed.values()}


@pytest.mark.slow
@pytest.mark.parametrize("put_back", [True, False], ids=["put back", "mended"])
def test_a_former_defect_is_found_with_borg(cases: Any, seed: int, put_back: bool) -> None:
    defect, former, lives = DEFECTS["a vault that kept nothing is a fence"]
    case = cases()
    case.begin(drawn=("three holders", HOLDER), seed=seed, habit="honest", calls=False)
    with pytest.MonkeyPatch.context() as patch:
        if put_back:
            patch.setattr(defect, former)
        try:
            lives(case.world)
            found = False
        except Broken:
            found = True
    case.playing.__exit__(None, None, None)
    assert found == put_back


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_soak_of_liar_with_borg(cases: Any, soak_runs: int | None, seed: int) -> None:
    def play(count: int, drawn: int) -> None:
        play_machine(cases, count, STEPS, drawn)

    played, seconds = soak("liar-with-borg", soak_runs or 1, seed, play, PLAYED, a_part=CASES_A_PART)
    print(f"{played.pop('cases')} cases, {played.pop('full')} of them of {STEPS} steps, {seconds:.0f} s of a core")
    print(f"steps: {dict(played.most_common())}")
