"""A run that finds nothing changed makes no generation; whatever happened meanwhile, no still is ever a lie."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance.agent.act import perform
from appliance.agent.decisions import BackUp
from appliance.agent.memory import Memory
from appliance.agent.observe import Observer, now_of
from appliance.backup.chain.chain import chain_of
from appliance.backup.chain.rollback import PeerIsAhead
from appliance.backup.peers import conversation
from appliance.backup.peers.conversation import Head
from appliance.backup.still import look, note
from appliance.backup.still.decide import RACY_SECONDS
from appliance.backup.vault.replicas import replica_of
from appliance.backup.writer import noted_archives, writer
from appliance.backup.writer.writer import Run, run
from appliance.clock import SimulatedClock, utc_text
from appliance.node.handle import Node, open_node
from appliance_lab.processes.territory import ProcessTerritory
from tests.worlds.continuing import take_over

SERVICE = "docs-a"
LATER = RACY_SECONDS + 30
"""By so much the writer's clock is ahead of the files and of the others' clocks, so that no file just changed."""
QUARTER = 60


class Killed(BaseException):
    """In the place of SIGKILL: nothing catches it."""


@pytest.fixture(autouse=True)
def any_file_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests may lie in memory, which dates what is written here as well."""
    monkeypatch.setattr(look, "FILE_SYSTEMS", look.FILE_SYSTEMS | {"tmpfs"})


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock(now=time.time() + LATER)


@pytest.fixture
def origin(territory: ProcessTerritory, clock: SimulatedClock) -> Node:
    return open_node(territory.nodes["commune-a"].state, clock)


@pytest.fixture
def saved(origin: Node, clock: SimulatedClock) -> Run:
    done = run(origin, SERVICE)
    assert done.safety.safe
    clock.advance(QUARTER)
    return done


def again(node: Node) -> Run:
    return run(node, SERVICE, may_be_still=True)


def generations(node: Node) -> int:
    return len(chain_of(node, SERVICE).names())


def why(node: Node) -> str:
    """The reason of the last run that could have been still."""
    lines = [line for line in node.layout.journal.read_text().splitlines() if '"not-still"' in line]
    return lines[-1] if lines else ""


def test_a_run_that_finds_nothing_changed_makes_no_generation_and_keeps_the_service_fresh(
    territory: ProcessTerritory, origin: Node, saved: Run, clock: SimulatedClock
) -> None:
    second = again(origin)
    assert (second.still != "", second.sealed.header.id) == (True, saved.sealed.header.id)
    assert (second.created.archive, second.created.files) == (saved.created.archive, saved.created.files)
    assert second.safety.safe
    clock.advance(QUARTER)
    assert again(origin).still > second.still
    assert generations(origin) == 1
    for name in ("hermitage", "commune-b"):
        assert len(replica_of(territory.open(name), SERVICE).stored()) == 1
    (written,) = (it for it in Observer().look(origin, now_of(origin), Memory()).written if it.service == SERVICE)
    assert written.newest is not None
    assert round(clock.now() - written.newest.as_of) <= 1
    shown = territory.nodes["commune-a"].cli("backup", "show", SERVICE).stdout.decode()
    assert f"nothing changed until {utc_text(clock.now())}, as they signed" in shown


def test_the_agent_makes_no_generation_of_a_service_in_which_nothing_changed(origin: Node, saved: Run) -> None:
    outcome = perform(origin, BackUp(SERVICE, "it is due"))
    assert (outcome.error, outcome.mark, generations(origin)) == ("", saved.sealed.header.id.name, 1)
    assert (outcome.figures["files"], outcome.figures["new_bytes"]) == (saved.created.files, 0)


def test_the_agent_saves_everything_while_a_branch_waits_to_be_saved(origin: Node, saved: Run) -> None:
    folder = origin.service(SERVICE).branches / "1"
    folder.mkdir(parents=True)
    (folder / "acte.txt").write_text("written alone")
    outcome = perform(origin, BackUp(SERVICE, "it is due"))
    assert (outcome.error, outcome.mark > saved.sealed.header.id.name) == ("", True)


def test_a_run_that_somebody_asks_for_makes_a_generation(origin: Node, saved: Run) -> None:
    done = run(origin, SERVICE)
    assert (done.still, generations(origin)) == ("", 2)


def test_a_file_that_just_changed_makes_the_next_run_full_whatever_its_times_say(
    origin: Node, documents: Path, saved: Run, clock: SimulatedClock
) -> None:
    assert again(origin).still
    file = next(it for it in sorted(documents.rglob("*")) if it.is_file() and it.stat().st_size > 10)
    before = file.stat()
    file.write_bytes(b"x" * before.st_size)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    clock.advance(QUARTER)
    assert again(origin).still == ""
    assert "the source changed" in why(origin)
    clock.advance(QUARTER)
    assert again(origin).still, "the file did not change since"
    assert generations(origin) == 2


def test_after_a_file_that_changed_right_before_a_run_the_next_one_is_full(territory: ProcessTerritory) -> None:
    """Its last bytes may have come with no other date."""
    origin = territory.open("commune-a")
    run(origin, SERVICE)
    assert again(origin).still == ""
    assert "a file had just changed" in why(origin)


@pytest.mark.parametrize(
    ("where", "what"), [(noted_archives, "create"), (writer, "seal_now"), (writer, "keep_room"), (note, "write")]
)
def test_a_run_that_is_killed_leaves_no_note(
    origin: Node,
    documents: Path,
    saved: Run,
    clock: SimulatedClock,
    monkeypatch: pytest.MonkeyPatch,
    where: Any,
    what: str,
) -> None:
    """Between borg and the note, above all: what was saved last is in the repository and sealed, and nobody knows."""

    def killed(*_: object, **__: object) -> None:
        raise Killed

    (documents / "new.odt").write_text("new")
    with monkeypatch.context() as patched:
        patched.setattr(where, what, killed)
        with pytest.raises(Killed):
            again(origin)
    clock.advance(QUARTER)
    done = again(origin)
    assert done.still == ""
    assert "the run before did not end" in why(origin)
    assert done.safety.safe
    clock.advance(QUARTER)
    assert again(origin).still


def test_a_replica_node_that_lost_its_newest_generation_gets_a_new_one(
    territory: ProcessTerritory, origin: Node, saved: Run, clock: SimulatedClock
) -> None:
    assert again(origin).still
    replica = replica_of(territory.open("commune-b"), SERVICE)
    replica.path(saved.sealed.header.id.name, "damaged").touch()
    clock.advance(QUARTER)
    done = again(origin)
    assert (done.still, done.safety.safe) == ("", True)
    assert "commune-b does not hold generation 2.1" in why(origin)


def test_a_replica_node_of_an_earlier_version_makes_every_run_full(
    origin: Node, saved: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = conversation.read_head

    def former(*words: Any) -> Head:
        head = read(*words)
        return replace(head, reads_still=0) if head.peer == "commune-b" else head

    monkeypatch.setattr(conversation, "read_head", former)
    assert again(origin).still == ""
    assert "commune-b does not read the word for it" in why(origin)


def test_a_replica_node_that_is_down_makes_a_full_run_that_it_gets_later(
    territory: ProcessTerritory, origin: Node, saved: Run, clock: SimulatedClock
) -> None:
    territory.nodes["commune-b"].stop()
    done = again(origin)
    assert (done.still, done.safety.safe) == ("", False)
    territory.nodes["commune-b"].start_sshd()
    clock.advance(QUARTER)
    assert again(origin).safety.safe
    clock.advance(QUARTER)
    assert again(origin).still


def test_a_takeover_between_two_runs_ends_the_stills_of_the_writer_before(
    territory: ProcessTerritory, origin: Node, saved: Run, clock: SimulatedClock
) -> None:
    assert again(origin).still
    standby = open_node(territory.nodes["hermitage"].state, clock)
    take_over(territory, SERVICE, standby)
    clock.advance(QUARTER)
    first = again(standby)
    assert (first.still, first.sealed.header.epoch) == ("", max(chain_of(standby, SERVICE).grants()))
    with pytest.raises(PeerIsAhead):
        again(origin)
    clock.advance(QUARTER)
    assert again(standby).still


def test_a_source_on_a_file_system_that_is_not_known_to_date_each_change_is_saved_each_time(
    origin: Node, saved: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(look, "FILE_SYSTEMS", frozenset())
    assert again(origin).still == ""
    assert "do not tell each change" in why(origin)
