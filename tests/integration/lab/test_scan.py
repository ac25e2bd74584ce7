"""The look for open doors itself: it must not miss one."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterator

import pytest

from appliance.host.command import run
from appliance.host.network import netns, nft
from tests.integration.lab.meshed import RUN_SECONDS_MAX, SCANNER

OPEN = 7412
HERE = "127.0.0.1"
# Of what is sent at once a busy machine hands on the first few hundred and loses the rest.
LOSES_WHAT_IS_TOO_MUCH = """
    chain in {
        type filter hook input priority filter;
        tcp flags & (syn | ack) == syn limit rate over 400/second burst 400 packets drop
    }
"""

pytestmark = pytest.mark.root


@pytest.fixture
def network() -> Iterator[str]:
    name = f"scan{os.getpid()}"
    netns.add(name)
    try:
        netns.batch(name, ("link set lo up",))
        yield name
    finally:
        netns.delete(name)


def test_a_door_is_found_by_way_of_a_machine_that_loses_most_of_what_is_sent(network: str) -> None:
    nft.replace_table("ip lossy", LOSES_WHAT_IS_TOO_MUCH, namespace=network)
    scan = netns.inside(network, (sys.executable, "-I", str(SCANNER), HERE, str(OPEN)))
    with netns.within(network, lambda: socket.create_server((HERE, OPEN))):
        found = run(scan, timeout_seconds=RUN_SECONDS_MAX, check=True).stdout
    assert json.loads(found) == {"tcp": [OPEN], "udp": {}}
