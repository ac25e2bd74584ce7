"""A file rots at a peer between two pushes: the writer draws it, the peer cannot show it, and it comes again."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.backup.chain.chain import Sealed
from appliance.backup.peers import spot_check
from appliance.backup.vault import give
from appliance.backup.writer.writer import push_newest
from appliance.trust.generation import Entry
from tests.integration.vault_worlds.unreadable import refuse_to_read
from tests.worlds.vaults import HOLDER, ORIGIN, SERVICE
from tests.worlds.vaults_in_process import World


@pytest.fixture
def world(begun: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A service of which a generation is at its peers; every push draws, and draws everything."""
    monkeypatch.setattr(spot_check, "EVERY_GENERATIONS", 1)
    monkeypatch.setattr(spot_check, "SAMPLED", 1000)
    begun.run(ORIGIN)
    return begun


def rot(path: Path) -> None:
    """Another content of the same size, as a disk does it."""
    whole = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])


def oldest(sealed: Sealed) -> Entry:
    """A segment that each later generation has too."""
    return min((it for it in sealed.entries if it.path.startswith("data/")), key=lambda it: int(Path(it.path).name))


def rotten_at(world: World) -> list[str]:
    return [event["blob"] for event in world.vaults.open(HOLDER).journal.events("vault-rotten")]


def test_a_blob_that_rotted_at_a_peer_is_found_by_the_next_push_and_comes_again(world: World) -> None:
    sealed, _ = world.run(ORIGIN)
    shared = oldest(sealed)
    rot(world.vaults.holding(HOLDER).blob(shared.sha256))
    later, pushed = world.run(ORIGIN)
    assert [it.error for it in pushed] == [None] * len(pushed)
    assert rotten_at(world) == [shared.sha256]
    replica = world.vaults.holding(HOLDER)
    assert replica.holds(later.header.id)
    assert replica.blob(shared.sha256).read_bytes() == _own(world, shared.path)


def test_a_blob_that_a_peers_disk_cannot_read_any_more_comes_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed, _ = world.run(ORIGIN)
    shared = oldest(sealed)
    refuse_to_read(monkeypatch, world.vaults.holding(HOLDER).blob(shared.sha256))
    _, pushed = world.run(ORIGIN)
    assert [it.error for it in pushed] == [None] * len(pushed)
    assert rotten_at(world) == [shared.sha256]
    assert world.vaults.holding(HOLDER).blob(shared.sha256).read_bytes() == _own(world, shared.path)


@pytest.mark.parametrize("answer", [None, "0" * 64], ids=["says that it lacks it", "proves something else"])
def test_a_receipt_for_what_a_peer_never_shows_does_not_count(
    world: World, monkeypatch: pytest.MonkeyPatch, answer: str | None
) -> None:
    """It neither shows a blob nor has it come again, and says all the same that it holds the generation."""
    sealed, _ = world.run(ORIGIN)
    shared, proof = oldest(sealed).sha256, give._proof
    monkeypatch.setattr(give, "_proof", lambda it, said, blob: answer if blob == shared else proof(it, said, blob))
    later, pushed = world.run(ORIGIN)
    assert [it.receipt for it in pushed] == [None] * len(pushed)
    told = f"gave a receipt for {later.header.id} but cannot prove that it has 1 of its blobs."
    assert [told in str(it.error) for it in pushed] == [True] * len(pushed)
    kept = world.vaults.open(ORIGIN).service(SERVICE).root.rglob(f"chain/{later.header.id.name}/receipt-*")
    assert list(kept) == []


def test_a_push_draws_now_and_then_only(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    sealed, _ = world.run(ORIGIN)
    monkeypatch.setattr(spot_check, "EVERY_GENERATIONS", sealed.header.sequence + 2)
    shared = oldest(sealed)
    rot(world.vaults.holding(HOLDER).blob(shared.sha256))
    world.run(ORIGIN)
    assert rotten_at(world) == []
    world.run(ORIGIN)
    assert rotten_at(world) == [shared.sha256]


def test_what_is_rotten_here_is_no_fault_of_the_peers(world: World) -> None:
    """It rots after it was sealed: what is rotten before is not sealed at all."""
    sealed, _ = world.run(ORIGIN, "remembered")
    shared = oldest(sealed)
    before = world.vaults.holding(HOLDER).blob(shared.sha256).read_bytes()
    rot(world.vaults.open(ORIGIN).service(SERVICE).repository / shared.path)
    pushed = push_newest(world.vaults.open(ORIGIN), SERVICE)
    assert [it.error for it in pushed] == [None] * len(pushed)
    assert rotten_at(world) == []
    assert world.vaults.holding(HOLDER).blob(shared.sha256).read_bytes() == before


def test_what_is_not_here_any_more_is_no_fault_of_the_peers_and_ends_no_push(world: World) -> None:
    """A newer generation is sealed while this one is pushed: the folder with its files goes, as between two pushes."""
    sealed, _ = world.run(ORIGIN, "remembered")
    node = world.vaults.open(ORIGIN)
    (node.service(SERVICE).sealed / sealed.header.id.name / oldest(sealed).path).unlink()
    pushed = push_newest(node, SERVICE)
    assert [it.error for it in pushed] == [None] * len(pushed)
    assert rotten_at(world) == []


def _own(world: World, path: str) -> bytes:
    return (world.vaults.open(ORIGIN).service(SERVICE).repository / path).read_bytes()
