"""One arbitrary liar among honest peers, at any moment: nothing acknowledged is lost, nobody writes who was not
granted it, no backup, takeover, restore or pruning is stopped, and what is saved is safe at the honest holders within
two cycles. CI plays some cases; that many of 30 steps by `make soak SUITE=one_liar N=20000`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.integration.liar.besieged import Besieged, OpenWorld, playing
from tests.integration.liar.defects import DEFECTS
from tests.integration.liar.one_liar import HERE, PLAYED, STEPS, besieged, foreign, machine, make_desks
from tests.integration.life.world import Broken
from tests.no_fsync import no_fsync
from tests.soak import play_machine, soak
from tests.worlds.vaults import HOLDER

__all__ = ("no_fsync",)

SAMPLE = 10
CASES_A_PART = 100


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """In memory where there is room: a case writes some hundred small files."""
    with tempfile.TemporaryDirectory(prefix="liar.", dir=HERE) as made:
        yield Path(made)


@pytest.fixture(scope="module")
def desks(folder: Path) -> dict[str, OpenWorld]:
    return make_desks(folder)


ORDERS_MAX = 20
"""The orders in which a former defect must be found: one order alone may draw nothing that shows it."""


@pytest.mark.parametrize("put_back", [True, False], ids=["put back", "mended"])
@pytest.mark.parametrize("defect", DEFECTS)
def test_a_former_defect_is_found(
    desks: dict[str, OpenWorld], folder: Path, defect: str, put_back: bool, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is found where it is put back, and nothing where it is not: that proves what the cases look at."""
    where, former, lives = DEFECTS[defect]
    if put_back:
        monkeypatch.setattr(where, former)
    seeds = range(seed, seed + (ORDERS_MAX if put_back else 2))
    assert any(is_broken(besieged(desks, folder, "three holders", it), lives) for it in seeds) == put_back


def is_broken(world: Besieged, lives: Callable[[Besieged], None]) -> bool:
    try:
        with playing(world):
            world.start(HOLDER, foreign(world.vaults, HOLDER))
            world.save()
            lives(world)
    except Broken:
        return True
    return False


def play(desks: dict[str, OpenWorld], folder: Path, cases: int, seed: int) -> None:
    play_machine(machine(desks, folder), cases, STEPS, seed)


def test_one_liar_breaks_no_promise(desks: dict[str, OpenWorld], folder: Path, seed: int) -> None:
    play(desks, folder, SAMPLE, seed)


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_soak_of_one_liar(desks: dict[str, OpenWorld], folder: Path, soak_runs: int | None, seed: int) -> None:
    cases = soak_runs or 10 * SAMPLE
    played, seconds = soak("liar", cases, seed, partial(play, desks, folder), PLAYED, a_part=CASES_A_PART)
    print(f"{played.pop('cases')} cases, {played.pop('full')} of them of {STEPS} steps, {seconds:.0f} s of a core")
    print(f"steps: {dict(played.most_common())}")
