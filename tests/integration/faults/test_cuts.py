"""The line to a peer breaks, or stands still, at any byte: the next push or fetch goes on from there."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.backup.chain.chain import chain_of
from appliance.backup.peers.fetch import fetch
from appliance.backup.peers.push import Pushed
from appliance.backup.vault.replicas import replica_of
from appliance.backup.vault.store import size_of
from appliance.backup.writer import writer
from appliance.errors import Unreachable
from appliance.host.files import locked, sha256_file
from appliance.trust.generation import Entry
from appliance.units import KIB, MIB
from tests.integration.faults.relay import relayed
from tests.integration.faults.world import BLIND, SERVICE, STANDBY, FaultWorld
from tests.pace import in_time

NEW_BYTES = 6 * MIB
CUTS = 4
UNDERWAY_BYTES_MAX = MIB
"""The bytes that a sender may be ahead of its vault when a line breaks, with the greeting of ssh."""
TALK_BYTES_MAX = 128 * KIB
"""Headers, grants and list of a push, and what ssh adds."""


def newest_entries(world: FaultWorld) -> tuple[Entry, ...]:
    newest = chain_of(world.node(), SERVICE).newest()
    assert newest is not None
    return newest.entries


def kept_at(world: FaultWorld, name: str) -> int:
    """How many bytes of the writer's newest generation `name` has, whole files and parts, once its vault has ended."""
    replica = replica_of(world.node(name), SERVICE)
    with locked(replica.root / "session.lock", what="the vault", wait=True):
        pass
    sizes = {
        entry.sha256: size_of(replica.blob(entry.sha256)) or size_of(replica.partial / entry.sha256) or 0
        for entry in newest_entries(world)
    }
    return sum(sizes.values())


def wanted_by(world: FaultWorld) -> int:
    return sum({entry.sha256: entry.size for entry in newest_entries(world)}.values())


def to(name: str, pushed: tuple[Pushed, ...]) -> Pushed:
    return next(outcome for outcome in pushed if outcome.peer == name)


def test_a_push_cut_at_any_byte_goes_on_where_it_was(world: FaultWorld, seed: int) -> None:
    draw = random.Random(seed)
    with relayed(world.territory, BLIND) as relay:
        for at in (draw.randrange(1, NEW_BYTES) for _ in range(CUTS)):
            before = kept_at(world, BLIND)
            world.change(random_bytes=NEW_BYTES)
            relay.heal()
            relay.up.cut_after = at
            cut = writer.run(world.node(), SERVICE)
            assert to(STANDBY, cut.pushed).receipt, "the other peer is not disturbed"
            assert isinstance(to(BLIND, cut.pushed).error, Unreachable), (at, to(BLIND, cut.pushed))
            kept = kept_at(world, BLIND)
            assert kept >= before + at - UNDERWAY_BYTES_MAX, f"cut at {at}: what had come was not kept"
            relay.heal()
            again = to(BLIND, writer.push_newest(world.node(), SERVICE))
            assert again.receipt
            assert again.bytes_sent <= wanted_by(world) - kept + TALK_BYTES_MAX, f"cut at {at}: sent again"
        world.assert_healed()
    world.assert_nothing_lost()


def test_an_answer_cut_at_any_byte_costs_nothing_but_a_question(world: FaultWorld, seed: int) -> None:
    """The receipt itself may be lost though the peer holds everything: it is asked for again, and nothing is sent."""
    draw = random.Random(seed)
    with relayed(world.territory, BLIND) as relay:
        world.change()
        world.save()
        answered = relay.down.carried
        for at in (*(draw.randrange(1, answered) for _ in range(CUTS)), answered - 1):
            relay.heal()
            world.change(random_bytes=200 * KIB)
            relay.down.cut_after = at
            cut = to(BLIND, writer.run(world.node(), SERVICE).pushed)
            assert cut.receipt or isinstance(cut.error, Unreachable), (at, cut)
            relay.heal()
            left = wanted_by(world) - kept_at(world, BLIND)
            for again in writer.push_newest(world.node(), SERVICE):
                assert again.receipt
                assert again.bytes_sent <= left + TALK_BYTES_MAX
        world.assert_healed()
    world.assert_nothing_lost()


def test_a_fetch_cut_at_any_byte_goes_on_where_it_was(world: FaultWorld, seed: int, tmp_path: Path) -> None:
    world.change(random_bytes=NEW_BYTES)
    world.save()
    world.layout().repository.rename(tmp_path / "lost")
    total, folder, draw = wanted_by(world), tmp_path / "fetched", random.Random(seed)
    with relayed(world.territory, BLIND) as relay:
        while (kept := sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())) < total - MIB:
            relay.heal()
            relay.down.cut_after = at = draw.randrange(KIB, MIB)
            with pytest.raises(Unreachable):
                fetch(world.node(), SERVICE, BLIND, None, folder)
            now = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            assert now >= kept + at - TALK_BYTES_MAX, f"cut at {at}: what had come was not kept"
        relay.heal()
        sealed = fetch(world.node(), SERVICE, BLIND, None, folder)
        assert relay.down.carried <= total - kept + TALK_BYTES_MAX
    assert all(sha256_file(folder / entry.path) == entry.sha256 for entry in sealed.entries)


@pytest.mark.parametrize("after_bytes", [0, 2_000, 400_000])
def test_a_line_that_stands_still_is_given_up_in_time_and_named(world: FaultWorld, after_bytes: int) -> None:
    """Nobody says that it is cut: at a greeting, at a question, in the middle of a file."""
    world.change(random_bytes=4 * MIB)
    node = replace(world.node(), idle_timeout_seconds=1.5)
    with relayed(world.territory, BLIND) as relay:
        node = replace(node, bundle=world.node().bundle)
        relay.up.stall_after = after_bytes
        started = time.monotonic()
        done = writer.run(node, SERVICE)
        assert in_time(time.monotonic() - started, 12.0)
        assert to(STANDBY, done.pushed).receipt
        assert str(to(BLIND, done.pushed).error) == (
            f"{BLIND} does not answer: the other side was silent, or slower than 1 KiB/s, for 2 s."
        )
        assert not done.safety.safe
        relay.heal()
        world.assert_healed()
    world.assert_nothing_lost()
