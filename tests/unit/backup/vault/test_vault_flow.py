"""How far a sender runs ahead of a vault that does not read, and what it makes of odd acknowledgements."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import pytest

from appliance.backup.vault.flow import ACKNOWLEDGED_AT_ONCE_BYTES, UNACKNOWLEDGED_BYTES_MAX, Sending, Taking
from appliance.backup.vault.wire import Channel, Closed
from appliance.errors import ApplianceError, IntegrityError, NoSpace
from appliance.host.network.ssh import widen
from appliance.units import MIB

SIZE = 5 * MIB + 321


@dataclass
class Ends:
    """A sender and a vault, joined by pipes that hold more than the sender may be ahead."""

    sender: Channel
    vault: Channel


@pytest.fixture
def ends() -> Iterator[Ends]:
    (vault_in, sender_out), (sender_in, vault_out) = os.pipe(), os.pipe()
    widen(sender_out)
    yield Ends(Channel(sender_in, sender_out, quiet_seconds=0.5), Channel(vault_in, vault_out, quiet_seconds=5))
    for fd in (vault_in, sender_out, sender_in, vault_out):
        os.close(fd)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "segment"
    made.write_bytes(os.urandom(SIZE))
    return made


def send(ends: Ends, path: Path) -> None:
    with open(path, "rb") as file:
        Sending(ends.sender).send(file, SIZE)


def test_all_bytes_of_a_file_arrive(ends: Ends, path: Path) -> None:
    came: list[bytes] = []

    def take() -> None:
        taking, left = Taking(ends.vault, acknowledge=True), SIZE
        while left:
            came.append(taking.read_some(left))
            left -= len(came[-1])

    vault = Thread(target=take)
    vault.start()
    send(ends, path)
    vault.join()
    assert b"".join(came) == path.read_bytes()


def test_a_vault_that_does_not_read_holds_the_sender_below_a_megabyte(ends: Ends, path: Path) -> None:
    with pytest.raises(Closed):
        send(ends, path)
    assert (
        UNACKNOWLEDGED_BYTES_MAX - ACKNOWLEDGED_AT_ONCE_BYTES < ends.sender.bytes_sent <= UNACKNOWLEDGED_BYTES_MAX < MIB
    )


@pytest.mark.parametrize("got", [-1, SIZE, "all", None])
def test_a_vault_that_took_what_was_not_sent_is_not_believed(ends: Ends, path: Path, got: object) -> None:
    ends.vault.write_frame({"got": got})
    with pytest.raises(IntegrityError, match="data that was not sent"):
        send(ends, path)


@pytest.mark.parametrize("acknowledgements", [0, 2])
def test_a_refusal_is_heard_while_sending(ends: Ends, path: Path, acknowledgements: int) -> None:
    for _ in range(acknowledgements):
        ends.vault.write_frame({"got": 1})
    ends.vault.refuse(NoSpace("the disk is full."))
    with pytest.raises(ApplianceError, match="the disk is full"):
        send(ends, path)


def test_a_sender_that_died_in_a_file_is_gone_and_its_bytes_are_no_bad_frame() -> None:
    (vault_in, sender_out), (sender_in, vault_out) = os.pipe(), os.pipe()
    widen(sender_out)
    os.write(sender_out, b"\xff" * (ACKNOWLEDGED_AT_ONCE_BYTES + 100))
    os.close(sender_out)
    os.close(sender_in)
    taking = Taking(Channel(vault_in, vault_out, quiet_seconds=5), acknowledge=True)
    assert len(taking.read_some(SIZE)) == ACKNOWLEDGED_AT_ONCE_BYTES, "it died where the vault would acknowledge"
    with pytest.raises(Closed):
        taking.read_some(SIZE)
    os.close(vault_in)
    os.close(vault_out)


@pytest.mark.parametrize("frame", [{}, {"got": 0}, {"need": []}])
def test_a_vault_that_answers_and_takes_nothing_is_left(ends: Ends, path: Path, frame: dict[str, object]) -> None:
    for _ in range(9):
        ends.vault.write_frame(frame)
    with pytest.raises(IntegrityError, match="accepted nothing"):
        send(ends, path)
