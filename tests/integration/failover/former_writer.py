"""A writer that was replaced, and what the vault of commune-b says to it."""

from __future__ import annotations

import pytest

from appliance.backup.chain.chain import chain_of
from appliance.backup.peers.conversation import connect
from appliance.backup.vault.replicas import replica_of
from appliance.backup.vault.store import LIST
from appliance.errors import Refused
from appliance_lab.processes.failover import FailoverWorld
from tests.integration.failover.conftest import HOME, SERVICE


def assert_the_vault_refuses_the_old_epoch(world: FailoverWorld) -> None:
    """Whatever the former writer knows by now, its next generation of the old epoch would get no further."""
    with pytest.raises(Refused, match="epoch 2 of docs-a ended: epoch 3 belongs to hermitage"):
        offer_again(world)


def offer_again(world: FailoverWorld) -> None:
    """The home offers its first generation to the vault of commune-b once more."""
    home = world.territory.open(HOME)
    chain = chain_of(home, SERVICE)
    (name,) = (it for it in chain.names() if it.startswith("00002."))
    header = chain.header(name).document.raw.decode()
    listing = replica_of(world.territory.open("commune-b"), SERVICE).read(name, LIST)
    with connect(home, "commune-b") as conversation:
        grants = [chain.grants()[2].document.raw.decode()]
        conversation.ask("put", SERVICE, grants=grants, headers=[header], list_bytes=len(listing), acknowledge=True)
        conversation.channel.write(listing)
        conversation.channel.read_frame()
