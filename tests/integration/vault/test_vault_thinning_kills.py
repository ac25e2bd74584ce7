"""kill -9 of thinning at every step: what is kept stays whole, and a later pass ends what this one began."""

from __future__ import annotations

import signal
from pathlib import Path

from appliance.backup.vault.leftovers import remains, unreferenced_blobs
from appliance.backup.vault.thinning import REMAINS_SECONDS, thin_holding
from appliance.units import DAY, HOUR
from tests.integration.desk.desk import HOLDER, SERVICE, Desk, assert_whole
from tests.integration.desk.history import days_of
from tests.integration.vault.child import die_at_step, wait_status_of

LET_GO = 3


def lived(root: Path) -> tuple[Desk, list[str]]:
    """A desk whose holder may let go of all but the ends of a day, and the names of those two."""
    desk = Desk(root).create()
    history = days_of(desk, 1, per_day=2 + LET_GO)
    desk.advance(32 * DAY)
    return desk, [history[0].name, history[-1].name]


def thin_until_killed(desk: Desk, step: int) -> bool:
    """Thin in a process that dies before its step number `step`; False when it had fewer."""

    def thin() -> None:
        die_at_step(step)()
        thin_holding(desk.open(HOLDER), SERVICE)

    ended = wait_status_of(thin)
    assert ended in (0, signal.SIGKILL)
    return ended != 0


def thin_to_the_end(desk: Desk) -> None:
    """The passes of the next month: the lists go in the first, their blobs two days later, what a cut left at last."""
    for seconds in (HOUR, 2 * DAY, REMAINS_SECONDS):
        desk.advance(seconds)
        assert thin_holding(desk.open(HOLDER), SERVICE).skipped == ""


def assert_only(desk: Desk, kept: list[str]) -> None:
    """`kept` is all that is held, and nothing else takes room."""
    assert assert_whole(desk) == kept
    holding = desk.holding(HOLDER)
    named = {entry.sha256 for name in kept for entry in holding.entries(name)}
    assert {path.name for path in holding.blobs()} == named
    assert (list(unreferenced_blobs(holding, named)), list(remains(holding))) == ([], [])


def sweep(began: Desk, kept: list[str], tmp_path: Path) -> tuple[list[int], list[int]]:
    """Kill one pass before each of its steps, each in a copy of `began`; how many generations were held and how many
    blobs there were after each kill."""
    held: list[int] = []
    blobs: list[int] = []
    for step in range(10_000):
        desk = began.copy(tmp_path / str(step))
        if not thin_until_killed(desk, step):
            break
        names = assert_whole(desk)
        assert set(kept) <= set(names)
        held.append(len(names))
        blobs.append(len(list(desk.holding(HOLDER).blobs())))
        thin_to_the_end(desk)
        assert_only(desk, kept)
    return held, blobs


def from_all_to_none(kept: int) -> set[int]:
    """What is counted when a kill came before the first, between any two and after the last of what goes."""
    return set(range(kept, kept + LET_GO + 1))


def test_killed_at_any_step_of_letting_generations_go_it_loses_nothing_that_is_kept(tmp_path: Path) -> None:
    began, kept = lived(tmp_path / "began")
    held, _ = sweep(began, kept, tmp_path)
    assert set(held) == from_all_to_none(len(kept))
    assert len(held) > 20


def test_killed_at_any_step_of_removing_files_it_loses_nothing_that_is_kept(tmp_path: Path) -> None:
    began, kept = lived(tmp_path / "began")
    assert len(thin_holding(began.open(HOLDER), SERVICE).dropped) == LET_GO
    began.advance(2 * DAY)
    before = len(list(began.holding(HOLDER).blobs()))
    held, blobs = sweep(began, kept, tmp_path)
    assert set(held) == {len(kept)}
    assert set(blobs) == from_all_to_none(before - LET_GO)
