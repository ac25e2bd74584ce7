"""The bytes of a planned move and of the handback: the traffic of vaults, counted by the kernel where all lines meet.

Voters, brokers and watchers send all the time, and that counts for none of it.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from appliance.host.command import run
from appliance.host.network import netns, nft
from appliance.units import KIB, format_bytes
from appliance_lab.processes.disks import SIZE_BYTES
from appliance_lab.processes.failover import FailoverWorld
from tests.integration.failover.conftest import SERVICE, Begin, files, save, violated
from tests.integration.small_disk import mount

HOME, STANDBY, SPARE = "commune-a", "hermitage", "commune-c"
FILES, CHANGED, FILE_BYTES = 100, 1, 800 * KIB
PERCENT_MAX = 3.0
TABLE = "ip bytes"


@pytest.mark.root
def test_a_move_and_the_way_home_send_what_changed_and_no_more(begin: Begin, seed: int) -> None:
    world = begin("exclusive", disturbed=True)
    for disk in world.disks.values():  # borg wants up to 150 MiB to be free, and how often it ran is up to this machine
        mount(disk.place, 4 * SIZE_BYTES, "remount")
    draws = random.Random(seed)
    size = write(files(world, HOME), draws, FILES)
    save(world, HOME)
    world.wait_for(STANDBY, "STANDBY")
    count(world)
    move(world, STANDBY)
    write(files(world, STANDBY), draws, CHANGED)
    save(world, STANDBY)
    move(world, HOME)
    save(world, HOME)
    between, spare = counted(world)
    print(f"{format_bytes(between)} for {format_bytes(size)}, and {format_bytes(spare)} to and from the spare")
    assert between > CHANGED * size // FILES, "nothing was counted"
    assert 100 * between / size <= PERCENT_MAX
    assert len(list(files(world, HOME).glob("*.bin"))) == FILES
    assert violated(world) == {}


def write(folder: Path, draws: random.Random, number: int) -> int:
    for index in range(number):
        (folder / f"{index:03}.bin").write_bytes(draws.randbytes(FILE_BYTES))
    return number * FILE_BYTES


def move(world: FailoverWorld, name: str) -> None:
    world.tell("operator", 0, "handover", to=name)
    world.node(name).cli("failover", "move", SERVICE, name, "--timeout", "240")
    world.wait_for(name, "ACTIVE")
    world.wait_for(HOME if name == STANDBY else STANDBY, "STANDBY")


def count(world: FailoverWorld) -> None:
    """From now on, in the namespace that passes on everything, what goes by SSH. What is for the spare, or of it, is
    counted apart: while the standby writes, its own copy does not count, so a spare gets the whole service. That
    restores the promised number of copies, and is no part of a move."""
    assert world.network is not None
    spare = world.network.address(SPARE)
    doors = ", ".join(str(it.port) for it in world.territory.territory.nodes.values())
    body = f"""counter between {{ }}
counter spare {{ }}
chain forward {{
    type filter hook forward priority 10;
    tcp sport != {{ {doors} }} tcp dport != {{ {doors} }} accept
    ip saddr {spare} counter name spare accept
    ip daddr {spare} counter name spare accept
    counter name between
}}
"""
    nft.replace_table(TABLE, body, namespace=world.network.hub)


def counted(world: FailoverWorld) -> tuple[int, int]:
    """Bytes between all others, and those of the spare."""
    assert world.network is not None
    argv = netns.inside(world.network.hub, ("nft", "--json", "list", "counters"))
    told = json.loads(run(argv, timeout_seconds=30, check=True).stdout)["nftables"]
    found = {it["counter"]["name"]: int(it["counter"]["bytes"]) for it in told if "counter" in it}
    return found["between"], found["spare"]
