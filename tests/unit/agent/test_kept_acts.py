"""Acts that were accepted at a node: each is checked once, by a process, and obeyed for as long as its signer may."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.config.load import load
from appliance.errors import NotFound
from appliance.failover import kept_acts
from appliance.failover.kept_acts import KeptActs
from appliance.host.command import CommandTimeout, Result
from appliance.node import acts as backup_acts
from appliance.node import current as current_node
from appliance.node.acts import keep_act
from appliance.node.current import Current
from appliance.trust.act import make_act
from appliance.trust.keys import create_key
from appliance.voter.program import make_state
from appliance_lab.processes.territory import ProcessTerritory
from tests.worlds.demo import INVENTORY, signed_territory, with_operator

NODE, SICK = "hermitage", "commune-a"
FIELDS = {"subject": SICK, "service": "any", "operator": "maintenance", "start": "2020-01-01T00:00:00Z"}
Accept = Callable[..., bytes]


@pytest.fixture
def made(tmp_path: Path) -> ProcessTerritory:
    """The demo's territory with an operator's key; keys and bundle only, nothing runs."""
    create_key(tmp_path / "maintenance")
    return signed_territory(tmp_path / "t", with_operator(load(INVENTORY), tmp_path / "maintenance"))


@pytest.fixture
def accept(made: ProcessTerritory, tmp_path: Path) -> Accept:
    """Has the node accept an act."""

    def accept(act: str, reason: str = "test", end: str = "2099-01-01T00:00:00Z") -> bytes:
        raw = make_act({**FIELDS, "act": act, "reason": reason, "end": end}, tmp_path / "maintenance")
        node = made.open(NODE)
        keep_act(node.layout.acts, raw, node.bundle)
        return raw

    return accept


@pytest.fixture
def here(made: ProcessTerritory, monkeypatch: pytest.MonkeyPatch) -> Current:
    """The node as its programs see it, which look for another bundle at once."""
    monkeypatch.setattr(current_node, "LOOK_EVERY_SECONDS", 0.0)
    return Current(made.nodes[NODE].state)


@pytest.fixture
def checked(made: ProcessTerritory, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The acts that were checked, once for each time."""
    found: list[bytes] = []
    really = backup_acts.read_act
    monkeypatch.setattr(backup_acts, "read_act", lambda raw, operators: (found.append(raw), really(raw, operators))[1])
    return found


def test_a_broker_checks_each_act_that_it_obeys_once_however_often_it_is_called(
    accept: Accept, here: Current, checked: list[bytes]
) -> None:
    kept = [accept("quarantine"), accept("promote", end="2020-02-01T00:00:00Z")]
    accept("hold")
    checked.clear()
    state = make_state(here)
    for _ in range(10):
        state.tick()
        assert state.acts("docs-a").quarantined == {SICK}
        assert state.news(NODE) == (kept[0].decode(),)
    assert sorted(checked) == sorted(kept)


def test_one_that_comes_is_obeyed_at_once(accept: Accept, here: Current) -> None:
    acts = KeptActs(here)
    assert acts.look() == ()
    accept("quarantine")
    assert [it.act for it in acts.look()] == ["quarantine"]


def test_it_is_obeyed_no_more_under_a_bundle_without_its_signer(
    made: ProcessTerritory, accept: Accept, here: Current
) -> None:
    acts = KeptActs(here)
    accept("quarantine")
    assert len(acts.look()) == 1
    made.territory = replace(made.territory, people={})
    made.sign()
    assert acts.look() == ()


@pytest.mark.parametrize(
    "passing",
    [CommandTimeout("ssh-keygen took more than 30 s."), NotFound("ssh-keygen is not there."), OSError("No space left")],
)
def test_a_check_that_failed_by_itself_is_made_again_and_what_was_judged_before_counts_meanwhile(
    accept: Accept, here: Current, monkeypatch: pytest.MonkeyPatch, passing: Exception
) -> None:
    acts = KeptActs(here)
    accept("quarantine", "the first")
    assert [it.reason for it in acts.look()] == ["the first"]
    accept("quarantine", "the second")

    def fail(*_: object) -> None:
        raise passing

    with monkeypatch.context() as cut:
        cut.setattr(backup_acts, "read_act", fail)
        assert [it.reason for it in acts.look()] == ["the first"]
    assert len(acts.look()) == 1, "not at each of several looks a second"
    monkeypatch.setattr(kept_acts, "AGAIN_SECONDS", 0.0)
    acts._judged._again_at.clear()
    assert {it.reason for it in acts.look()} == {"the first", "the second"}


def test_a_check_that_was_killed_has_judged_nothing(
    accept: Accept, here: Current, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept("quarantine")
    killed = Result(("ssh-keygen",), -9, b"", b"", 0.1)
    with monkeypatch.context() as cut:
        cut.setattr("appliance.trust.act.run", lambda *_, **__: killed)
        acts = KeptActs(here)
        assert acts.look() == ()
    acts._judged._again_at.clear()
    assert len(acts.look()) == 1


def test_what_is_being_written_is_no_act_yet(made: ProcessTerritory, accept: Accept, here: Current) -> None:
    raw = accept("quarantine")
    (made.open(NODE).layout.acts / ".another.1.new").write_bytes(raw)
    assert len(KeptActs(here).look()) == 1


def test_the_folder_is_listed_again_when_its_date_is_another_or_so_new_that_it_tells_nothing(
    accept: Accept, here: Current, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed, really = list[Path](), kept_acts.act_files
    monkeypatch.setattr(kept_acts, "act_files", lambda folder: (listed.append(folder), really(folder))[1])
    acts, folder = KeptActs(here), here.node.layout.acts
    accept("quarantine")
    assert [len(acts.look()) for _ in range(3)] == [1, 1, 1]
    assert len(listed) == 3, "another one may come in the same tick of the clock"
    os.utime(folder, (1000, 1000))
    assert [len(acts.look()) for _ in range(3)] == [1, 1, 1]
    assert len(listed) == 4
    accept("quarantine", reason="another")
    assert len(acts.look()) == 2
