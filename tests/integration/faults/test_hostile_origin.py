"""A town hall that was broken into saves archives that lead out of their folder: each work of a standby that opens what
it holds meets one, and writes nothing elsewhere; the next honest backup is used again."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from appliance.agent.act import perform
from appliance.agent.decisions import Catalogue, Drill, Ready, Verify
from appliance.backup.peers.conversation import Lines
from appliance.backup.peers.openable import open_best
from appliance.backup.proofs.proofs import load_proofs
from appliance.borg.client import Borg
from appliance.borg.model import Created
from appliance.errors import IntegrityError
from appliance.failover import takeover_worker
from appliance.node.handle import Node
from tests.integration.borg.hostile import file, forge, hardlink, symlink
from tests.integration.faults.world import SERVICE, STANDBY, FaultWorld

REFUSED = "nothing was restored"


def hostile_entries(keys: Path) -> list[Any]:
    return [symlink("a", keys), file("a/sign_ed25519"), hardlink("b", f"../../../../../..{keys}/age")]


def save_hostile(world: FaultWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of the origin, sealed and pushed as ever, whose borg was made to save what its root wanted."""
    keys = world.node(STANDBY).layout.keys

    def create(borg: Borg, archive: str, paths: object, **options: object) -> Created:
        forge(borg.repository, archive, hostile_entries(keys))
        return Created(archive, "", 3, 0, 0, 0, (), 0.0)

    with monkeypatch.context() as patched:
        patched.setattr(Borg, "create", create)
        world.change()
        world.save()
    world.acknowledged.pop()  # it gives nothing back, and is to be refused


def lay_ahead(node: Node) -> str:
    return perform(node, Ready(SERVICE, "a test", "newest")).error


def drill(node: Node) -> str:
    return perform(node, Drill(SERVICE, "a test")).error


def copy(node: Node) -> str:
    with Lines(node) as lines, pytest.raises(IntegrityError) as caught:
        takeover_worker.copy(node, SERVICE, "", lines)
    return str(caught.value)


def place(node: Node) -> str:
    with pytest.raises(IntegrityError) as caught:
        takeover_worker.place(node, SERVICE, open_best(node, SERVICE, "standby").repository)
    return str(caught.value)


LAYING: Mapping[str, Callable[[Node], str]] = {"lay-ahead": lay_ahead, "drill": drill, "copy": copy, "place": place}


def seen(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_nlink, path.stat().st_mode)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_every_work_of_a_standby_refuses_what_a_broken_into_origin_saved(
    world: FaultWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = world.node(STANDBY)
    before = seen(node.layout.keys)
    assert before
    assert lay_ahead(node) == ""
    save_hostile(world, monkeypatch)
    for name, work in LAYING.items():
        assert REFUSED in work(node), name
        assert seen(node.layout.keys) == before, name
    _verification_names_the_archive_and_goes_on(node)
    _catalogue_keeps_its_names_and_follows_none(node)
    assert seen(node.layout.keys) == before
    world.save()
    assert lay_ahead(node) == ""
    assert perform(node, Drill(SERVICE, "a test")).error == ""


def _verification_names_the_archive_and_goes_on(node: Node) -> None:
    done = perform(node, Verify(SERVICE, "a test"))
    assert (done.error, done.figures["damaged"], done.figures["finished"]) == ("", 1, 1)
    assert "must not be restored; `appliance backup verify docs-a` lists them" in done.alarms[0]
    verified = load_proofs(node.service(SERVICE)).verified
    assert verified is not None
    (found,) = verified.damaged
    assert found.archive == Borg(open_best(node, SERVICE, "standby").repository).archives()[-1].name
    assert "this archive cannot be restored whole" in found.reason


def _catalogue_keeps_its_names_and_follows_none(node: Node) -> None:
    done = perform(node, Catalogue(SERVICE, "a test", "standby", "newest"))
    assert done.error == ""
    with closing(sqlite3.connect(node.service(SERVICE).catalogue)) as connection:
        names = {os.fsdecode(row[0]) for row in connection.execute("SELECT path FROM path")}
    assert "a/sign_ed25519" in names
