"""A backup that failed in part: what everybody says of it, and a restore that fills it from the night before."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance.backup.peers.adopt import own_repository
from appliance.backup.writer import writer
from appliance.escrow import age
from appliance.failover.takeover_worker import place
from appliance_lab.processes.territory import ProcessTerritory
from tests.integration.cli.typed import SERVICE, type_at
from tests.waiting import wait_until

ORIGIN, STANDBY, BLIND = "commune-a", "hermitage", "commune-b"


@pytest.fixture
def recovery() -> str:
    return age.generate().public


@pytest.fixture
def cadastre(territory: ProcessTerritory, documents: Path, tmp_path: Path) -> Path:
    """A second path of docs-a, on a disk of its own; one whole night is saved."""
    folder = tmp_path / "cadastre"
    folder.mkdir()
    (folder / "plan.dat").write_bytes(b"parcelle" * 1000)
    plan = territory.territory
    service = replace(plan.services[SERVICE], paths=(str(documents), str(folder)))
    territory.territory = replace(plan, services={**plan.services, SERVICE: service})
    territory.sign()
    signed = time.time() // 1
    # Both are dated to the second; a header dated as the bundle is read by the names of the former one.
    wait_until(lambda: time.time() // 1 > signed, "the next second")
    assert writer.run(territory.open(ORIGIN), SERVICE).safety.safe
    return folder


@pytest.fixture
def unplugged(territory: ProcessTerritory, cadastre: Path, documents: Path) -> Path:
    """Two nights later the disk of the second path is gone; the documents went on."""
    shutil.rmtree(cadastre)
    for night in (2, 3):
        (documents / "budget.txt").write_text(f"night {night}")
        assert not writer.run(territory.open(ORIGIN), SERVICE).safety.safe
    return cadastre


def judged(territory: ProcessTerritory, name: str, role: str) -> dict[str, Any]:
    result = territory.nodes[name].cli("--json", "status", check=False)
    return next(it for it in json.loads(result.stdout)["judged"] if (it["subject"], it["role"]) == (SERVICE, role))


def test_a_missing_path_is_told_by_its_origin_by_a_standby_and_by_a_blind_peer(
    territory: ProcessTerritory, unplugged: Path
) -> None:
    written = judged(territory, ORIGIN, "written")
    assert written["summary"].startswith("PARTIAL: 2 of 2")
    assert written["safe"] is False
    assert written["safe_newest"] == "2.1"
    for name, role in ((ORIGIN, "written"), (STANDBY, "held"), (BLIND, "held")):
        told = [it["sentence"] for it in judged(territory, name, role)["reasons"]]
        assert any(it.startswith(f"partial: {unplugged} missing, wholly or in part, since 20") for it in told), (
            name,
            told,
        )


def test_the_list_of_archives_marks_the_partial_ones_and_says_what_they_lack(
    territory: ProcessTerritory, unplugged: Path
) -> None:
    listed = type_at(territory, ORIGIN, "backup", "list", SERVICE)["archives"]
    assert [it["whole"] for it in listed] == [True, False, False]
    assert listed[0]["missing"] == []
    assert listed[2]["missing"] == [{"path": str(unplugged), "state": "failed"}]
    heading, whole, *partial = territory.nodes[ORIGIN].cli("backup", "list", SERVICE).stdout.decode().splitlines()
    assert heading.split()[2:] == ["PARTIAL:", "MISSING"]
    assert len(whole.split()) == 2
    assert [line.split()[2:] for line in partial] == [[str(unplugged), "(all)"]] * 2


def test_a_restore_of_everything_fills_the_missing_path_from_the_last_whole_night_and_says_so(
    territory: ProcessTerritory, unplugged: Path, documents: Path, tmp_path: Path
) -> None:
    to = tmp_path / "back"
    words = ("restore", "all", "--service", SERVICE, "--to", str(to))
    foretold = type_at(territory, STANDBY, *words, "--dry-run", code=1)
    done = type_at(territory, STANDBY, *words, code=1)
    [filled] = done["filled"]
    assert filled["path"] == str(unplugged).lstrip("/")
    assert filled["archive"].startswith("docs-a-2.1-20")
    assert (done["missing"], foretold["filled"], foretold["entries"]) == ([], [filled], done["entries"])
    assert (to / str(unplugged).lstrip("/") / "plan.dat").read_bytes() == b"parcelle" * 1000
    assert (to / str(documents).lstrip("/") / "budget.txt").read_text() == "night 3"


def test_an_archive_that_was_named_comes_as_it_is_and_what_it_lacks_is_told(
    territory: ProcessTerritory, unplugged: Path, tmp_path: Path
) -> None:
    archive = type_at(territory, ORIGIN, "backup", "list", SERVICE)["archives"][-1]["name"]
    words = ("restore", "all", "--service", SERVICE, "--archive", archive, "--to", str(tmp_path / "back"))
    done = type_at(territory, ORIGIN, *words, code=1)
    assert (done["filled"], done["missing"]) == ([], [str(unplugged)])
    assert not (tmp_path / "back" / str(unplugged).lstrip("/")).exists()


def test_a_takeover_lays_the_missing_path_in_place_from_the_last_archive_that_has_it(
    territory: ProcessTerritory, unplugged: Path
) -> None:
    origin = territory.open(ORIGIN)
    placed = place(origin, SERVICE, own_repository(origin.service(SERVICE)))
    assert str(unplugged) in placed
    assert (unplugged / "plan.dat").read_bytes() == b"parcelle" * 1000
    [event] = origin.journal.events("taken-over-partial")
    assert event["filled"] == 1


def test_a_drill_restores_the_last_whole_archive_and_says_that_the_newest_is_no_proof(
    territory: ProcessTerritory, unplugged: Path
) -> None:
    done = type_at(territory, STANDBY, "backup", "drill", SERVICE, code=1)
    assert done["archive"].startswith("docs-a-2.1-")
    assert "is partial, and restoring it proves nothing" in done["told"][0]


def test_a_path_that_is_back_ends_all_of_it(territory: ProcessTerritory, unplugged: Path, tmp_path: Path) -> None:
    unplugged.mkdir()
    (unplugged / "plan.dat").write_bytes(b"parcelle" * 1000)
    assert writer.run(territory.open(ORIGIN), SERVICE).safety.safe
    assert judged(territory, ORIGIN, "written")["state"] == "ok"
    done = type_at(territory, STANDBY, "restore", "all", "--service", SERVICE, "--to", str(tmp_path / "back"))
    assert (done["filled"], done["missing"]) == ([], [])
