"""The state that a clerk and an attacker find after a machine took the place of a lost one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from testinfra.host import Host

from appliance_lab.checkers.tree_record import parse
from appliance_lab.stories.context import ORIGIN, SERVICE, StoryContext
from appliance_lab.stories.left import look
from appliance_lab.stories.owners import read_names
from appliance_lab.stories.replaced import differences, knock_with

LAB = "molec"


def context() -> StoryContext:
    return StoryContext(LAB, Path("inventory/lab"), print, look(LAB))


def test_every_file_is_there_as_it_was() -> None:
    lost = context().control.root / "lost"
    before = parse((lost / "documents.record").read_text())
    assert len(before.entries) > 100
    assert [str(it) for it in differences(context(), before, read_names(lost))] == []


def test_the_machine_writes_on_in_the_same_repository(at: Callable[[str], Host]) -> None:
    shown = json.loads(at(ORIGIN).run(f"appliance --json backup show {SERVICE}").stdout)
    assert shown["writer"] == ORIGIN
    assert shown["generation"].startswith(f"{shown['epoch']}.")
    held = json.loads(at("hermitage").check_output(f"appliance --json vault show {SERVICE}"))["generations"]
    assert min(int(it["name"].partition(".")[0]) for it in held) < shown["epoch"], "one chain, of both machines"


def test_it_begins_nothing_anew_beside_its_history(at: Callable[[str], Host]) -> None:
    for words in (
        f"backup begin {SERVICE} --out /tmp/again",
        "backup resync --all --request /var/lib/appliance/grants",
    ):
        refused = at(ORIGIN).run(f"appliance {words}")
        assert refused.rc in (3, 8), (words, refused.stdout, refused.stderr)


def test_who_has_the_lost_disk_is_let_in_no_more() -> None:
    assert "Permission denied" in knock_with(context(), (context().control.root / "lost/ssh_ed25519").read_bytes())


def test_its_neighbours_know_its_new_keys_only(at: Callable[[str], Host]) -> None:
    shown = json.loads(at(ORIGIN).check_output("appliance --json node show"))
    assert shown["in_bundle"]
    assert json.loads(at(ORIGIN).check_output("appliance --json vault ping"))["silent"] == {}
