"""Acts of operators and alarms of ours freeze what a holder keeps."""

from __future__ import annotations

from typing import Any

import pytest

from appliance.backup.vault.maintenance import freeze
from appliance.node.acts import keep_act
from appliance.units import DAY
from tests.integration.desk.desk import (
    HOLDER,
    ORIGIN,
    SERVICE,
    STANDBY,
    Desk,
    Generation,
)
from tests.integration.desk.history import held_here, thin_here

# Frozen


def _act(desk: Desk, act: str, subject: str, **fields: Any) -> None:
    keep_act(desk.layout(HOLDER).acts, desk.act(act, subject, **fields), desk.open(HOLDER).bundle)


def test_an_alarm_of_ours_freezes_for_fourteen_days(desk: Desk, history: list[Generation]) -> None:
    desk.advance(32 * DAY)
    freeze.raise_alarm(desk.open(HOLDER), SERVICE, "the share grows four times as fast as it did.")
    partial = desk.holding(HOLDER).partial / ("ab" * 32)
    partial.write_bytes(b"1")
    for _ in range(13):
        desk.advance(DAY)
        assert thin_here(desk).skipped.startswith("frozen: alarm of this node, for ")
    assert len(held_here(desk)) == len(history)
    desk.advance(DAY)
    assert len(thin_here(desk).dropped) == 6


def test_an_alarm_that_is_raised_again_lasts(desk: Desk, history: list[Generation]) -> None:
    desk.advance(32 * DAY)
    for _ in range(4):
        freeze.raise_alarm(desk.open(HOLDER), SERVICE, "again.")
        desk.advance(13 * DAY)
        assert thin_here(desk).skipped


def test_an_alarm_that_cannot_be_read_freezes_and_says_where(desk: Desk, history: list[Generation]) -> None:
    path = desk.holding(HOLDER).root / "alarm"
    path.write_bytes(b"{")
    skipped = thin_here(desk).skipped
    assert skipped.startswith(f"frozen: {path}: the alarm cannot be read: ")
    assert skipped.endswith("Find out why, then remove the file.")


@pytest.mark.parametrize("subject", [SERVICE, ORIGIN, HOLDER])
@pytest.mark.parametrize("act", ["freeze", "hold"])
def test_a_signed_act_freezes_until_its_end(desk: Desk, history: list[Generation], act: str, subject: str) -> None:
    desk.advance(32 * DAY)
    _act(desk, act, subject, days=10)
    desk.advance(9 * DAY)
    assert thin_here(desk).skipped.startswith(f"frozen: {act} by keeper until 20")
    desk.advance(2 * DAY)
    assert len(thin_here(desk).dropped) == 6


def test_an_unfreeze_ends_a_freeze_and_an_alarm_and_no_hold(desk: Desk, history: list[Generation]) -> None:
    desk.advance(32 * DAY)
    freeze.raise_alarm(desk.open(HOLDER), SERVICE, "alarm.")
    _act(desk, "freeze", SERVICE)
    _act(desk, "hold", SERVICE, days=3)
    desk.advance(DAY)
    _act(desk, "unfreeze", SERVICE)
    assert thin_here(desk).skipped.startswith("frozen: hold by keeper")
    desk.advance(3 * DAY)
    assert len(thin_here(desk).dropped) == 6


def test_a_freeze_that_is_signed_after_an_unfreeze_holds(desk: Desk, history: list[Generation]) -> None:
    desk.advance(32 * DAY)
    _act(desk, "unfreeze", SERVICE)
    desk.advance(DAY)
    _act(desk, "freeze", SERVICE)
    assert thin_here(desk).skipped.startswith("frozen: freeze by keeper")


def test_a_freeze_of_another_service_is_none(desk: Desk, history: list[Generation]) -> None:
    desk.advance(32 * DAY)
    _act(desk, "freeze", "docs-d", service="docs-d")
    _act(desk, "freeze", STANDBY)
    assert len(thin_here(desk).dropped) == 6


def frozen(desk: Desk) -> str:
    return freeze.why_frozen(desk.open(HOLDER), SERVICE)


@pytest.mark.parametrize("act", ["freeze", "hold"])
def test_a_wall_clock_that_is_set_on_by_ten_years_ends_nothing(desk: Desk, act: str) -> None:
    """Its end is that of the ageing clock, too: how long it lasts was noted when it was seen in force."""
    desk.holding(HOLDER).create()
    _act(desk, act, SERVICE, days=60)
    assert frozen(desk).startswith(f"{act} by keeper until 20")
    desk.clocks[HOLDER].jump_wall(3650 * DAY)
    assert frozen(desk) == f"{act} by keeper until the ageing clock has counted 60 d more: test"
    desk.advance(59 * DAY)
    assert frozen(desk)
    desk.advance(2 * DAY)
    assert frozen(desk) == ""


def test_a_wall_clock_that_is_set_back_keeps_a_hold_in_force_by_that_clock_alone(desk: Desk) -> None:
    _act(desk, "hold", SERVICE, days=60)
    assert frozen(desk)
    desk.advance(61 * DAY)
    desk.clocks[HOLDER].jump_wall(-30 * DAY)
    assert frozen(desk).startswith("hold by keeper until 20")


def test_a_hold_that_was_over_when_it_came_is_not_noted(desk: Desk) -> None:
    _act(desk, "hold", SERVICE, days=60)
    desk.clocks[HOLDER].jump_wall(61 * DAY)
    assert frozen(desk) == ""
    desk.clocks[HOLDER].jump_wall(-61 * DAY)
    assert frozen(desk), "and it is in force for the first time now"


def test_a_freeze_that_was_taken_back_does_not_begin_again_by_the_ageing_clock(desk: Desk) -> None:
    """The machine was off for two days: by its ageing clock the freeze would last longer than the act that ended it."""
    desk.holding(HOLDER).create()
    _act(desk, "freeze", SERVICE, days=14)
    assert frozen(desk)
    desk.advance(60)
    _act(desk, "unfreeze", SERVICE, days=13)
    assert frozen(desk) == ""
    desk.clocks[HOLDER].jump_wall(15 * DAY)
    assert frozen(desk) == ""


def test_notes_that_cannot_be_read_thin_nothing(desk: Desk) -> None:
    desk.holding(HOLDER).create()
    (desk.holding(HOLDER).root / "lasting").write_text("[]")
    assert "the durations of freezes and holds cannot be read" in frozen(desk)
