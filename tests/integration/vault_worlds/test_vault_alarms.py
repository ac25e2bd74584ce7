"""A fork held here and a holder that withholds stop pruning: once for each, and for no longer than a freeze lasts."""

from __future__ import annotations

from typing import Any

from appliance.backup.peers.alarms import alarm_of
from appliance.backup.peers.exchange import Findings
from appliance.backup.vault.maintenance.freeze import why_frozen
from appliance.units import DAY
from tests.worlds.vaults import HOLDER, SERVICE, STANDBY, VaultWorld

NOTHING: dict[str, Any] = {
    "answered": (STANDBY,),
    "silent": {},
    "newest": "",
    "behind": {},
    "withheld": {},
    "lacking": {},
    "to_come": {},
    "to_bring": {},
    "forks": (),
    "new_epochs": (),
    "conflicts": (),
}
WITHHELD = {"withheld": {STANDBY: "00001.0000000007.0123456789abcdef"}}
SILENT = {"answered": (), "silent": {STANDBY: "it does not answer."}}


def exchanged(vaults: VaultWorld, **found: Any) -> tuple[str, ...]:
    return alarm_of(vaults.open(HOLDER), Findings(service=SERVICE, **{**NOTHING, **found}))


def frozen(vaults: VaultWorld) -> str:
    return why_frozen(vaults.open(HOLDER), SERVICE)


def fork(vaults: VaultWorld) -> None:
    grant = vaults.grant()
    first, second = vaults.chain(grant, 2)
    vaults.put(first, grant)
    vaults.put(second)
    vaults.put(vaults.seal(grant, {"config": b"a clone's"}, first))


def test_an_exchange_that_finds_all_well_freezes_nothing(vaults: VaultWorld) -> None:
    assert exchanged(vaults) == ()
    assert frozen(vaults) == ""
    assert not (vaults.layout(HOLDER).last_seen / "docs-a.alarmed").exists()


def test_a_fork_held_here_freezes_once(vaults: VaultWorld) -> None:
    fork(vaults)
    assert exchanged(vaults) == ("fork 2.2",)
    assert "two generations 2.2 are here." in frozen(vaults)
    vaults.advance(13 * DAY)
    assert exchanged(vaults) == ()
    assert frozen(vaults)
    vaults.advance(2 * DAY)
    assert exchanged(vaults) == ()
    assert frozen(vaults) == "", "what lasts must not fill the disk for ever"


def test_a_holder_that_withholds_freezes_once_and_again_after_it_came_to_its_senses(vaults: VaultWorld) -> None:
    assert exchanged(vaults, **WITHHELD) == (f"withheld {STANDBY} 00001.0000000007.0123456789abcdef",)
    assert f"{STANDBY} signed for generation 1.7 and does not show it now." in frozen(vaults)
    assert exchanged(vaults, **WITHHELD) == ()
    assert exchanged(vaults, **SILENT) == ()
    assert exchanged(vaults, **WITHHELD) == (), "silence in between is no new event"
    assert exchanged(vaults) == ()
    vaults.advance(15 * DAY)
    assert len(exchanged(vaults, **WITHHELD)) == 1
    assert frozen(vaults)


def test_each_alarm_is_in_the_journal_once(vaults: VaultWorld) -> None:
    fork(vaults)
    for _ in range(3):
        exchanged(vaults, **WITHHELD)
    told = [line for line in vaults.layout(HOLDER).journal.read_text().splitlines() if '"vault-alarm"' in line]
    assert len(told) == 1
    assert "two generations 2.2" in told[0]
    assert "does not show it now" in told[0]


def test_a_lost_memory_of_what_was_told_tells_it_once_more(vaults: VaultWorld) -> None:
    exchanged(vaults, **WITHHELD)
    (vaults.layout(HOLDER).last_seen / "docs-a.alarmed").write_text("rubbish")
    assert len(exchanged(vaults, **WITHHELD)) == 1
