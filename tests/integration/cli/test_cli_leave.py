"""A node leaves: it is told what is missing until the copies that it held are as safe without it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from appliance.backup.vault.replicas import replica_of
from appliance.backup.writer import writer
from appliance.territory.placement import place
from appliance_lab.processes.territory import ProcessTerritory
from tests.integration.cli.typed import type_at

LEAVER, SERVICE, OTHERS = "commune-b", "docs-a", ("hermitage", "commune-a", "commune-c")


@pytest.fixture
def others(tmp_path: Path) -> Path:
    return tmp_path / "others.json"


def leaves(territory: ProcessTerritory, others: Path) -> Any:
    """Return the answer of `node leave` at the leaver, with what the others hold now."""
    held = [type_at(territory, node, "vault", "list") for node in OTHERS]
    others.write_text("".join(json.dumps(it) + "\n" for it in held))
    result = territory.nodes[LEAVER].cli("--json", "node", "leave", "--others", str(others), check=False)
    answer = json.loads(result.stdout)
    assert result.exit_code == (0 if answer["may_leave"] else 8), result.stderr
    return answer


def why(answer: Any) -> list[str]:
    return [it["why"] for it in answer["missing"]]


def test_a_node_may_leave_once_what_it_held_is_as_safe_without_it(territory: ProcessTerritory, others: Path) -> None:
    origin = territory.open("commune-a")
    for _ in range(2):
        writer.run(origin, SERVICE)
    said = why(leaves(territory, others))
    assert "must hold it: set `offered: 0` for commune-b" in said[0]
    assert said[1:] == ["its newest generation is safe at 1 of 2 (hermitage)."]

    before = place(territory.territory)
    nodes = territory.territory.nodes
    object.__setattr__(nodes[LEAVER], "offered_bytes", 0)
    territory.sign()
    assert place(territory.territory, before)[SERVICE].holders == ("hermitage", "commune-c")
    assert why(leaves(territory, others)) == ["its newest generation is safe at 1 of 2 (hermitage)."]

    (would,) = type_at(territory, "hermitage", "vault", "exchange", "--dry-run")["services"]
    assert (len(would["lacking"]["commune-c"]), would["brought"], would["failed"]) == (2, {}, {})
    assert replica_of(territory.open("commune-c"), SERVICE).stored() == ()
    brought = type_at(territory, "hermitage", "vault", "exchange")["services"]
    assert [(it["service"], len(it["brought"]["commune-c"]), it["failed"]) for it in brought] == [(SERVICE, 2, {})]
    assert leaves(territory, others) == {
        "schema": 1,
        "node": LEAVER,
        "may_leave": True,
        "missing": [],
        "asked": sorted(OTHERS),
    }


def test_history_that_only_the_leaver_has_keeps_it(territory: ProcessTerritory, others: Path) -> None:
    origin = territory.open("commune-a")
    territory.nodes["hermitage"].stop()
    writer.run(origin, SERVICE)
    object.__setattr__(territory.territory.nodes[LEAVER], "offered_bytes", 0)
    territory.sign()
    territory.nodes["hermitage"].start_sshd()
    writer.run(territory.open("commune-a"), SERVICE)
    assert why(leaves(territory, others)) == ["1 of its generations are safe at fewer than 2 other nodes."]


def test_a_damaged_answer_of_the_others_is_refused(territory: ProcessTerritory, others: Path) -> None:
    others.write_text('{"node": "commune-a"}\n')
    assert "not the output of `vault list`" in type_at(
        territory, LEAVER, "node", "leave", "--others", str(others), code=5
    )


def test_a_vault_that_refuses_has_answered_and_a_dead_one_has_not(territory: ProcessTerritory) -> None:
    assert type_at(territory, "commune-a", "vault", "ping")["silent"] == {}
    territory.nodes["commune-b"].stop()
    result = territory.nodes["commune-a"].cli("--json", "vault", "ping", check=False)
    assert (result.exit_code, list(json.loads(result.stdout)["silent"])) == (7, ["commune-b"])
    assert type_at(territory, "commune-a", "vault", "ping", "commune-c")["answered"] == ["commune-c"]
