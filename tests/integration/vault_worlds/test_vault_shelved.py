"""A generation that retention let go has a line instead of a folder, and every caller gets the same answer as
before."""

from __future__ import annotations

import pytest

from appliance.backup.vault.maintenance.damage import Damage
from appliance.backup.vault.maintenance.scrub import scrub
from appliance.backup.vault.sealing.sealer import RepairDocuments
from appliance.backup.vault.sealing.sealer_choice import sealer_of
from appliance.backup.vault.store import HEADER, RECEIPT, Replica
from appliance.units import DAY
from tests.integration.vault_worlds.history import held_here, thin_here
from tests.worlds.vaults import (
    HOLDER,
    SERVICE,
    STANDBY,
    Generation,
    VaultWorld,
    ask,
    assert_whole,
    head,
)


@pytest.fixture
def shelved(vaults: VaultWorld, history: list[Generation]) -> list[Generation]:
    """The generations that a first pass of pruning let go."""
    vaults.advance(32 * DAY)
    dropped = thin_here(vaults).dropped
    assert len(dropped) > 4
    return [made for made in history if made.name in dropped]


def holding_of(vaults: VaultWorld) -> Replica:
    return vaults.holding(HOLDER)


def test_what_was_let_go_has_no_folder_and_is_told_and_given_as_before(
    vaults: VaultWorld, history: list[Generation], shelved: list[Generation]
) -> None:
    replica = holding_of(vaults)
    assert list(replica.folders()) == held_here(vaults)
    with vaults.session(HOLDER, STANDBY) as channel:
        told = head(channel)
        ask(channel, "get")
        answer = channel.read_frame()
    assert told["thinned"] == [made.name for made in shelved]
    assert told["known"] == len(history)
    assert [raw.encode() for raw in answer["headers"]] == [made.header.document.raw for made in history]
    assert scrub(vaults.open(HOLDER), SERVICE).damage == ()


def test_the_chain_goes_on_from_what_is_held_and_from_what_was_let_go(
    vaults: VaultWorld, history: list[Generation], shelved: list[Generation]
) -> None:
    grant = vaults.grant()
    vaults.put(vaults.seal(grant, {"config": b"config"}, history[-1]), grant)
    vaults.put(vaults.seal(grant, {"config": b"other"}, shelved[0]), grant)
    assert_whole(vaults)
    [fork] = vaults.open(HOLDER).journal.events("vault-fork")
    assert fork["generation"] == f"2.{shelved[0].header.sequence + 1}"


def test_what_the_writer_brings_again_is_held_again_with_a_new_receipt(
    vaults: VaultWorld, shelved: list[Generation]
) -> None:
    replica, again = holding_of(vaults), shelved[0]
    before = replica.read(again.name, RECEIPT)
    vaults.put(again, vaults.grant())
    stored = replica.find(again.name)
    assert stored
    assert stored.held
    assert replica.read(again.name, RECEIPT) != before
    assert_whole(vaults)
    vaults.advance(4000 * DAY)
    thin_here(vaults)
    assert again.name not in replica.folders()
    assert replica.read(again.name, HEADER) == again.header.document.raw


def test_a_line_that_rots_is_found_and_mended_from_another_holder(
    vaults: VaultWorld, shelved: list[Generation]
) -> None:
    replica, lost = holding_of(vaults), shelved[2]
    [file] = [path for path in replica.history.folder.iterdir() if path.name != "lock"]
    lines = file.read_bytes().splitlines()
    number = next(number for number, line in enumerate(lines) if number and lost.name.encode() in line)
    lines[number] = b"\xa5" * len(lines[number])
    file.chmod(0o600)
    file.write_bytes(b"\n".join(lines) + b"\n")
    node = vaults.open(HOLDER)
    assert set(scrub(node, SERVICE).damage) == {Damage(HEADER, lost.name), Damage(RECEIPT, lost.name)}
    sealer = sealer_of(node)
    assert sealer.repair(SERVICE, RepairDocuments(headers=(lost.header,), receipts=True)) == ()
    assert replica.read(lost.name, HEADER) == lost.header.document.raw
    thin_here(vaults)
    assert lost.name not in replica.folders()
    assert scrub(node, SERVICE).damage == ()
