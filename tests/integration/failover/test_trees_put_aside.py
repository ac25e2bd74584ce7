"""Trees that moves put aside fill no disk, and no file goes that is in neither a backup nor a branch. With real
borg."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from appliance.agent.act import perform
from appliance.agent.decisions import Prune
from appliance.backup.chain.chain import chain_of
from appliance.backup.chain.resync import fetch_for_resync, request_after_fetch
from appliance.backup.peers.conversation import Lines
from appliance.backup.peers.fetched import remember_fetched
from appliance.backup.writer import writer
from appliance.backup.writer.replaced import replaced_repositories
from appliance.errors import NoSpace
from appliance.failover import takeover_worker
from appliance.failover.forms.files import REPLACED
from appliance.failover.replaced_trees import forget_trees, look_at_trees, put_aside, trees_of
from appliance.node.current import files_of
from appliance.node.handle import Node
from appliance_lab.processes.territory import ProcessTerritory

SERVICE, HOME, STANDBY, BLIND = "docs-a", "commune-a", "hermitage", "commune-b"
FILES = 20
FILE_BYTES = 2000


@dataclass
class Moves:
    """Nodes with files of their own; `holder` has the service."""

    territory: ProcessTerritory
    holder: str = HOME
    written: dict[str, bytes] = field(default_factory=dict)
    _count: int = 0

    def node(self, name: str = "") -> Node:
        return self.territory.open(name or self.holder)

    def live(self, name: str = "") -> Path:
        node = self.node(name)
        return files_of(node, node.bundle.terms(SERVICE).service.paths[0])

    def write(self) -> None:
        """A new file and a changed one, where the service is."""
        self._count += 1
        for name in (f"{self._count}.txt", "journal.txt"):
            self.written[name] = os.urandom(FILE_BYTES)
            (self.live() / name).write_bytes(self.written[name])

    def save(self) -> None:
        assert writer.run(self.node(), SERVICE).safety.held

    def move(self, to: str) -> None:
        """As a takeover does it, by the orders of its worker; what `to` has of files is put aside."""
        node = self.node(to)
        sealed, found = fetch_for_resync(node, SERVICE)
        remember_fetched(node, SERVICE, sealed)
        raw = self.territory.grant(request_after_fetch(node, SERVICE, found, "a test"), to)
        (node.service(SERVICE).root / takeover_worker.GRANTED).write_bytes(raw)
        with Lines(node) as lines:
            takeover_worker.adopt(node, SERVICE, json.dumps({"keep": False, "generation": "", "required": ""}), lines)
        self.holder = to

    def there_and_back(self, saved: bool = True) -> None:
        for to in (STANDBY, HOME):
            self.move(to)
            self.write()
            if saved:
                self.save()

    def keep_branch(self, name: str) -> None:
        """As a node does it that finds others went on without it."""
        node = self.node(name)
        with Lines(node) as lines:
            takeover_worker.branch(node, SERVICE, str(max(chain_of(node, SERVICE).grants())), lines)

    def tidy(self) -> None:
        assert perform(self.node(), Prune(SERVICE, "a test")).error == ""


@pytest.fixture
def moves(territory: ProcessTerritory) -> Moves:
    for name in (HOME, STANDBY):
        territory.open(name).layout.machine.mkdir()
    made = Moves(territory)
    made.live().mkdir(parents=True)
    for number in range(FILES):
        (made.live() / f"old-{number}.txt").write_bytes(os.urandom(FILE_BYTES))
    made.write()
    made.save()
    return made


def left(moves: Moves) -> set[str]:
    """The files of all trees but the newest, by their names."""
    *older, _ = trees_of(moves.node(), SERVICE)
    return {it.name for tree in older for it in tree.folder.rglob("*") if not it.is_dir()}


@pytest.mark.timeout(600)
def test_ten_moves_leave_one_tree_and_of_the_others_only_what_was_never_saved(moves: Moves) -> None:
    lost = {}
    for number in range(5):
        if number == 2:  # written to a folder that should have been read-only, after the last backup
            lost = {"jamais.txt": b"never saved", "old-3.txt": b"changed, never saved"}
            for name, content in lost.items():
                (moves.live() / name).write_bytes(content)
        moves.there_and_back()
        if number % 3 == 0:
            moves.tidy()
    moves.tidy()
    node = moves.node()
    assert left(moves) == {"jamais.txt", "old-3.txt"}
    with_them, newest = (it.folder for it in trees_of(node, SERVICE))
    assert {it.name: it.read_bytes() for it in with_them.iterdir()} == lost
    assert len(list(newest.iterdir())) > FILES, "the newest stays whole"
    [told] = [it for it in put_aside(node.service(SERVICE)) if it.unsaved]
    assert (told.folder, told.files, told.unsaved, told.first) == (str(with_them), 2, 2, "jamais.txt")
    assert told.bytes == told.unsaved_bytes == sum(map(len, lost.values()))
    assert {name: (moves.live() / name).read_bytes() for name in moves.written} == moves.written


def test_what_was_written_alone_goes_from_a_tree_once_a_branch_has_it(moves: Moves) -> None:
    (moves.live() / "seul.txt").write_bytes(b"written alone")
    moves.move(STANDBY)
    moves.write()
    moves.save()
    moves.keep_branch(HOME)
    moves.move(HOME)
    moves.save()
    moves.there_and_back()
    moves.tidy()
    assert left(moves) == set()
    [branch] = moves.node().service(SERVICE).branches.glob("*/")
    assert [it.read_bytes() for it in branch.rglob("seul.txt")] == [b"written alone"]


def test_a_file_that_changed_since_it_was_found_saved_stays(moves: Moves) -> None:
    moves.there_and_back()
    look_at_trees(moves.node(), SERVICE)
    (tree,) = trees_of(moves.node(), SERVICE)
    (tree.folder / "old-1.txt").write_bytes(b"by a program that had it open")
    moves.there_and_back()
    assert forget_trees(moves.node(), SERVICE) == (str(tree.folder),)
    assert left(moves) == {"old-1.txt"}


def test_nothing_goes_before_what_followed_is_held(moves: Moves) -> None:
    for _ in range(2):
        moves.there_and_back()
    node = moves.node()
    moves.move(STANDBY)
    moves.write()
    moves.save()
    moves.move(HOME)
    look_at_trees(node, SERVICE)
    assert (put_aside(node.service(SERVICE)), forget_trees(node, SERVICE)) == ((), ()), "nothing was sealed since"
    moves.save()
    look_at_trees(node, SERVICE)
    assert len(forget_trees(node, SERVICE)) == 2
    assert forget_trees(node, SERVICE) == ()


def test_a_tree_that_a_person_removed_is_told_no_more(moves: Moves) -> None:
    (moves.live() / "jamais.txt").write_bytes(b"never saved")
    moves.there_and_back()
    look_at_trees(moves.node(), SERVICE)
    [told] = put_aside(moves.node().service(SERVICE))
    for file in Path(told.folder).iterdir():
        file.unlink()
    Path(told.folder).rmdir()
    assert put_aside(moves.node().service(SERVICE)) == ()
    look_at_trees(moves.node(), SERVICE)
    assert not list((moves.node().service(SERVICE).root / "replaced-trees").glob("*.saved"))


def test_a_file_that_was_removed_elsewhere_is_found_saved_in_the_repository_that_its_move_put_aside(
    moves: Moves,
) -> None:
    """No newer archive has it, and retention may have forgotten the one that does, but for there."""
    (moves.live() / "court.txt").write_bytes(b"saved once, removed elsewhere")
    moves.save()
    moves.move(STANDBY)
    (moves.live() / "court.txt").unlink()
    moves.write()
    moves.save()
    moves.move(HOME)
    moves.save()
    moves.there_and_back()
    assert len(replaced_repositories(moves.node().service(SERVICE))) == 2
    moves.tidy()
    assert left(moves) == set()
    assert len(replaced_repositories(moves.node().service(SERVICE))) == 1


def test_a_file_of_an_archive_that_no_generation_has_stays(moves: Moves, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that ended before it sealed: nobody else ever had it, and its repository goes with the tidying."""
    (moves.live() / "jamais.txt").write_bytes(b"in an archive that nobody got")
    with monkeypatch.context() as cut:
        cut.setattr(writer, "seal_now", _no_room)
        with pytest.raises(NoSpace):
            writer.run(moves.node(), SERVICE)
    moves.there_and_back()
    moves.there_and_back()
    moves.tidy()
    assert left(moves) == {"jamais.txt"}


def test_a_repository_that_was_put_aside_damaged_proves_nothing_and_keeps_nobody_from_tidying(moves: Moves) -> None:
    moves.there_and_back()
    for segment in replaced_repositories(moves.node().service(SERVICE))[0].glob("data/*/*"):
        segment.write_bytes(b"rotten")
    moves.there_and_back()
    moves.tidy()
    assert len(replaced_repositories(moves.node().service(SERVICE))) == 1


@pytest.mark.root
def test_what_the_agent_may_not_remove_goes_with_restore_forget(moves: Moves, monkeypatch: pytest.MonkeyPatch) -> None:
    """On hosts it lies where the agent writes nothing, and is root's; the sweep writes nothing of the agent's."""
    (moves.live() / "jamais.txt").write_bytes(b"never saved")
    for _ in range(2):
        moves.there_and_back()
    layout = moves.node().service(SERVICE)
    look_at_trees(moves.node(), SERVICE)
    first, newest = (it.folder for it in trees_of(moves.node(), SERVICE))
    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", partial(_refuse, os.unlink))
        assert forget_trees(moves.node(), SERVICE) == ()
    assert len(list(first.iterdir())) > FILES
    told = moves.node().layout.journal
    _close_services(moves, monkeypatch)
    for _ in range(2):  # each day
        moves.territory.nodes[HOME].cli("internal", "restore", "expire")
    assert ([it.name for it in first.iterdir()], len(list(newest.iterdir())) > FILES) == (["jamais.txt"], True)
    assert told.read_text().count(json.dumps([str(first)])) == 1
    look_at_trees(moves.node(), SERVICE)
    assert sorted(it.files for it in put_aside(layout))[0] == 1, "what is left is counted again"
    assert len(list((layout.root / "replaced-trees").glob("*.saved"))) == 1


def _close_services(moves: Moves, monkeypatch: pytest.MonkeyPatch) -> None:
    """As systemd/appliance-restores.service has it; on a host the trees lie elsewhere."""
    steps = ("bind,ro", "$0"), ("bind,rw", "$1")
    closed = " && ".join(f'mount --bind "{it}" "{it}" && mount -o remount,{how} "{it}"' for how, it in steps)
    layout, kind = moves.node().layout, type(moves.territory.nodes[HOME])
    places = (str(layout.services), str(layout.service(SERVICE).root / REPLACED))
    within, here = ("unshare", "--mount", "sh", "-c", f'{closed} && shift && exec "$@"', *places), kind._here
    monkeypatch.setattr(kind, "_here", lambda node, argv: (*within, *here(node, argv)))


def _no_room(*words: object, **more: object) -> None:
    raise NoSpace("the disk is full.")


def _refuse(unlink: Callable[..., None], path: str | Path, **more: Any) -> None:
    if "dir_fd" in more:
        raise OSError(errno.EROFS, "Read-only file system", str(path))
    unlink(path)
