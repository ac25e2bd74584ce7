"""Acts of operators and alarms of ours freeze what a holder keeps."""

from __future__ import annotations

from typing import Any

import pytest

from appliance.backup.vault.maintenance import freeze
from appliance.node.acts import keep_act
from appliance.units import DAY
from tests.integration.vault_worlds.history import held_here, thin_here
from tests.worlds.vaults import HOLDER, ORIGIN, SERVICE, STANDBY, Generation, VaultWorld

# Frozen


def _act(vaults: VaultWorld, act: str, subject: str, **fields: Any) -> None:
    keep_act(vaults.layout(HOLDER).acts, vaults.act(act, subject, **fields), vaults.open(HOLDER).bundle)


def test_an_alarm_of_ours_freezes_for_fourteen_days(vaults: VaultWorld, history: list[Generation]) -> None:
    vaults.advance(32 * DAY)
    freeze.raise_alarm(vaults.open(HOLDER), SERVICE, "the share grows four times as fast as it did.")
    partial = vaults.holding(HOLDER).partial / ("ab" * 32)
    partial.write_bytes(b"1")
    for _ in range(13):
        vaults.advance(DAY)
        assert thin_here(vaults).skipped.startswith("frozen: alarm of this node, for ")
    assert len(held_here(vaults)) == len(history)
    vaults.advance(DAY)
    assert len(thin_here(vaults).dropped) == 6


def test_an_alarm_that_is_raised_again_lasts(vaults: VaultWorld, history: list[Generation]) -> None:
    vaults.advance(32 * DAY)
    for _ in range(4):
        freeze.raise_alarm(vaults.open(HOLDER), SERVICE, "again.")
        vaults.advance(13 * DAY)
        assert thin_here(vaults).skipped


def test_an_alarm_that_cannot_be_read_freezes_and_says_where(vaults: VaultWorld, history: list[Generation]) -> None:
    path = vaults.holding(HOLDER).root / "alarm"
    path.write_bytes(b"{")
    skipped = thin_here(vaults).skipped
    assert skipped.startswith(f"frozen: {path}: the alarm cannot be read: ")
    assert skipped.endswith("Find out why, then remove the file.")


@pytest.mark.parametrize("subject", [SERVICE, ORIGIN, HOLDER])
@pytest.mark.parametrize("act", ["freeze", "hold"])
def test_a_signed_act_freezes_until_its_end(
    vaults: VaultWorld, history: list[Generation], act: str, subject: str
) -> None:
    vaults.advance(32 * DAY)
    _act(vaults, act, subject, days=10)
    vaults.advance(9 * DAY)
    assert thin_here(vaults).skipped.startswith(f"frozen: {act} by keeper until 20")
    vaults.advance(2 * DAY)
    assert len(thin_here(vaults).dropped) == 6


def test_an_unfreeze_ends_a_freeze_and_an_alarm_and_no_hold(vaults: VaultWorld, history: list[Generation]) -> None:
    vaults.advance(32 * DAY)
    freeze.raise_alarm(vaults.open(HOLDER), SERVICE, "alarm.")
    _act(vaults, "freeze", SERVICE)
    _act(vaults, "hold", SERVICE, days=3)
    vaults.advance(DAY)
    _act(vaults, "unfreeze", SERVICE)
    assert thin_here(vaults).skipped.startswith("frozen: hold by keeper")
    vaults.advance(3 * DAY)
    assert len(thin_here(vaults).dropped) == 6


def test_a_freeze_that_is_signed_after_an_unfreeze_holds(vaults: VaultWorld, history: list[Generation]) -> None:
    vaults.advance(32 * DAY)
    _act(vaults, "unfreeze", SERVICE)
    vaults.advance(DAY)
    _act(vaults, "freeze", SERVICE)
    assert thin_here(vaults).skipped.startswith("frozen: freeze by keeper")


def test_a_freeze_of_another_service_is_none(vaults: VaultWorld, history: list[Generation]) -> None:
    vaults.advance(32 * DAY)
    _act(vaults, "freeze", "docs-d", service="docs-d")
    _act(vaults, "freeze", STANDBY)
    assert len(thin_here(vaults).dropped) == 6


def frozen(vaults: VaultWorld) -> str:
    return freeze.why_frozen(vaults.open(HOLDER), SERVICE)


@pytest.mark.parametrize("act", ["freeze", "hold"])
def test_a_wall_clock_that_is_set_on_by_ten_years_ends_nothing(vaults: VaultWorld, act: str) -> None:
    """Its end is that of the ageing clock, too: how long it lasts was noted when it was seen in force."""
    vaults.holding(HOLDER).create()
    _act(vaults, act, SERVICE, days=60)
    assert frozen(vaults).startswith(f"{act} by keeper until 20")
    vaults.clocks[HOLDER].jump_wall(3650 * DAY)
    assert frozen(vaults) == f"{act} by keeper until the ageing clock has counted 60 d more: test"
    vaults.advance(59 * DAY)
    assert frozen(vaults)
    vaults.advance(2 * DAY)
    assert frozen(vaults) == ""


def test_a_wall_clock_that_is_set_back_keeps_a_hold_in_force_by_that_clock_alone(vaults: VaultWorld) -> None:
    _act(vaults, "hold", SERVICE, days=60)
    assert frozen(vaults)
    vaults.advance(61 * DAY)
    vaults.clocks[HOLDER].jump_wall(-30 * DAY)
    assert frozen(vaults).startswith("hold by keeper until 20")


def test_a_hold_that_was_over_when_it_came_is_not_noted(vaults: VaultWorld) -> None:
    _act(vaults, "hold", SERVICE, days=60)
    vaults.clocks[HOLDER].jump_wall(61 * DAY)
    assert frozen(vaults) == ""
    vaults.clocks[HOLDER].jump_wall(-61 * DAY)
    assert frozen(vaults), "and it is in force for the first time now"


def test_a_freeze_that_was_taken_back_does_not_begin_again_by_the_ageing_clock(vaults: VaultWorld) -> None:
    """The machine was off for two days: by its ageing clock the freeze would last longer than the act that ended it."""
    vaults.holding(HOLDER).create()
    _act(vaults, "freeze", SERVICE, days=14)
    assert frozen(vaults)
    vaults.advance(60)
    _act(vaults, "unfreeze", SERVICE, days=13)
    assert frozen(vaults) == ""
    vaults.clocks[HOLDER].jump_wall(15 * DAY)
    assert frozen(vaults) == ""


def test_notes_that_cannot_be_read_thin_nothing(vaults: VaultWorld) -> None:
    vaults.holding(HOLDER).create()
    (vaults.holding(HOLDER).root / "lasting").write_text("[]")
    assert "the durations of freezes and holds cannot be read" in frozen(vaults)
