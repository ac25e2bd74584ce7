"""A fork held here and a holder that withholds stop thinning: once for each, and for no longer than a freeze lasts."""

from __future__ import annotations

from typing import Any

from appliance.backup.peers.alarms import alarm_of
from appliance.backup.peers.exchange import Findings
from appliance.backup.vault.maintenance.freeze import why_frozen
from appliance.units import DAY
from tests.integration.desk.desk import HOLDER, SERVICE, STANDBY, Desk

NOTHING: dict[str, Any] = {
    "answered": (STANDBY,),
    "silent": {},
    "newest": "",
    "behind": {},
    "withheld": {},
    "lacking": {},
    "to_bring": {},
    "forks": (),
    "new_epochs": (),
    "conflicts": (),
}
WITHHELD = {"withheld": {STANDBY: "00001.0000000007.0123456789abcdef"}}
SILENT = {"answered": (), "silent": {STANDBY: "it does not answer."}}


def exchanged(desk: Desk, **found: Any) -> tuple[str, ...]:
    return alarm_of(desk.open(HOLDER), Findings(service=SERVICE, **{**NOTHING, **found}))


def frozen(desk: Desk) -> str:
    return why_frozen(desk.open(HOLDER), SERVICE)


def fork(desk: Desk) -> None:
    grant = desk.grant()
    first, second = desk.chain(grant, 2)
    desk.put(first, grant)
    desk.put(second)
    desk.put(desk.seal(grant, {"config": b"a clone's"}, first))


def test_an_exchange_that_finds_all_well_freezes_nothing(desk: Desk) -> None:
    assert exchanged(desk) == ()
    assert frozen(desk) == ""
    assert not (desk.layout(HOLDER).sight / "docs-a.alarmed").exists()


def test_a_fork_held_here_freezes_once(desk: Desk) -> None:
    fork(desk)
    assert exchanged(desk) == ("fork 2.2",)
    assert "two generations 2.2 are here." in frozen(desk)
    desk.advance(13 * DAY)
    assert exchanged(desk) == ()
    assert frozen(desk)
    desk.advance(2 * DAY)
    assert exchanged(desk) == ()
    assert frozen(desk) == "", "what lasts must not fill the disk for ever"


def test_a_holder_that_withholds_freezes_once_and_again_after_it_came_to_its_senses(desk: Desk) -> None:
    assert exchanged(desk, **WITHHELD) == (f"withheld {STANDBY} 00001.0000000007.0123456789abcdef",)
    assert f"{STANDBY} signed for generation 1.7 and does not show it now." in frozen(desk)
    assert exchanged(desk, **WITHHELD) == ()
    assert exchanged(desk, **SILENT) == ()
    assert exchanged(desk, **WITHHELD) == (), "silence in between is no new event"
    assert exchanged(desk) == ()
    desk.advance(15 * DAY)
    assert len(exchanged(desk, **WITHHELD)) == 1
    assert frozen(desk)


def test_each_alarm_is_in_the_journal_once(desk: Desk) -> None:
    fork(desk)
    for _ in range(3):
        exchanged(desk, **WITHHELD)
    told = [line for line in desk.layout(HOLDER).journal.read_text().splitlines() if '"vault-alarm"' in line]
    assert len(told) == 1
    assert "two generations 2.2" in told[0]
    assert "does not show it now" in told[0]


def test_a_lost_memory_of_what_was_told_tells_it_once_more(desk: Desk) -> None:
    exchanged(desk, **WITHHELD)
    (desk.layout(HOLDER).sight / "docs-a.alarmed").write_text("rubbish")
    assert len(exchanged(desk, **WITHHELD)) == 1
