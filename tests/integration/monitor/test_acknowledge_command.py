"""`appliance monitor acknowledge`, typed: a person signs, at a monitoring node or elsewhere, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from appliance.cli.main import run
from appliance.clock import SystemClock
from appliance.config.load import load
from appliance.monitor.duty.statement import make_statement
from appliance.territory.model import Person
from appliance.trust.keys import create_key
from appliance.units import HOUR
from appliance_lab.processes.catcher import Catcher
from tests.integration.monitor.sites import ALERTMANAGER, Site, sites, tell
from tests.waiting import wait_until
from tests.worlds.demo import INVENTORY, signed_territory

NAME = "DisqueMalade"
pytestmark = pytest.mark.skipif(not ALERTMANAGER.exists(), reason="Alertmanager is not installed")


@dataclass(frozen=True)
class Typed:
    """The answer of a command: its exit code, its result, and what it said beside."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class World:
    """A monitoring site at which an alert fires, and the state of its node; keys of persons lie in `folder`."""

    site: Site
    folder: Path
    state: Path
    mark: str

    def type(self, *words: str) -> Typed:
        about = ("--json", "--state", str(self.state), "monitor", "acknowledge")
        at = ("--queue", self.site.queue, "--folder", str(self.site.folder))
        with redirect_stdout(StringIO()) as said, redirect_stderr(StringIO()) as talk:
            code = run((*about, *at, *words))
        return Typed(code, said.getvalue(), talk.getvalue())

    def by(self, person: str, key: str = "") -> tuple[str, ...]:
        return ("--operator", person, "--key", str(self.folder / (key or person)))

    def taken_by(self) -> str:
        return str(self.site.firing()[NAME]["by"])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("acknowledge")
    people = {it: Person(it, it, (create_key(folder / it),)) for it in ("alice", "bob", "mallory")}
    del people["mallory"]
    people["carol"] = Person("carol", "carol")
    made = signed_territory(folder / "made", replace(load(INVENTORY), people=people))
    with Catcher() as catcher, sites(folder, 1, alice=catcher.url, bob=catcher.url) as [site]:
        tell((site,), NAME)
        wait_until(lambda: NAME in site.firing(), "it fires")
        yield World(site, folder, made.open("commune-a").layout.root, site.firing()[NAME]["fingerprint"])


def test_a_refusal_is_one_sentence_and_acknowledges_nothing(world: World) -> None:
    old = world.folder / "old"
    old.write_bytes(make_statement("alice", (world.mark,), SystemClock().now() - 2 * HOUR, world.folder / "alice"))
    changed = world.folder / "changed"
    raw = make_statement("alice", (world.mark,), SystemClock().now(), world.folder / "alice")
    changed.write_bytes(raw.replace(b'"alice"', b'"bob"', 1))
    cases: tuple[tuple[tuple[str, ...], str], ...] = (
        ((NAME, *world.by("mallory")), '"mallory" is not among `people`'),
        ((NAME, *world.by("alice", "mallory")), "is not signed by a key of alice"),
        ((NAME, *world.by("carol", "alice")), "carol has no key in the bundle"),
        (("0" * 16, *world.by("alice")), "this alert is over"),
        (("NoSuch", *world.by("alice")), f"what fires: {NAME}"),
        ((NAME,), "a person signs for it"),
        (("--statement", str(old)), "good for an hour"),
        (("--statement", str(changed)), "is not signed by a key of bob"),
        ((NAME, *world.by("alice"), "--out", str(world.folder / "x")), "reference of 16 digits"),
    )
    for words, said in cases:
        result = world.type(*words)
        assert (result.code != 0, said in result.stderr) == (True, True), (words, result)
        told = [it for it in result.stderr.splitlines() if it.startswith("appliance: ")]
        assert (len(told), "Traceback" in result.stderr) == (1, False), result
    assert world.taken_by() == ""


def test_a_person_signs_elsewhere_and_the_statement_counts_once(world: World) -> None:
    out = world.folder / "statement"
    signed = world.type(world.mark, *world.by("bob"), "--out", str(out))
    assert "appliance monitor acknowledge --statement" in signed.stderr
    looked = world.type("--statement", str(out), "--dry-run")
    assert (looked.code, world.taken_by()) == (0, "")
    taken = world.type("--statement", str(out))
    assert ([it["alert"] for it in said(taken)["open"]], world.taken_by()) == ([NAME], "bob")
    again = said(world.type("--statement", str(out)))
    assert ([it["by"] for it in again["taken"]], again["open"]) == (["bob"], [])
    later = said(world.type(NAME, *world.by("alice")))
    assert ([it["by"] for it in later["taken"]], world.taken_by()) == (["bob"], "bob"), "it stays Bob's"
    assert said(world.type())["firing"][0]["by"] == "bob"


def test_where_there_is_no_queue_the_command_says_where_to_type_it(world: World) -> None:
    elsewhere = replace(world, site=replace(world.site, queue="http://127.0.0.1:9"))
    result = elsewhere.type()
    assert "Type this on a node with the role monitor" in result.stderr


def said(result: Typed) -> Any:
    assert result.code == 0, result
    return json.loads(result.stdout)
