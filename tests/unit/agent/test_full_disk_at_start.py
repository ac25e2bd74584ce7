"""A start on a full disk: the programs that serve and that grant come up all the same, and so does a home alone."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.config.load import load
from appliance.failover import program
from appliance.failover.forms.process_services import FileWatchdog
from appliance.failover.fsm.model import Action
from appliance.host.layout import NodeLayout
from appliance.node.current import Current
from appliance.trust import pki
from appliance.voter import program as voter_program
from appliance.voter.program import Settings
from appliance_lab.processes import certificates
from appliance_lab.processes.territory import ProcessTerritory
from tests.unit.failover.world import SERVICE, World
from tests.worlds.demo import INVENTORY
from tests.worlds.documents import EXCLUSIVE, LOCAL

FULL, VOTER = "/dev/full", "hermitage"
A = Action


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Current:
    """A voter whose journal is on a full disk."""
    plan = load(INVENTORY)
    voter = replace(plan.node(VOTER), address="127.0.0.1", mesh="", broker_port=0)
    territory = ProcessTerritory(tmp_path / "t", replace(plan, nodes={**plan.nodes, VOTER: voter}))
    territory.create()
    issuer = certificates.begin(territory.territory.domain)
    territory.ca = pki.fingerprint_of(issuer.root)
    territory.sign()
    certificates.give(territory, issuer)
    node = territory.nodes[VOTER]
    node.layout.failover.mkdir(parents=True)
    monkeypatch.setattr(NodeLayout, "journal", Path(FULL))
    with pytest.raises(OSError, match="No space"):
        Current(node.state).node.journal.write("tried")
    return Current(node.state)


def test_the_program_that_serves_lives_without_its_line_in_the_journal(
    here: Current, monkeypatch: pytest.MonkeyPatch
) -> None:
    said, lived = list[str](), list[str]()

    async def live(current: Current, stop: asyncio.Event) -> None:
        lived.append(current.node.name)
        stop.set()

    monkeypatch.setattr(program, "_live", live)
    asyncio.run(program._serve(here, said.append))
    assert lived == [VOTER]
    assert len(said) == 3


def test_a_voters_broker_listens_without_its_line_in_the_journal(here: Current) -> None:
    said = list[str]()

    def say(sentence: str) -> None:
        said.append(sentence)
        os.kill(os.getpid(), signal.SIGTERM)

    asyncio.run(voter_program._serve(here, Settings("http://127.0.0.1:9"), say))
    assert len(said) == 1


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_home_that_opened_it_already_starts_alone_with_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, LOCAL)
    monkeypatch.setattr(world.machine, "watch", full)
    monkeypatch.setattr("appliance.host.records.write_atomic", full)
    monkeypatch.setattr("appliance.failover.act.write_atomic", full)
    assert world.do(A.WITHDRAW_COPY, A.START, A.ADD_ADDRESS, A.PROBE, deadline=None)
    assert world.machine.look(SERVICE).writer
    assert world.machine.has_address(SERVICE)
    assert "No space" in world.ctx.trouble["arm watchdog"], "it is told"


def test_who_is_bound_to_a_lease_does_not_start_when_the_watchdog_cannot_be_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, EXCLUSIVE)
    world.hold()
    monkeypatch.setattr(world.machine, "watch", full)
    assert not world.do(A.START)
    assert not world.machine.look(SERVICE).writer


def test_the_deadline_of_an_earlier_lease_is_taken_back_even_on_a_full_disk(tmp_path: Path) -> None:
    """The deadline in the file would end what starts now: it may be of an earlier boot."""
    (tmp_path / f"{SERVICE}.watch").write_text("12.000 0 0 2")
    (tmp_path / f".{SERVICE}.watch.new").symlink_to(FULL)
    FileWatchdog(tmp_path).watch(SERVICE, 2, None)
    assert not (tmp_path / f"{SERVICE}.watch").exists()
