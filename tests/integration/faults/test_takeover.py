"""The standby goes on with the same repository, and hands it back: nothing is sent twice, no counter is used twice, and
who wrote before is refused by everybody."""

from __future__ import annotations

import random

import pytest

from appliance.backup.chain.chain import chain_of
from appliance.backup.peers.adopt import own_repository
from appliance.backup.peers.openable import open_best
from appliance.backup.vault.replicas import replica_of
from appliance.backup.writer import writer
from appliance.borg.client import Borg
from appliance.borg.folder import repository_id
from appliance.borg.model import Repository
from appliance.borg.nonce import floor_of, next_nonce
from appliance.errors import Refused, Unreachable
from appliance.escrow.envelopes import read_key
from appliance.host.files import make_private_folder, write_atomic
from appliance.units import KIB, MIB
from appliance_lab.counters import reused, used_by
from appliance_lab.demo.whole import held_names
from tests.integration.faults.relay import relayed
from tests.integration.faults.world import BLIND, ORIGIN, SERVICE, SPARE, STANDBY, FaultWorld

BULK_BYTES = 6 * MIB
FEW_BYTES = 256 * KIB


@pytest.fixture
def bulky(world: FaultWorld) -> FaultWorld:
    """Enough that sending it twice would show."""
    (world.documents / "cadastre.tif").write_bytes(random.Random(1).randbytes(BULK_BYTES))
    world.save()
    return world


def leave_a_tail(world: FaultWorld) -> str:
    """The origin seals one generation that reaches nobody; its archive."""
    world.stop(STANDBY, BLIND)
    world.change()
    tail = writer.run(world.node(), SERVICE)
    world.start(STANDBY, BLIND)
    assert not tail.safety.acknowledged
    return tail.created.archive


def take_over(world: FaultWorld, name: str) -> int:
    """Let `name` go on under a new grant; the bytes that the blind peer sent for it."""
    with relayed(world.territory, BLIND) as relay:
        world.fetch_to_continue(name)
        world.adopt(name)
        return relay.down.carried


def left_by(world: FaultWorld, epoch: int) -> Borg:
    """The repository that the origin had written when it adopted its service again, with a base folder of its own."""
    base = world.work / "left-base"
    key = read_key(world.layout().key)
    write_atomic(make_private_folder(base / ".config/borg/keys") / "service", key.keyfile.reveal(), mode=0o600)
    return Borg(Repository(world.layout().root / f"replaced-{epoch}", base, key.passphrase))


def test_a_service_goes_to_the_standby_and_back_as_the_same_repository(bulky: FaultWorld) -> None:
    identity = repository_id(bulky.layout().repository)
    tail = leave_a_tail(bulky)

    assert take_over(bulky, STANDBY) < FEW_BYTES, "the standby's vault had it all"
    assert repository_id(bulky.layout(STANDBY).repository) == identity
    bulky.change()
    away = bulky.save()
    assert str(away.sealed.header.id) == "4.1"
    assert {outcome.peer: outcome.bytes_sent < FEW_BYTES for outcome in away.pushed} == {BLIND: True, SPARE: False}
    assert away.safety.safe, "the spare was seeded at once"
    for holder in (BLIND, SPARE):
        bulky.assert_verified(holder)

    assert take_over(bulky, ORIGIN) < FEW_BYTES, "the origin's old repository had nearly all"
    assert repository_id(bulky.layout().repository) == identity
    bulky.change()
    back = bulky.save()
    assert str(back.sealed.header.id) == "6.1"
    assert max(outcome.bytes_sent for outcome in back.pushed if outcome.peer == BLIND) < FEW_BYTES
    for holder in (STANDBY, BLIND):
        bulky.assert_verified(holder)
    bulky.assert_nothing_lost(extract=3)

    archives = {archive.name for archive in Borg(own_repository(bulky.layout())).archives()}
    assert {item.archive for item in bulky.acknowledged} <= archives
    assert tail not in archives
    kept = left_by(bulky, 6)
    assert tail in {archive.name for archive in kept.archives()}, "what never reached anybody is kept beside"
    pools = [blob for name in bulky.territory.nodes for blob in replica_of(bulky.node(name), SERVICE).blobs()]
    assert reused(used_by((*pools, *kept.repository.path.glob("data/*/*")))) == ()


def test_who_wrote_before_is_refused_by_everybody_with_the_way_back(bulky: FaultWorld) -> None:
    leave_a_tail(bulky)
    take_over(bulky, STANDBY)
    bulky.save()
    with pytest.raises(Refused, match=r"knows epoch 4 of docs-a, written by hermitage; ours is 2") as refused:
        writer.run(bulky.node(), SERVICE)
    assert "appliance backup resync" in refused.value.remedy
    for outcome in writer.push_newest(bulky.node(), SERVICE):
        assert isinstance(outcome.error, Refused), outcome
    bulky.stop(BLIND)
    with pytest.raises(Refused, match="hermitage knows epoch 4"):
        writer.run(bulky.node(), SERVICE)
    bulky.start(BLIND)
    tail = chain_of(bulky.node(), SERVICE).newest()
    assert tail is not None
    assert tail.header.epoch == 2
    for name in (STANDBY, BLIND, SPARE):
        assert tail.header.id.name not in held_names(bulky.node(name), SERVICE)


def test_the_vault_of_a_standby_that_took_over_fences_before_anybody_pushes(bulky: FaultWorld) -> None:
    """The old writer may reach nobody but the new one's own vault, which no push has told of the new epoch."""
    leave_a_tail(bulky)
    bulky.stop(BLIND)
    bulky.fetch_to_continue(STANDBY)
    bulky.adopt(STANDBY)
    with pytest.raises(Refused, match="hermitage knows epoch 4"):
        writer.run(bulky.node(), SERVICE)


def test_the_last_holder_takes_over_from_its_own_vault(bulky: FaultWorld) -> None:
    bulky.stop(BLIND, SPARE)
    bulky.territory.nodes[ORIGIN].stop()
    bulky.fetch_to_continue(STANDBY)
    bulky.adopt(STANDBY)
    bulky.change()
    alone = writer.run(bulky.node(STANDBY), SERVICE)
    assert (alone.safety.counted, alone.safety.promised) == ((), 2)
    bulky.start(BLIND, SPARE)
    bulky.assert_healed()
    bulky.assert_nothing_lost()


def test_the_last_holder_whose_copy_is_rotten_says_so_and_another_helps_when_it_is_back(bulky: FaultWorld) -> None:
    replica = replica_of(bulky.node(STANDBY), SERVICE)
    blob = max(replica.blobs(), key=lambda path: path.stat().st_size)
    blob.chmod(0o600)
    with open(blob, "r+b") as file:
        file.seek(MIB)
        file.write(b"rot")
    bulky.stop(BLIND, SPARE)
    with pytest.raises(Unreachable, match=r"hermitage: data/\d+/\d+ is corrupt or missing here"):
        bulky.fetch_to_continue(STANDBY)
    bulky.start(BLIND, SPARE)
    assert take_over(bulky, STANDBY) > MIB
    bulky.assert_healed()
    bulky.assert_verified(BLIND)


def test_after_the_hand_back_the_standby_reads_what_its_vault_holds_and_not_what_it_wrote(bulky: FaultWorld) -> None:
    take_over(bulky, STANDBY)
    bulky.save()
    take_over(bulky, ORIGIN)
    bulky.change()
    newest = bulky.save()
    opened = open_best(bulky.node(STANDBY), SERVICE)
    assert newest.created.archive in {archive.name for archive in Borg(opened.repository).archives()}


def test_each_writer_stays_in_the_range_of_its_grant(bulky: FaultWorld) -> None:
    for name, epoch in ((STANDBY, 4), (ORIGIN, 6), (STANDBY, 8)):
        take_over(bulky, name)
        bulky.change()
        bulky.assert_healed()
        value = next_nonce(own_repository(bulky.layout(name)))
        assert value is not None
        assert floor_of(epoch) < value < floor_of(epoch + 1)
    bulky.assert_nothing_lost()


def test_a_grant_is_used_once(bulky: FaultWorld) -> None:
    """Adopted twice, its counters would start again from the same floor."""
    bulky.fetch_to_continue()
    bulky.adopt()
    bulky.assert_healed()
    grant = bulky.grant_file.read_bytes()
    bulky.fetch_to_continue()
    bulky.grant_file.write_bytes(grant)
    node = bulky.territory.nodes[ORIGIN]
    refused = node.cli("backup", "resync", SERVICE, "--grant", str(bulky.grant_file), check=False)
    assert refused.exit_code == 8
    assert "docs-a was already written under the grant of epoch 4" in refused.tail()
    bulky.assert_healed()
