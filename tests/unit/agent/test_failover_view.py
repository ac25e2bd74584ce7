"""A look at a node sees failover: files of the program that runs services, and branches that wait."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from appliance.backup.peers.elsewhere import served
from appliance.clock import utc_text
from appliance.failover.status import failover_lock, see_failover
from appliance.monitor.failover_view import FailoverView, ServiceView
from appliance.monitor.view import Now
from appliance.node import failover_status
from appliance.node.failover_status import ServiceStatus
from appliance.node.handle import Node
from tests.unit.agent.voting_node import SERVICE, voting_node
from tests.worlds.documents import act


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return voting_node(tmp_path)


def look(node: Node) -> FailoverView:
    return see_failover(node, Now(node.clock.now(), 0), ())


def test_a_quarantine_that_was_taken_back_is_told_no_more(node: Node) -> None:
    now = Now(node.clock.now(), 0)
    sick = act("quarantine", "commune-b", "any", now.wall - 20, now.wall + 20)
    lifted = act("quarantine", "commune-b", "any", now.wall - 10, now.wall - 10)
    assert see_failover(node, now, (sick,)).quarantined == (("commune-b", "maintenance"),)
    assert see_failover(node, now, (sick, lifted)).quarantined == ()


def tell(node: Node, **fields: object) -> ServiceView:
    """Return the view once a program has reported `fields`."""
    said = {"state": "ACTIVE", "row": "a", "reason": "b", "holder": "commune-a", **fields}
    failover_status.save(node.layout.failover, ServiceStatus(SERVICE, node.clock.boot_id(), **said))  # type: ignore[arg-type]
    (found,) = look(node).services
    return found


def test_what_a_program_tells_is_seen_with_moments_of_the_clock_on_the_wall(node: Node) -> None:
    since = node.clock.boottime() - 300
    found = tell(node, vacant_since=since, holder="", newest_epoch=4)
    assert found.vacant_since == pytest.approx(node.clock.now() - 300, abs=5)
    assert (found.origin, found.holder, found.newest_epoch, found.paused_since) == ("commune-a", "", 4, None)


def test_a_service_is_away_since_another_than_its_home_took_it(node: Node) -> None:
    assert tell(node, owned=1000.0).away_since is None
    assert tell(node, owned=1000.0, holder="hermitage").away_since == 1000.0
    assert tell(node, owned=1000.0, holder="").away_since is None


def test_what_was_told_before_this_boot_is_not_believed(node: Node) -> None:
    assert tell(node, holder="hermitage").holder == "hermitage"
    failover_status.save(
        node.layout.failover, ServiceStatus(SERVICE, "another boot", "ACTIVE", "a", "b", holder="hermitage")
    )
    (found,) = look(node).services
    assert (found.state, found.holder) == ("", None)


def test_that_the_program_lives_is_told_by_its_lock(node: Node) -> None:
    assert look(node).looked is None
    failover_lock(node.layout).touch()
    os.utime(failover_lock(node.layout), (500, 500))
    assert look(node).looked == 500


@pytest.mark.parametrize("content", ["", "nonsense", "7"])
def test_a_list_of_programs_that_cannot_be_read_is_told_and_stops_no_look(node: Node, content: str) -> None:
    (node.layout.root / "programs.json").write_text(content)
    found = look(node)
    assert found.programs == ()
    assert found.unread


def test_a_branch_that_waits_is_seen_without_any_program_until_somebody_has_decided(node: Node) -> None:
    (node.layout.root / "programs.json").unlink()
    assert served(node) == ()
    assert look(node).services == ()
    folder = node.service(SERVICE).root / "branches"
    (folder / "3").mkdir(parents=True)
    (found,) = look(node).services
    assert (found.branches, found.holder) == ((3,), None)
    (folder / "3.json").write_text(json.dumps({"format": 1, "time": utc_text(0), "merged": True}))
    assert look(node).services == ()
