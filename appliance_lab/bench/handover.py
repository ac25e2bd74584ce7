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
from appliance_lab.bench.env import PEERS, BenchEnv
from appliance_lab.bench.figures import Figure, Goal
from appliance_lab.bench.relay import Relay, relayed
from appliance_lab.demo.context import ORIGIN, SERVICE, STANDBY


def handover(bench: Bench) -> tuple[Figure, ...]:
    """Bytes over all wires as a part of what is stored of the service."""
    env = bench.saved().env
    percent: list[float] = []
    notes: tuple[str, ...] = ()
    with env.listening(), relayed(env, PEERS) as relays:
        for _ in bench.runs("handing over and back"):
            before = _wire_bytes(relays)
            _continue_at(env, STANDBY)
            bench.change()
            writer.run(env.territory.open(STANDBY), SERVICE)
            _continue_at(env, ORIGIN)
            writer.run(env.territory.open(ORIGIN), SERVICE)
            moved, stored = _wire_bytes(relays) - before, _stored_bytes(env)
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


def _continue_at(env: BenchEnv, name: str) -> None:
    """Do as `backup resync` does, with the key holder's grant in between."""
    node = env.territory.open(name)
    sealed, survey = fetch_for_resync(node, SERVICE)
    key = open_key(node, SERVICE, staging(node, SERVICE))
    request = request_after_fetch(node, SERVICE, survey, "a planned hand-over")
    continue_under(node, SERVICE, sealed, env.territory.grant(request, name), key)


def _wire_bytes(relays: Mapping[str, Relay]) -> int:
    return sum(relay.sent + relay.answered for relay in relays.values())


def _stored_bytes(env: BenchEnv) -> int:
    newest = chain_of(env.territory.open(ORIGIN), SERVICE).newest()
    assert newest is not None
    return newest.header.bytes
