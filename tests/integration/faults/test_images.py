"""A node's whole state comes back from an earlier image, or lives twice: it must not write, and can go on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from appliance.backup.chain.chain import chain_of
from appliance.backup.chain.resync import continue_under, fetch_for_resync
from appliance.backup.peers.exchange import catch_up, exchange
from appliance.backup.peers.fetched import load_fetched, remember_fetched
from appliance.backup.peers.fetched_key import staging
from appliance.backup.peers.openable import key_of
from appliance.backup.writer import writer
from appliance.backup.writer.counters import set_counter
from appliance.backup.writer.writer import Run
from appliance.borg.client import Borg
from appliance.borg.lanes import ECONOMY
from appliance.borg.nonce import check_nonce, floor_of, next_nonce, read_nonce
from appliance.clock import SystemClock
from appliance.errors import Refused
from appliance.host.command import run
from appliance.node.handle import Node, open_node
from appliance_lab.demo.whole import held_names
from tests.integration.faults.world import BLIND, HOLDERS, ORIGIN, SERVICE, STANDBY, FaultWorld


def image(world: FaultWorld) -> Callable[[], None]:
    """An image of the origin's state folder as it is now; calling it puts the folder back to that."""
    state = world.node().layout.root
    archive = world.work / "image.tar"
    run(("tar", "-C", str(state.parent), "-cf", str(archive), state.name), timeout_seconds=60, check=True)

    def put_back() -> None:
        shutil.rmtree(state)
        run(("tar", "-C", str(state.parent), "-xf", str(archive)), timeout_seconds=60, check=True)

    return put_back


def whole_image(world: FaultWorld) -> Callable[[], None]:
    """The same of the whole machine, with what it remembers beside its state folder."""
    lineage, put_back_state = world.node().layout.lineage, image(world)
    remembered = lineage.read_bytes()

    def put_back() -> None:
        put_back_state()
        lineage.write_bytes(remembered)

    return put_back


@dataclass(frozen=True)
class Boot(SystemClock):
    """The clock of a machine at another of its starts."""

    name: str

    def boot_id(self) -> str:
        return self.name


def booted(world: FaultWorld, name: str) -> Node:
    return open_node(world.node().layout.root, Boot(name))


def clone(world: FaultWorld) -> Path:
    """The origin's state folder a second time, keys and all, as on a machine set up from its backup."""
    copy = world.work / "clone" / ORIGIN
    shutil.copytree(world.node().layout.root, copy, symlinks=True)
    return copy


def assert_refused_untouched(world: FaultWorld, sentence: str) -> None:
    """The run is refused before borg writes: neither a counter nor a segment of the repository has moved."""
    repository = world.layout().repository
    before = read_nonce(repository), sorted(repository.glob("data/*/*"))
    with pytest.raises(Refused, match=sentence):
        writer.run(world.node(), SERVICE)
    assert (read_nonce(repository), sorted(repository.glob("data/*/*"))) == before


def test_an_older_image_is_refused_by_the_peers_and_continued_under_a_new_grant(world: FaultWorld) -> None:
    put_back = image(world)
    for _ in range(2):
        world.change()
        world.save()
    put_back()
    refused = world.territory.nodes[ORIGIN].cli("backup", "run", SERVICE, check=False)
    assert refused.exit_code == 8
    assert "older image" in refused.tail()
    assert "appliance backup resync" in refused.tail()
    assert_refused_untouched(world, "older image")
    world.fetch_to_continue()
    world.adopt()
    world.change()
    world.assert_healed()
    archives = {archive.name for archive in Borg(writer.own_repository(world.layout())).archives()}
    assert {item.archive for item in world.acknowledged} <= archives, "what was saved after the image is not lost"
    world.assert_nothing_lost(extract=4)


def test_an_older_image_is_refused_by_the_machine_itself_when_no_peer_answers(world: FaultWorld) -> None:
    put_back = image(world)
    world.change()
    world.save()
    put_back()
    world.stop(*HOLDERS)
    assert_refused_untouched(world, "this machine sealed a newer generation of docs-a than its state folder has")
    world.start(*HOLDERS)
    world.fetch_to_continue()
    world.adopt()
    world.assert_healed()
    world.assert_nothing_lost()


def test_an_older_image_is_refused_when_only_a_peer_answers_that_is_as_old(world: FaultWorld) -> None:
    """The newest generation reached one peer, which is down; the one that answers sees nothing wrong."""
    put_back = image(world)
    world.stop(BLIND)
    world.change()
    lonely = writer.run(world.node(), SERVICE)
    assert not lonely.safety.safe
    put_back()
    world.start(BLIND)
    world.stop(STANDBY)
    assert_refused_untouched(world, "this machine sealed a newer generation of docs-a than its state folder has")
    world.start(STANDBY)
    world.fetch_to_continue()
    world.adopt()
    world.assert_healed()
    assert held_names(world.node(STANDBY), SERVICE)[-2] == lonely.sealed.header.id.name
    world.assert_nothing_lost()


def test_without_any_peer_a_machine_that_remembers_goes_on_and_one_that_does_not_waits(world: FaultWorld) -> None:
    world.stop(*HOLDERS)
    world.change()
    assert not writer.run(world.node(), SERVICE).safety.safe
    lineage = world.node().layout.lineage
    remembered = lineage.read_bytes()
    lineage.unlink()
    assert_refused_untouched(world, "no peer answers")
    lineage.write_bytes(json.dumps({**json.loads(remembered), "machine": "another"}).encode())
    assert_refused_untouched(world, "no peer answers")
    lineage.write_bytes(remembered)
    assert not writer.run(world.node(), SERVICE).safety.safe
    world.start(*HOLDERS)
    world.assert_healed()
    world.assert_nothing_lost()


def test_a_run_cut_between_sealing_and_remembering_goes_on_alone(world: FaultWorld) -> None:
    lineage = world.node().layout.lineage
    remembered = lineage.read_bytes()
    world.stop(*HOLDERS)
    world.change()
    writer.run(world.node(), SERVICE)
    lineage.write_bytes(remembered)
    writer.run(world.node(), SERVICE)
    world.start(*HOLDERS)
    world.assert_healed()


def test_of_two_clones_the_second_to_write_is_refused(world: FaultWorld) -> None:
    copy = clone(world)
    world.change()
    first = writer.run(open_node(copy), SERVICE)
    assert first.safety.safe
    assert_refused_untouched(
        world, "restored from an older image, it was cloned, or another machine wrote with its key"
    )
    assert writer.run(open_node(copy), SERVICE).safety.safe, "the one that wrote goes on"
    assert world.forks() == set()
    world.fetch_to_continue()
    world.adopt()
    world.assert_healed()
    with pytest.raises(Refused, match="knows epoch 4 of docs-a"):
        writer.run(open_node(copy), SERVICE)
    world.assert_nothing_lost()


def test_a_clone_that_no_peer_answers_does_not_write(world: FaultWorld) -> None:
    copy = clone(world)
    world.stop(*HOLDERS)
    with pytest.raises(Refused, match="no peer answers"):
        writer.run(open_node(copy), SERVICE)


def test_a_clone_that_not_all_peers_answer_does_not_write(world: FaultWorld) -> None:
    """Only the peer that is down may know what the other copy wrote."""
    copy = clone(world)
    world.stop(BLIND)
    world.change()
    writer.run(world.node(), SERVICE)
    world.start(BLIND)
    world.stop(STANDBY)
    with pytest.raises(Refused, match=rf"not all peers answer \(missing: {STANDBY}\), and nothing"):
        writer.run(open_node(copy), SERVICE)


def test_clones_that_wrote_at_once_are_a_fork_both_sides_of_which_are_kept(world: FaultWorld) -> None:
    """A whole disk was copied, what the machine remembers included, and each copy reached one peer only: two headers
    for one sequence. A new grant ends it; nothing is thrown away. Each was answered by another peer, so their counters
    lie in two lanes; the fixture looks that none was used twice."""
    copy = clone(world)
    shutil.copy(world.node().layout.lineage, open_node(copy).layout.lineage)
    world.stop(BLIND)
    world.change()
    ours = writer.run(world.node(), SERVICE).sealed
    world.start(BLIND)
    world.stop(STANDBY)
    theirs = writer.run(open_node(copy), SERVICE).sealed
    world.start(STANDBY)
    assert (ours.header.epoch, ours.header.sequence) == (theirs.header.epoch, theirs.header.sequence)
    for node in (world.node(), open_node(copy)):
        with pytest.raises(Refused, match="it was cloned"):
            writer.run(node, SERVICE)
    for holder in HOLDERS:
        catch_up(world.node(holder), SERVICE, exchange(world.node(holder), SERVICE))
    assert world.forks() == {str(ours.header.id)}
    for holder in HOLDERS:
        assert {ours.header.id.name, theirs.header.id.name} <= set(held_names(world.node(holder), SERVICE))
    world.fetch_to_continue()
    world.adopt()
    world.change()
    world.save()
    assert world.forks() == set(), "the newer epoch says which side goes on"
    for holder in HOLDERS:
        assert {ours.header.id.name, theirs.header.id.name} <= set(held_names(world.node(holder), SERVICE))


def test_a_fork_half_resynchronised_is_still_refused(world: FaultWorld) -> None:
    """Fetching brings the other side's headers here; knowing them is not continuing them."""
    copy = clone(world)
    writer.run(open_node(copy), SERVICE)
    world.stop(*HOLDERS)
    world.change()
    writer.run(world.node(), SERVICE)
    world.start(*HOLDERS)
    world.fetch_to_continue()
    chain = chain_of(world.node(), SERVICE)
    assert len([name for name in chain.names() if name.startswith("00002.0000000002.")]) == 2
    assert all(chain.raw_header(name) for name in chain.names())
    assert_refused_untouched(world, "it was cloned")
    world.adopt()
    world.assert_healed()


@pytest.mark.parametrize("boot", ["", "another"], ids=["thawed", "booted"])
def test_a_machine_put_back_whole_while_the_holder_of_the_newest_is_silent_uses_no_counter_twice(
    world: FaultWorld, boot: str
) -> None:
    """Nothing on the machine can tell, and who answers knows no better: it goes on, with other counters. Where it was
    thawed there is not even another start to tell."""
    put_back = whole_image(world)
    world.stop(STANDBY)
    world.change()
    before = writer.run(world.node(), SERVICE)
    put_back()
    world.start(STANDBY)
    world.stop(BLIND)
    world.change()
    after = writer.run(booted(world, boot) if boot else world.node(), SERVICE)
    assert [took_it(done) for done in (before, after)] == [{BLIND}, {STANDBY}]
    world.assert_no_counter_twice()
    world.start(BLIND)
    with pytest.raises(Refused, match="restored from an older image"):
        writer.run(world.node(), SERVICE)
    world.fetch_to_continue()
    world.adopt()
    world.change()
    world.save()


def took_it(done: Run) -> set[str]:
    return {pushed.peer for pushed in done.pushed if pushed.receipt}


def test_two_branches_that_were_written_alone_and_sent_to_two_holders_use_no_counter_twice(world: FaultWorld) -> None:
    """Only the draw remains: two runs of this size meet once in a million such sequences, after a boot."""
    put_back = whole_image(world)
    for boot, holder in (("second", BLIND), ("third", STANDBY)):
        world.stop(*HOLDERS)
        world.change()
        assert took_it(writer.run(booted(world, boot), SERVICE)) == set()
        world.start(holder)
        assert [it.peer for it in writer.push_newest(world.node(), SERVICE) if it.receipt] == [holder]
        put_back()
    world.assert_no_counter_twice()


def test_after_two_hundred_boots_without_a_line_the_grant_still_lets_borg_write(world: FaultWorld) -> None:
    """Each boot is a sign, and sets the counter on by a draw; borg itself writes at each twentieth."""
    world.stop(*HOLDERS)
    for boot in range(200):
        node = booted(world, f"boot-{boot}")
        if boot % 20:
            set_counter(world.layout(), node.clock, 2, HOLDERS, ())
        else:
            world.change()
            writer.run(node, SERVICE)
    value = next_nonce(writer.own_repository(world.layout()))
    check_nonce(value, 2)
    assert floor_of(3) - (value or 0) > ECONOMY
    world.start(*HOLDERS)
    world.assert_healed()


def adopt_again(world: FaultWorld) -> None:
    """Adopt the last fetched generation under the former grant: it is refused, whatever the state folder says."""
    node = world.node()
    key = key_of(node, SERVICE, staging(node, SERVICE), None)
    with pytest.raises(Refused, match="docs-a was already written under the grant of epoch 4"):
        continue_under(node, SERVICE, load_fetched(node, SERVICE), world.grant_file.read_bytes(), key)


@pytest.mark.parametrize("knows", [True, False], ids=["one-generation-of-it", "nothing-of-it"])
def test_a_grant_is_not_adopted_twice_after_an_image_though_the_newest_holder_is_silent(
    world: FaultWorld, knows: bool
) -> None:
    """The image is of before the grant, and who answers knows one generation under it, or nothing of it."""
    put_back = image(world)
    world.fetch_to_continue()
    world.adopt()
    if knows:
        world.change()
        world.save()
    world.stop(STANDBY)
    world.change()
    writer.run(world.node(), SERVICE)
    put_back()
    world.start(STANDBY)
    world.stop(BLIND)
    assert_refused_untouched(world, "the folder is an older image")
    sealed, _ = fetch_for_resync(world.node(), SERVICE)
    assert sealed.header.epoch == (4 if knows else 2)
    remember_fetched(world.node(), SERVICE, sealed)
    adopt_again(world)
    world.start(BLIND)
    world.fetch_to_continue()
    world.adopt()
    assert chain_of(world.node(), SERVICE).grant().epoch == 6
    world.assert_healed()
