"""Pending writes of a replaced writer: bytes in buffers outlive it, and arrive when nobody expects them."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from appliance.backup.chain.chain import chain_of
from appliance.backup.peers.conversation import Conversation, connect
from appliance.backup.vault.replicas import replica_of
from appliance.backup.vault.store import Replica
from appliance.errors import ApplianceError
from appliance.trust.generation import Entry, make_header, render_list
from appliance.trust.keys import load_key
from appliance_lab.processes.failover import FailoverWorld
from tests.integration.failover.conftest import HOME, SERVICE, STANDBY, Begin, save, violated
from tests.integration.failover.former_writer import assert_the_vault_refuses_the_old_epoch

PEER = "commune-b"
BYTES = 100_000


@dataclass(frozen=True)
class UnderWay:
    """A generation of the home, all of whose bytes are sent and none read: the peer's vault stands still."""

    conversation: Conversation
    replica: Replica
    vault: int

    def held(self) -> list[str]:
        return [it.name for it in self.replica.stored() if it.held]

    def vault_has_gone(self) -> bool:
        try:
            os.kill(self.vault, 0)
        except ProcessLookupError:
            return True
        return False

    def thaw(self) -> None:
        os.kill(self.vault, signal.SIGCONT)


@contextmanager
def under_way(world: FailoverWorld) -> Iterator[UnderWay]:
    home, replica = world.territory.open(HOME), replica_of(world.territory.open(PEER), SERVICE)
    newest, data = chain_of(home, SERVICE).newest(), os.urandom(BYTES)
    assert newest is not None
    entries = (Entry("data/0/0", hashlib.sha256(data).hexdigest(), len(data)),)
    listing = render_list(entries)
    told = {"service": SERVICE, "epoch": 2, "time": newest.header.time, "listing": listing, "entries": entries}
    after = {"sequence": newest.header.sequence + 1, "previous": newest.header.id.digest}
    header = make_header(load_key(home.signing_key), **told, **after)  # type: ignore[arg-type]
    with connect(home, PEER) as conversation:
        conversation.ask("put", SERVICE, headers=[header.decode()], list_bytes=len(listing))
        conversation.channel.write(listing)
        assert conversation.channel.read_frame()["need"]
        vault = int(json.loads((replica.root / "session.lock").read_text())["pid"])
        os.kill(vault, signal.SIGSTOP)
        conversation.channel.write(data)
        yield UnderWay(conversation, replica, vault)


def test_what_arrives_late_is_taken_while_nobody_else_has_its_epoch(begin: Begin) -> None:
    """Else the next test would prove nothing: all that the peer needs is in its buffers."""
    with under_way(begin("exclusive")) as late:
        before = late.held()
        late.thaw()
        assert late.conversation.channel.read_frame()["receipt"]
        assert late.held()[:-1] == before


def test_what_a_dead_writer_had_under_way_is_never_taken_once_another_has_its_epoch(begin: Begin) -> None:
    world = begin("exclusive")
    with under_way(world) as late:
        before = late.held()
        world.kill(HOME)
        world.wait_for(STANDBY, "ACTIVE")
        world.wait(late.vault_has_gone, "who showed the new epoch ended the session of the old one")
        save(world, STANDBY)
        with pytest.raises(ApplianceError):
            late.conversation.channel.read_frame()
        assert [it for it in late.held() if it.startswith("00002.")] == before
        assert late.held()[-1].startswith("00003."), "and the present writer is kept out by nobody"
    assert_the_vault_refuses_the_old_epoch(world)
    assert violated(world) == {}
