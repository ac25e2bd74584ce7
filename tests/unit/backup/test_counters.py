"""Before borg writes, the counter of a service is set by who answered and by what the machine says of itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.backup.writer.counters import set_counter
from appliance.borg.lanes import ALL, ALONE, STRETCH
from appliance.borg.nonce import floor_of, read_nonce, write_nonce
from appliance.clock import SimulatedClock
from appliance.host.layout import ServiceLayout

EPOCH = 4
FLOOR = floor_of(EPOCH)
HOLDERS = ("hermitage", "commune-b")


@pytest.fixture
def layout(tmp_path: Path) -> ServiceLayout:
    made = ServiceLayout(tmp_path)
    made.repository.mkdir()
    write_nonce(made.repository, FLOOR)
    return made


def place(layout: ServiceLayout) -> int:
    return ((read_nonce(layout.repository) or 0) - FLOOR) % STRETCH


def test_a_run_that_all_holders_answer_begins_at_the_next_counter(layout: ServiceLayout) -> None:
    clock = SimulatedClock()
    set_counter(layout, clock, EPOCH, HOLDERS, (*HOLDERS, "commune-c"))
    first = read_nonce(layout.repository)
    assert place(layout) < ALL.drawn, "nothing was noted yet, which is a sign"
    set_counter(layout, clock, EPOCH, HOLDERS, (*HOLDERS, "commune-c"))
    assert read_nonce(layout.repository) == first


def test_a_run_that_nobody_answers_begins_in_the_lane_of_the_lonely_above_the_last_one(layout: ServiceLayout) -> None:
    clock, last = SimulatedClock(), FLOOR
    for _ in range(5):
        set_counter(layout, clock, EPOCH, HOLDERS, ())
        value = read_nonce(layout.repository)
        assert value is not None
        assert value > last
        assert ALONE.start <= place(layout) < ALONE.start + ALONE.drawn
        last = value


def test_the_answer_of_one_that_could_not_have_taken_anything_counts_for_nobody(layout: ServiceLayout) -> None:
    set_counter(layout, SimulatedClock(), EPOCH, HOLDERS, ("commune-c",))
    assert ALONE.start <= place(layout)


@pytest.mark.parametrize("value", [None, FLOOR - 1, floor_of(EPOCH + 1)])
def test_a_counter_of_no_or_another_grant_stays_to_be_refused(layout: ServiceLayout, value: int | None) -> None:
    (layout.repository / "nonce").unlink()
    if value is not None:
        write_nonce(layout.repository, value)
    set_counter(layout, SimulatedClock(), EPOCH, HOLDERS, ())
    assert read_nonce(layout.repository) == value


def _nothing(clock: SimulatedClock, file: Path) -> None:
    clock.advance(3600)


def _reboot(clock: SimulatedClock, file: Path) -> None:
    clock.reboot()


def _thaw(clock: SimulatedClock, file: Path) -> None:
    clock.jump_wall(61)


def _drift(clock: SimulatedClock, file: Path) -> None:
    clock.jump_wall(-50)


def _damage(clock: SimulatedClock, file: Path) -> None:
    file.write_text('{"boot": ')


def _lose(clock: SimulatedClock, file: Path) -> None:
    file.unlink()


SIGNS = [(_nothing, False), (_drift, False), (_reboot, True), (_thaw, True), (_damage, True), (_lose, True)]


@pytest.mark.parametrize(("event", "signed"), SIGNS)
def test_a_start_a_clock_that_was_set_and_a_lost_note_are_signs_once(
    layout: ServiceLayout,
    monkeypatch: pytest.MonkeyPatch,
    event: Callable[[SimulatedClock, Path], None],
    signed: bool,
) -> None:
    """With a sign the place is drawn from 128 times as many: here the draw is always the last of all."""
    monkeypatch.setattr("appliance.backup.writer.counters._draw", lambda below: below - 1)
    clock = SimulatedClock()
    set_counter(layout, clock, EPOCH, HOLDERS, HOLDERS)
    before = read_nonce(layout.repository) or 0
    event(clock, layout.last_boot)
    set_counter(layout, clock, EPOCH, HOLDERS, ())
    first = read_nonce(layout.repository) or 0
    assert (first - before > 32 * STRETCH) == signed
    set_counter(layout, clock, EPOCH, HOLDERS, ())
    assert (read_nonce(layout.repository) or 0) - first < 3 * STRETCH, "the sign was noted"
