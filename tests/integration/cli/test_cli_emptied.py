"""Somebody with a node's keys has pushed an emptied generation: who notices, what is said, how it goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from appliance.backup.peers.exchange import exchange
from appliance.backup.writer import writer
from appliance.escrow import age
from appliance.node.handle import open_node
from appliance_lab.demo.attacker import Attacker, empty_and_push, steal
from appliance_lab.processes.territory import ProcessTerritory
from tests.integration.cli.typed import SERVICE, type_at
from tests.pace import LONG

ORIGIN, STANDBY, BLIND = "commune-a", "hermitage", "commune-b"
BORG_SECONDS_MAX = 60 * LONG


@pytest.fixture
def recovery() -> str:
    return age.generate().public


@pytest.fixture
def emptied(territory: ProcessTerritory, documents: Path, tmp_path: Path) -> ProcessTerritory:
    """Two good generations, 2.1 and 2.2; then an attacker's 2.3, without any archive."""
    for number in (1, 2):
        (documents / f"budget-{number}.ods").write_text("the budget")
        assert writer.run(territory.open(ORIGIN), SERVICE).safety.safe
    thief = open_node(steal(territory.nodes[ORIGIN].state, tmp_path / "stolen"))
    empty_and_push(Attacker(thief, SERVICE, STANDBY), (STANDBY, BLIND), BORG_SECONDS_MAX)
    return territory


def status_of(territory: ProcessTerritory, name: str, role: str) -> dict[str, Any]:
    """Return the status of the service there. Agents do not run in this territory, so that the node itself failed."""
    result = territory.nodes[name].cli("--json", "status", check=False)
    (found,) = [it for it in json.loads(result.stdout)["judged"] if (it["subject"], it["role"]) == (SERVICE, role)]
    return dict(found)


def test_who_is_overtaken_says_so_until_it_goes_on_from_the_last_good_generation(
    emptied: ProcessTerritory, tmp_path: Path
) -> None:
    assert status_of(emptied, ORIGIN, "written")["state"] == "ok", "nobody was asked yet"
    refused = type_at(emptied, ORIGIN, "backup", "run", SERVICE, code=8)
    assert "knows generation 2.3 of docs-a, which this node's newest does not continue" in refused
    assert "another machine wrote with its key" in refused
    judged = status_of(emptied, ORIGIN, "written")
    assert judged["state"] == "failed"
    assert judged["reasons"][0]["sentence"] in refused
    assert "backup resync docs-a --request docs-a.request --dry-run" in judged["reasons"][0]["remedy"]
    assert "knows generation 2.3" in emptied.nodes[ORIGIN].cli("backup", "push", SERVICE, check=False).stderr.decode()
    assert emptied.nodes[ORIGIN].cli("backup", "push", SERVICE, check=False).exit_code == 8

    request = tmp_path / "request"
    words = ("backup", "resync", SERVICE, "--request", str(request))
    looked = emptied.nodes[ORIGIN].cli("--json", *words, "--dry-run", check=False)
    assert looked.exit_code == 1
    assert json.loads(looked.stdout)["newest"] == "2.3"
    assert "has lost most of 2.2" in looked.stderr.decode()
    refused = type_at(emptied, ORIGIN, *words, code=8)
    assert "KiB in" in refused
    assert "has lost most of 2.2 with" in refused
    assert f"restore find PART --service {SERVICE} --from generation:2.2" in refused
    assert f"--request {request} --generation 2.2" in refused
    assert f"--request {request} --generation 2.3" in refused
    assert not request.exists()

    asked = type_at(emptied, ORIGIN, *words, "--generation", "2.2")
    assert asked["generation"] == "2.2"
    grant = tmp_path / "grant"
    grant.write_bytes(emptied.grant(request.read_bytes(), ORIGIN))
    continued = emptied.nodes[ORIGIN].cli("backup", "resync", SERVICE, "--grant", str(grant)).stderr.decode()
    assert "files of before" not in continued, "the machine is the same, and has them"
    assert type_at(emptied, ORIGIN, "backup", "run", SERVICE)["generation"] == "4.1"
    assert status_of(emptied, ORIGIN, "written")["state"] == "ok"
    assert status_of(emptied, STANDBY, "held")["state"] == "ok", "the newest is whole again"


def test_a_person_who_looked_may_continue_from_the_small_one_by_its_name(
    emptied: ProcessTerritory, tmp_path: Path
) -> None:
    words = ("backup", "resync", SERVICE, "--request", str(tmp_path / "request"), "--generation", "2.3")
    assert type_at(emptied, ORIGIN, *words)["generation"] == "2.3"


def test_holders_warn_of_what_they_hold(emptied: ProcessTerritory) -> None:
    for name in (STANDBY, BLIND):
        judged = status_of(emptied, name, "held")
        assert judged["state"] == "warning"
        assert "generation 2.3 has" in judged["reasons"][0]["sentence"]
        assert "most of it is missing" in judged["reasons"][0]["sentence"]
        assert "--generation 2.2" in judged["reasons"][0]["remedy"]


def test_a_push_finds_it_as_well(emptied: ProcessTerritory) -> None:
    (newest,) = emptied.nodes[ORIGIN].layout.service(SERVICE).chain.glob("00002.0000000002.*")
    (newest / f"receipt-{BLIND}").unlink()
    type_at(emptied, ORIGIN, "backup", "push", SERVICE, code=8)
    assert status_of(emptied, ORIGIN, "written")["state"] == "failed"


def test_a_writer_that_holds_the_service_finds_it_in_its_exchange(territory: ProcessTerritory, tmp_path: Path) -> None:
    """The standby took the service over and writes it; then somebody with its keys adds one to what the others have."""
    writer.run(territory.open(ORIGIN), SERVICE)
    request, grant = tmp_path / "request", tmp_path / "grant"
    type_at(territory, STANDBY, "backup", "resync", SERVICE, "--request", str(request))
    grant.write_bytes(territory.grant(request.read_bytes(), STANDBY))
    continued = territory.nodes[STANDBY].cli("backup", "resync", SERVICE, "--grant", str(grant)).stderr.decode()
    assert "Next, if files of before are missing: " in continued
    assert exchange(territory.open(STANDBY), SERVICE).forks == ()
    assert not list(territory.nodes[STANDBY].layout.last_seen.glob("*.overtaken"))
    thief = open_node(steal(territory.nodes[STANDBY].state, tmp_path / "stolen"))
    empty_and_push(Attacker(thief, SERVICE, BLIND), (BLIND,), BORG_SECONDS_MAX)
    exchange(territory.open(STANDBY), SERVICE)
    judged = status_of(territory, STANDBY, "written")
    assert judged["state"] == "failed"
    assert f"{BLIND} knows generation 4.1" in judged["reasons"][0]["sentence"]


def test_a_standby_names_the_older_generations_and_each_next_line_keeps_the_one_that_was_typed(
    emptied: ProcessTerritory, tmp_path: Path
) -> None:
    back = str(tmp_path / "back")
    for words in (("restore", "all", "--service", SERVICE, "--to", back), ("restore", "find", "budget")):
        refused = type_at(emptied, STANDBY, *words, code=3)
        assert "generation 2.3 of docs-a has no archive" in refused
        assert "--from generation:2.2 or --from generation:2.1" in refused
        assert "backup run" not in refused
    older = ("--service", SERVICE, "--from", "generation:2.2")
    found = emptied.nodes[STANDBY].cli("restore", "find", "budget-2", *older).stderr.decode()
    assert f"budget-2.ods {' '.join(older)}" in found
    nothing = emptied.nodes[STANDBY].cli("restore", "find", "no-such-name", *older).stderr.decode()
    assert f"restore find PART {' '.join(older)}" in nothing
    refused = type_at(emptied, STANDBY, "restore", "versions", "srv/no-such.ods", *older, code=3)
    assert f"restore find no-such.ods {' '.join(older)}" in refused
    path = type_at(emptied, STANDBY, "restore", "find", "budget-2", *older)["found"][0]["path"]
    told = emptied.nodes[STANDBY].cli("restore", "versions", path, *older).stderr.decode()
    assert "--version 1 --to DIR --from generation:2.2" in told
