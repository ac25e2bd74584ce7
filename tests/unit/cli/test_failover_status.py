"""`appliance failover status` where the program that runs services does not live, or reported another boot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from appliance.cli.failover.status import look, text_of, text_of_moves
from appliance.coordination.port import Moved
from appliance.failover.status import failover_lock
from appliance.host.files import make_private_folder
from appliance.node import failover_status
from appliance.node.failover_status import ServiceStatus
from appliance.node.handle import Node
from tests.unit.agent.voting_node import SERVICE, voting_node


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return voting_node(tmp_path)


def row(found: dict[str, Any]) -> dict[str, Any]:
    (of_it,) = (it for it in found["services"] if it["service"] == SERVICE)
    return dict(of_it)


def test_a_node_on_which_the_program_never_ran_or_died_says_so_and_what_to_type(node: Node) -> None:
    assert "the program that runs services never ran" in text_of(look(node))
    assert text_of(look(node)).endswith("Type: appliance internal failover run")
    failover_lock(node.layout).touch()
    assert look(node)["program"] == ""


def test_a_node_without_a_program_of_any_service_is_not_blamed_for_running_none(node: Node) -> None:
    (node.layout.root / "programs.json").write_text(json.dumps({}))
    assert look(node)["program"] == ""


def test_how_a_service_stood_before_this_boot_is_not_shown_as_of_now(node: Node) -> None:
    make_private_folder(node.layout.failover)
    for boot, state in ((node.clock.boot_id(), "ACTIVE"), ("another boot", "")):
        failover_status.save(
            node.layout.failover, ServiceStatus(SERVICE, boot, "ACTIVE", "a", "b", trouble={"start": "no"})
        )
        found = row(look(node))
        assert (found["state"], found["reason"], found["trouble"]) == (
            state,
            *(("b", {"start": "no"}) if state else ("", {})),
        )


def test_who_took_a_service_over_is_listed_and_nobody_is_said_to_be_nobody() -> None:
    assert text_of_moves(SERVICE, ()) == "docs-a was never taken over."
    moved = Moved("hermitage", "vacancy", "2026-11-28T10:00:00Z", False, 7, 3)
    assert text_of_moves(SERVICE, (moved,)).splitlines()[1].split() == [
        moved.time,
        "hermitage",
        "took",
        "it",
        "vacancy",
        "7",
    ]
