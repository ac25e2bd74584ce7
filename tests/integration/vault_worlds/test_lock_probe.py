"""The canary: the oldest generation that is still locked is whole on the last day of its lock as on the first."""

from __future__ import annotations

from pathlib import Path

from appliance.backup.vault.sealing.lock_probe import probe, probe_all
from appliance.backup.vault.sealing.probed import load, save
from appliance.backup.vault.store import LIST
from appliance.units import DAY
from tests.integration.vault_worlds.history import thin_here
from tests.worlds.vaults import HOLDER, SERVICE, Generation, VaultWorld


def test_on_the_last_day_of_its_lock_the_oldest_is_still_whole(vaults: VaultWorld, history: list[Generation]) -> None:
    vaults.advance(27 * DAY)
    thin_here(vaults)
    found = probe(vaults.open(HOLDER), SERVICE)
    assert found.broken == ""
    assert found.canary_seconds is not None
    assert 29 * DAY <= found.canary_seconds < 30 * DAY


def test_what_thinning_let_go_after_the_lock_is_no_broken_promise(
    vaults: VaultWorld, history: list[Generation]
) -> None:
    vaults.advance(32 * DAY)
    assert thin_here(vaults).dropped
    found = probe(vaults.open(HOLDER), SERVICE)
    assert (found.broken, found.canary_seconds) == ("", None)


def test_a_generation_that_went_a_day_too_early_is_told(vaults: VaultWorld, history: list[Generation]) -> None:
    vaults.advance(26 * DAY)
    vaults.holding(HOLDER).path(history[3].name, LIST).unlink()
    assert probe(vaults.open(HOLDER), SERVICE).broken == history[3].name


def test_a_canary_that_lost_a_file_is_told(vaults: VaultWorld, history: list[Generation]) -> None:
    vaults.holding(HOLDER).blob(history[0].entries[-1].sha256).unlink()
    assert probe(vaults.open(HOLDER), SERVICE).broken == history[0].name


def test_an_account_that_owns_what_is_sealed_can_change_it_and_trying_that_changes_nothing(
    vaults: VaultWorld, history: list[Generation]
) -> None:
    replica = vaults.holding(HOLDER)
    before = {path: path.read_bytes() for path in replica.root.rglob("*") if path.is_file()}
    found = probe(vaults.open(HOLDER), SERVICE)
    assert {item.split(" ")[0] for item in found.allowed} >= {"set", "create"}
    assert {path: path.read_bytes() for path in replica.root.rglob("*") if path.is_file()} == before


def test_what_was_found_is_read_back_and_a_file_that_is_none_says_nothing(
    vaults: VaultWorld, history: list[Generation], tmp_path: Path
) -> None:
    found = probe_all(vaults.open(HOLDER))
    save(tmp_path / "lock.json", found)
    assert load(tmp_path / "lock.json") == found
    assert list(found) == [SERVICE]
    (tmp_path / "lock.json").write_text("half")
    assert load(tmp_path / "lock.json") == {}
