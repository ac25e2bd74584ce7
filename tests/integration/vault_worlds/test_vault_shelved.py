"""What retention let go has a line instead of a folder, and everybody is told the same of it as before."""

from __future__ import annotations

import pytest

from appliance.backup.vault.maintenance.damage import Damage
from appliance.backup.vault.maintenance.scrub import scrub
from appliance.backup.vault.sealing.sealer import Papers
from appliance.backup.vault.sealing.sealer_choice import sealer_of
from appliance.backup.vault.store import HEADER, RECEIPT, Holding
from appliance.units import DAY
from tests.integration.desk.desk import HOLDER, SERVICE, STANDBY, Desk, Generation, ask, assert_whole, head
from tests.integration.desk.history import held_here, thin_here


@pytest.fixture
def shelved(desk: Desk, history: list[Generation]) -> list[Generation]:
    """The generations that a first pass of thinning let go."""
    desk.advance(32 * DAY)
    dropped = thin_here(desk).dropped
    assert len(dropped) > 4
    return [made for made in history if made.name in dropped]


def holding_of(desk: Desk) -> Holding:
    return desk.holding(HOLDER)


def test_what_was_let_go_has_no_folder_and_is_told_and_given_as_before(
    desk: Desk, history: list[Generation], shelved: list[Generation]
) -> None:
    holding = holding_of(desk)
    assert list(holding.folders()) == held_here(desk)
    with desk.session(HOLDER, STANDBY) as channel:
        told = head(channel)
        ask(channel, "get")
        answer = channel.read_frame()
    assert told["thinned"] == [made.name for made in shelved]
    assert told["known"] == len(history)
    assert [raw.encode() for raw in answer["headers"]] == [made.header.document.raw for made in history]
    assert scrub(desk.open(HOLDER), SERVICE).damage == ()


def test_the_chain_goes_on_from_what_is_held_and_from_what_was_let_go(
    desk: Desk, history: list[Generation], shelved: list[Generation]
) -> None:
    grant = desk.grant()
    desk.put(desk.seal(grant, {"config": b"config"}, history[-1]), grant)
    desk.put(desk.seal(grant, {"config": b"other"}, shelved[0]), grant)
    assert_whole(desk)
    [fork] = desk.open(HOLDER).journal.events("vault-fork")
    assert fork["generation"] == f"2.{shelved[0].header.sequence + 1}"


def test_what_the_writer_brings_again_is_held_again_with_a_new_receipt(desk: Desk, shelved: list[Generation]) -> None:
    holding, again = holding_of(desk), shelved[0]
    before = holding.read(again.name, RECEIPT)
    desk.put(again, desk.grant())
    stored = holding.find(again.name)
    assert stored
    assert stored.held
    assert holding.read(again.name, RECEIPT) != before
    assert_whole(desk)
    desk.advance(4000 * DAY)
    thin_here(desk)
    assert again.name not in holding.folders()
    assert holding.read(again.name, HEADER) == again.header.document.raw


def test_a_line_that_rots_is_found_and_mended_from_another_holder(desk: Desk, shelved: list[Generation]) -> None:
    holding, lost = holding_of(desk), shelved[2]
    [file] = [path for path in holding.history.folder.iterdir() if path.name != "lock"]
    lines = file.read_bytes().splitlines()
    number = next(number for number, line in enumerate(lines) if number and lost.name.encode() in line)
    lines[number] = b"\xa5" * len(lines[number])
    file.chmod(0o600)
    file.write_bytes(b"\n".join(lines) + b"\n")
    node = desk.open(HOLDER)
    assert set(scrub(node, SERVICE).damage) == {Damage(HEADER, lost.name), Damage(RECEIPT, lost.name)}
    sealer = sealer_of(node)
    assert sealer.mend(SERVICE, Papers(headers=(lost.header,), receipts=True)) == ()
    assert holding.read(lost.name, HEADER) == lost.header.document.raw
    thin_here(desk)
    assert lost.name not in holding.folders()
    assert scrub(node, SERVICE).damage == ()
