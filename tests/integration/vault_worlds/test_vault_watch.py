"""The bundle of its beginning is in force for a session; it ends when its caller's keys are not in the present one."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.backup.vault import watch
from appliance.errors import Forbidden
from appliance.trust.keys import create_keys
from tests.worlds.vaults import HOLDER, ORIGIN, OUTSIDER, VaultWorld


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.01)


def test_another_bundle_with_the_same_keys_ends_nothing(vaults: VaultWorld) -> None:
    node = vaults.open(HOLDER)
    vaults.sign()
    assert watch.still_known(node, ORIGIN)
    assert not watch.still_known(node, "nobody")


def test_other_keys_end_the_session(vaults: VaultWorld) -> None:
    node, codes = vaults.open(HOLDER), list[int]()
    thread = watch.watch(node, ORIGIN, codes.append)
    _give_other_keys(vaults, ORIGIN)
    thread.join(timeout=20)
    assert codes == [Forbidden.exit_code]
    assert watch.still_known(node, OUTSIDER)


def test_a_bundle_that_cannot_be_read_ends_it_too(vaults: VaultWorld) -> None:
    node, codes = vaults.open(HOLDER), list[int]()
    thread = watch.watch(node, ORIGIN, codes.append)
    _overwrite(node.layout.bundle)
    thread.join(timeout=20)
    assert codes == [Forbidden.exit_code]


def _give_other_keys(vaults: VaultWorld, name: str) -> None:
    keys = vaults.layout(name).keys
    for file in keys.iterdir():
        file.unlink()
    create_keys(keys)
    vaults.sign()


def _overwrite(path: Path) -> None:
    path.unlink()
    path.write_text("nothing\n")
