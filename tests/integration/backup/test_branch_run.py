"""Writes of an isolated origin are saved with the service once it writes there again, once, and beside its versions."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.agent.act import perform
from appliance.agent.decisions import BackUp
from appliance.backup.chain.chain import chain_of
from appliance.backup.peers.adopt import own_repository
from appliance.backup.peers.openable import open_best
from appliance.backup.peers.push import Pushed
from appliance.backup.writer import writer
from appliance.backup.writer.writer import Run, safety_of
from appliance.borg.client import Borg
from appliance.borg.names import branch_of
from appliance.branches import backup
from appliance.branches.archive import Room
from appliance.branches.backup import save_branches
from appliance.clock import SystemClock
from appliance.errors import NoSpace, Unreachable
from appliance.failover.fsm.model import State
from appliance.host.files import make_private_folder
from appliance.node.failover_status import ServiceStatus
from appliance.node.failover_status import save as save_told
from appliance.node.handle import Node
from appliance.trust.generation import GenerationId
from appliance.units import DAY, GIB
from appliance_lab.processes.territory import ProcessTerritory

SERVICE = "docs-a"


class EightDaysLater(SystemClock):
    def now(self) -> float:
        return super().now() + 8 * DAY


def keep(territory: ProcessTerritory, epoch: int, text: str) -> None:
    folder = territory.open("commune-a").service(SERVICE).branches / f"{epoch}/srv/docs-a"
    (make_private_folder(folder) / "alone.txt").write_text(text)


def newest(node: Node) -> GenerationId:
    sealed = chain_of(node, SERVICE).newest()
    assert sealed is not None
    return sealed.header.id


def saved(node: Node) -> list[int | None]:
    return [branch_of(it.name) for it in Borg(own_repository(node.service(SERVICE))).archives(branches=True)]


def test_it_is_saved_once_outlives_pruning_and_is_held_by_a_peer(territory: ProcessTerritory, tmp_path: Path) -> None:
    node = territory.open("commune-a")
    writer.run(node, SERVICE)
    keep(territory, 2, "written alone")
    (node.service(SERVICE).branches / "2.json").write_text("{}")
    (node.service(SERVICE).branches / "3.new").mkdir()
    done = writer.run(node, SERVICE)
    assert (done.left_out, done.failures, save_branches(node, done)) == ((), (), ())
    assert newest(node) > done.sealed.header.id, "a generation of its own comes after the service's"
    assert safety_of(node, SERVICE).safe
    borg = Borg(own_repository(node.service(SERVICE)))
    (branch,) = borg.archives(branches=True)
    assert branch_of(branch.name) == 2
    assert branch.name not in {it.name for it in borg.archives()}
    assert save_branches(node, writer.run(node, SERVICE)) == ()
    writer.prune(node, SERVICE)
    assert borg.archives(branches=True) == (branch,)

    held = Borg(open_best(territory.open("hermitage"), SERVICE, "standby").repository)
    held.extract(branch.name, (), make_private_folder(tmp_path / "back"))
    assert (tmp_path / "back/srv/docs-a/alone.txt").read_text() == "written alone"


def test_one_without_room_is_told_tried_again_only_when_asked_and_the_service_is_safe_all_the_same(
    territory: ProcessTerritory, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = territory.open("commune-a")
    keep(territory, 2, "written alone")
    with monkeypatch.context() as full:
        full.setattr(backup, "room_for", lambda *_: Room(disk=1, peers=GIB))
        done = writer.run(node, SERVICE)
        (refused,) = save_branches(node, done)
    assert (refused.what, done.failures, done.safety.safe) == ("branch 2", (), True)
    assert "on this disk" in refused.error.what
    assert (saved(node), newest(node)) == ([], done.sealed.header.id)
    (again,) = save_branches(node, writer.run(node, SERVICE))
    assert again.error.what == refused.error.what, "it is not read again at each run"
    assert save_branches(node, writer.run(node, SERVICE), again=True) == ()
    assert saved(node) == [2]
    assert "branch-unsaved" in node.layout.journal.read_text()


def test_what_a_person_left_is_not_saved(territory: ProcessTerritory) -> None:
    node = territory.open("commune-a")
    keep(territory, 2, "written alone")
    (node.service(SERVICE).branches / "2.json").write_text(json.dumps({"merged": False}))
    done = writer.run(node, SERVICE)
    assert save_branches(node, done) == ()
    assert (saved(node), newest(node)) == ([], done.sealed.header.id)


def test_the_service_goes_on_without_a_branch_for_which_a_peer_has_no_room(
    territory: ProcessTerritory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse_first(*arguments: object) -> tuple[Pushed, ...]:
        pushed = writer.push_newest(*arguments)  # type: ignore[arg-type]
        refuse.undo()
        return (replace(pushed[0], error=NoSpace("the quota at this peer is full.")), *pushed[1:])

    node = territory.open("commune-a")
    keep(territory, 2, "written alone")
    done = writer.run(node, SERVICE)
    with monkeypatch.context() as refuse:
        refuse.setattr(backup, "push_newest", refuse_first)
        (refused,) = save_branches(node, done)
    assert "has no space for it" in refused.error.what
    assert saved(node) == []
    assert newest(node).sequence == done.sealed.header.id.sequence + 2
    after = writer.run(node, SERVICE)
    assert after.safety.safe
    later = replace(node, clock=EightDaysLater())
    for asked in (save_branches(node, after, again=True), save_branches(later, after)):
        assert [it.error.what for it in asked] == [refused.error.what], "each try leaves a copy with the other peers"
    assert saved(node) == []
    monkeypatch.setattr(backup._At, "_limits", lambda _: [1, 1])
    assert save_branches(node, after) == ()
    assert saved(node) == [2]


def test_it_is_told_that_the_newest_generation_did_not_reach_its_peers(
    territory: ProcessTerritory, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = Unreachable("the line was cut.")
    node = territory.open("commune-a")
    keep(territory, 2, "written alone")
    done = writer.run(node, SERVICE)
    with monkeypatch.context() as cut:
        cut.setattr(writer, "push_all", lambda *_: (Pushed("hermitage", None, 0, 0.0, away),))
        assert [(it.what, it.error) for it in save_branches(node, done)] == [("its branches", away)]
    assert (done.safety.safe, safety_of(node, SERVICE).safe, saved(node)) == (True, False, [2])
    told = [json.loads(line) for line in node.layout.journal.read_text().splitlines()]
    last = next(it for it in reversed(told) if it["event"] == "backup")
    assert last["generation"] == str(newest(node))
    assert last["state"].startswith("not safe yet")


def test_none_is_begun_during_a_move_and_one_at_a_time_later(territory: ProcessTerritory) -> None:
    node = territory.open("commune-a")
    keep(territory, 2, "written alone")
    keep(territory, 4, "written alone again")
    moving = ServiceStatus(SERVICE, node.clock.boot_id(), State.DRAINING, "", "")
    save_told(make_private_folder(node.layout.failover), moving)
    assert perform(node, BackUp(SERVICE, "asked")).error == ""
    assert saved(node) == []
    done = writer.run(node, SERVICE)
    assert (save_branches(node, done, handing_over=True), saved(node)) == ((), [])
    (later,) = save_branches(node, done)
    assert (later.what, saved(node)) == ("branch 4", [2])
    assert (save_branches(node, done), saved(node)) == ((), [2, 4])


def test_a_branch_leaves_again_when_a_peer_without_room_has_not_taken_it(territory: ProcessTerritory) -> None:
    def told(done: Run, peer: str) -> Run:
        return replace(done, pushed=(Pushed(peer, None, 0, 0.0, NoSpace("the quota at this peer is full.")),))

    node = territory.open("commune-a")
    keep(territory, 2, "written alone")
    done = writer.run(node, SERVICE)
    peer, other = done.pushed[0].peer, "a-peer-that-was-away"
    assert save_branches(node, done) == ()
    assert save_branches(node, told(done, peer)) == (), "it has it, so nothing is won without"
    assert saved(node) == [2]
    (refused,) = save_branches(node, told(done, other))
    assert f"{other} has no space" in refused.error.what
    assert saved(node) == []
    assert safety_of(node, SERVICE).safe
