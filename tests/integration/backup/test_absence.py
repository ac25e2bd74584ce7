"""A holder that nobody reaches for two weeks is replaced by the spare, without any act, and comes back by itself."""

from __future__ import annotations

import time
from pathlib import Path

from appliance.backup.peers.exchange import exchange
from appliance.backup.peers.last_seen import absent_nodes
from appliance.backup.peers.replicate import replicate
from appliance.backup.vault.replicas import replica_of
from appliance.backup.writer import writer
from appliance.clock import SimulatedClock
from appliance.node.handle import open_node
from appliance.units import DAY
from appliance_lab.processes.territory import ProcessTerritory

SERVICE = "docs-a"


def test_the_spare_steps_in_after_two_weeks_and_out_when_the_missed_one_is_back(
    territory: ProcessTerritory, documents: Path
) -> None:
    clocks = {name: SimulatedClock(now=time.time() - 15 * DAY) for name in ("commune-a", "hermitage")}
    origin, standby = (open_node(territory.nodes[name].state, clock) for name, clock in clocks.items())
    spare = territory.open("commune-c")
    writer.run(origin, SERVICE)
    assert exchange(standby, SERVICE).silent == {}
    territory.nodes["commune-b"].stop()
    for clock in clocks.values():
        clock.advance(15 * DAY)

    # Each of the two says it alone; the standby hears the origin first, and the origin the standby in its next run.
    assert writer.run(origin, SERVICE).safety.counted == ("hermitage",)
    assert list(exchange(standby, SERVICE).silent) == ["commune-b"]
    assert absent_nodes(standby, SERVICE) == {"commune-b"}
    taken = replicate(standby, SERVICE, "commune-c").taken
    assert [item.name for item in replica_of(spare, SERVICE).stored() if item.held] == sorted(taken)
    assert len(taken) == 2
    (documents / "new.odt").write_text("written while commune-b is away")
    third = writer.run(origin, SERVICE)
    assert third.safety.safe
    assert third.safety.counted == ("commune-c", "hermitage")

    territory.nodes["commune-b"].start_sshd()
    back = writer.run(origin, SERVICE)
    assert back.safety.counted == ("commune-b", "hermitage")
    assert [it.peer for it in back.pushed] == ["hermitage", "commune-b"]
