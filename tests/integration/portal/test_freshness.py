"""A standby says when the last safe copy was made, from receipts alone, also while the newest copy is not safe yet."""

from __future__ import annotations

import time
from pathlib import Path

from appliance.backup.peers.exchange import exchange
from appliance.backup.vault.replicas import replica_of
from appliance.backup.vault.store import HEADER
from appliance.backup.writer import writer
from appliance.clock import SimulatedClock
from appliance.host.files import write_atomic
from appliance.node.handle import open_node
from appliance.portal.copies_age import Freshness
from appliance.portal.freshness import freshness
from appliance.units import DAY, HOUR
from appliance_lab.processes.territory import ProcessTerritory
from tests.worlds.continuing import take_over

SERVICE = "docs-a"


def test_while_the_newest_copy_is_not_safe_the_last_safe_one_has_its_date(
    territory: ProcessTerritory, documents: Path
) -> None:
    clock = SimulatedClock(now=time.time() - DAY)
    origin, standby = open_node(territory.nodes["commune-a"].state, clock), territory.open("hermitage")

    def said() -> Freshness:
        return freshness(standby, (SERVICE,))[SERVICE]

    writer.run(origin, SERVICE)
    assert (said().safe_seconds, said().copies, said().promised) == (None, 1, 2), "nobody else has shown a receipt"
    exchange(standby, SERVICE)
    safe = said()
    assert (safe.safe_seconds, safe.copies) == (int(clock.now()), 2)
    territory.nodes["commune-b"].stop()
    for number in range(2):
        clock.advance(HOUR)
        (documents / "new.odt").write_text(f"written while commune-b is away, {number}")
        writer.run(origin, SERVICE)
        exchange(standby, SERVICE)
        assert (said().safe_seconds, said().copies) == (safe.safe_seconds, 1)
    header = replica_of(standby, SERVICE).path(replica_of(standby, SERVICE).stored()[0].name, HEADER)
    whole = header.read_bytes()
    write_atomic(header, whole[:-2])
    assert freshness(standby, (SERVICE,)) == {}, "rot in one service is unknown there, and no other one waits for it"
    write_atomic(header, whole)
    territory.nodes["commune-b"].start_sshd()
    writer.run(origin, SERVICE)
    exchange(standby, SERVICE)
    assert (said().safe_seconds, said().copies) == (int(clock.now()), 2)


def test_a_standby_that_took_over_still_dates_the_last_safe_copy(territory: ProcessTerritory, documents: Path) -> None:
    """The page said that none is known until the first copy of the new writer was safe. A spare that was seeded after
    the takeover alone proves nothing of a copy before it."""
    clock = SimulatedClock(now=time.time() - DAY)
    origin, standby = (open_node(territory.nodes[name].state, clock) for name in ("commune-a", "hermitage"))

    def said() -> Freshness:
        return freshness(standby, (SERVICE,))[SERVICE]

    writer.run(origin, SERVICE)
    exchange(standby, SERVICE)
    safe = said().safe_seconds
    assert safe == int(clock.now())
    clock.advance(HOUR)
    take_over(territory, SERVICE, standby)
    assert (said().safe_seconds, said().copies) == (safe, 0), "nothing of its own is acknowledged"
    territory.nodes["commune-b"].stop()
    (documents / "new.odt").write_text("written at the standby")
    done = writer.run(standby, SERVICE)
    assert [outcome.peer for outcome in done.pushed if outcome.receipt] == ["commune-c"]
    exchange(standby, SERVICE)
    assert (said().safe_seconds, said().copies) == (safe, 1)
    territory.nodes["commune-b"].start_sshd()
    writer.run(standby, SERVICE)
    assert (said().safe_seconds, said().copies) == (int(clock.now()), 2)
