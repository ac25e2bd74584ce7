"""Hand the service to the standby, let it write 1 % there, hand it back: what goes over the wires.

Counted is every byte, both ways, between the three nodes. The spare is away: while the standby writes, its own copy
does not count, so a spare is seeded with the whole service. That restores the promised number of copies, and is no part
of handing over.
"""

from __future__ import annotations

from collections.abc import Mapping

from appliance.backup.chain.chain import chain_of
from appliance.backup.chain.resync import continue_under, fetch_for_resync, request_after_fetch
from appliance.backup.peers.fetched_key import open_key, staging
from appliance.backup.writer import writer
from appliance.units import format_bytes
from appliance_lab.bench.bench import Bench
from appliance_lab.bench.figures import Figure, Goal
from appliance_lab.bench.ground import PEERS, Ground
from appliance_lab.bench.relay import Relay, relayed
from appliance_lab.demo.stage import ORIGIN, SERVICE, STANDBY


def handover(bench: Bench) -> tuple[Figure, ...]:
    """Bytes over all wires as a part of what is stored of the service."""
    ground = bench.saved().ground
    percent: list[float] = []
    notes: tuple[str, ...] = ()
    with ground.listening(), relayed(ground, PEERS) as relays:
        for _ in bench.runs("handing over and back"):
            before = _wire_bytes(relays)
            _continue_at(ground, STANDBY)
            bench.change()
            writer.run(ground.territory.open(STANDBY), SERVICE)
            _continue_at(ground, ORIGIN)
            writer.run(ground.territory.open(ORIGIN), SERVICE)
            moved, stored = _wire_bytes(relays) - before, _stored_bytes(ground)
            percent.append(100 * moved / stored)
            notes = (f"the last time {format_bytes(moved)} for {format_bytes(stored)} stored; the spare was away",)
    return (
        Figure(
            "handover",
            "handed over and back, bytes sent",
            "% of the service",
            tuple(percent),
            goal=Goal(3),
            notes=notes,
        ),
    )


def _continue_at(ground: Ground, name: str) -> None:
    """What `backup resync` does, with the key holder's grant in between."""
    node = ground.territory.open(name)
    sealed, survey = fetch_for_resync(node, SERVICE)
    key = open_key(node, SERVICE, staging(node, SERVICE))
    request = request_after_fetch(node, SERVICE, survey, "a planned hand-over")
    continue_under(node, SERVICE, sealed, ground.territory.grant(request, name), key)


def _wire_bytes(relays: Mapping[str, Relay]) -> int:
    return sum(relay.sent + relay.answered for relay in relays.values())


def _stored_bytes(ground: Ground) -> int:
    newest = chain_of(ground.territory.open(ORIGIN), SERVICE).newest()
    assert newest is not None
    return newest.header.bytes
