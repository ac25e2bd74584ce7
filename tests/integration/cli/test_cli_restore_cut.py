"""A restore that was cut belongs to what was asked: it goes on when it is typed again, or it is given up."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from appliance.backup.writer import writer
from appliance.units import DAY
from appliance_lab.processes.territory import ProcessTerritory
from tests.integration.cli.typed import SERVICE, type_at
from tests.integration.faults.world import BORG, put_borg

HERE = "commune-a"


@pytest.fixture
def saved(territory: ProcessTerritory, documents: Path) -> ProcessTerritory:
    (documents / "budget.ods").write_text("the budget of monday")
    writer.run(territory.open(HERE), SERVICE)
    return territory


def nightly(saved: ProcessTerritory, documents: Path) -> None:
    """The backup of the night after: nothing that is restored here changed."""
    (documents / "minutes.odt").write_text("written on tuesday")
    writer.run(saved.open(HERE), SERVICE)


@contextmanager
def cut_extractions(saved: ProcessTerritory, folder: Path) -> Iterator[None]:
    """borg brings the files and is killed then: what came out lies there, and nobody knows how much that is."""
    path = put_borg(folder, f'#!/bin/sh\ncase " $* " in *" extract "*) {BORG} "$@"; exit 2 ;; esac\nexec {BORG} "$@"\n')
    node = saved.nodes[HERE]
    before, node.environment = node.environment, {**node.environment, "PATH": f"{path}:{os.environ['PATH']}"}
    try:
        yield
    finally:
        node.environment = before


def cut(saved: ProcessTerritory, folder: Path, *words: str) -> dict[str, Any]:
    """The job of the line `words`, which was cut."""
    with cut_extractions(saved, folder):
        assert saved.nodes[HERE].cli(*words, check=False).exit_code not in (0, 1)
    found = type_at(saved, HERE, "restore", "jobs")["jobs"]
    assert found[-1]["state"] == "planned"
    return dict(found[-1])


def test_typed_again_after_a_nightly_backup_it_goes_on_with_the_archive_it_began_with(
    saved: ProcessTerritory, documents: Path, tmp_path: Path
) -> None:
    words = ("restore", "all", "--service", SERVICE, "--to", str(tmp_path / "back"))
    job = cut(saved, tmp_path, *words)
    nightly(saved, documents)
    done = type_at(saved, HERE, *words)
    assert (done["job"], done["archive"], done["state"]) == (job["job"], job["archive"], "done")
    assert (tmp_path / "back" / str(documents).lstrip("/") / "budget.ods").read_text() == "the budget of monday"


def test_tidying_keeps_the_archive_that_it_began_with_until_it_has_ended(
    saved: ProcessTerritory, documents: Path, tmp_path: Path
) -> None:
    """The retention keeps the last of the archives of one hour, and the very first one."""
    nightly(saved, documents)
    words = ("restore", "all", "--service", SERVICE, "--to", str(tmp_path / "back"))
    job = cut(saved, tmp_path, *words)
    nightly(saved, documents)
    node = saved.open(HERE)
    assert job["archive"] not in writer.prune(node, SERVICE)
    assert type_at(saved, HERE, *words)["archive"] == job["archive"]
    nightly(saved, documents)
    assert job["archive"] in writer.prune(node, SERVICE)


def test_a_folder_in_place_goes_on_although_the_newest_archive_is_another(
    saved: ProcessTerritory, documents: Path, tmp_path: Path
) -> None:
    words = ("restore", "folder", str(documents), "--in-place")
    job = cut(saved, tmp_path, *words)
    nightly(saved, documents)
    done = type_at(saved, HERE, *words)
    assert (done["job"], done["archive"]) == (job["job"], job["archive"])
    assert [it["state"] for it in type_at(saved, HERE, "restore", "jobs")["jobs"]] == ["done"]


def test_the_line_that_is_printed_ends_it(saved: ProcessTerritory, documents: Path, tmp_path: Path) -> None:
    job = cut(saved, tmp_path, "restore", "file", str(documents / "budget.ods"), "--to", str(tmp_path / "back"))
    nightly(saved, documents)
    told = saved.nodes[HERE].cli("restore", "jobs").stdout.decode()
    assert job["archive"] in told
    assert f"To give it up: appliance --state {saved.nodes[HERE].state} restore give-up {job['job']}" in told
    assert type_at(saved, HERE, *job["next"]["end"])["job"] == job["job"]


def test_another_restore_into_its_folder_is_refused_with_both_ways_out(
    saved: ProcessTerritory, documents: Path, tmp_path: Path
) -> None:
    job = cut(saved, tmp_path, "restore", "all", "--service", SERVICE, "--to", str(tmp_path / "back"))
    refused = saved.nodes[HERE].cli(
        "restore", "file", str(documents / "budget.ods"), "--to", str(tmp_path / "back"), check=False
    )
    assert refused.exit_code == 8
    assert f"the restore {job['job']} writes to that place and has not finished" in refused.tail()
    assert f"restore give-up {job['job']}" in refused.tail()
    assert f"restore all --service {SERVICE} --to {tmp_path / 'back'}" in refused.tail()


def test_typed_again_it_does_not_come_among_the_files_of_a_later_one_that_was_cut(
    saved: ProcessTerritory, documents: Path, tmp_path: Path
) -> None:
    """Both would make a mixture of two archives. The line that is printed ends the other one, then it goes on."""
    words = ("restore", "folder", str(documents), "--in-place")
    first = cut(saved, tmp_path, *words)
    nightly(saved, documents)
    later = ("restore", "file", str(documents / "budget.ods"), "--in-place")
    with (documents / "budget.ods").open("r+"):
        assert saved.nodes[HERE].cli(*later, check=False).exit_code, "somebody has it open"
    second = type_at(saved, HERE, "restore", "jobs")["jobs"][-1]
    assert second["state"] == "extracted"
    refused = saved.nodes[HERE].cli(*words, check=False)
    assert (refused.exit_code, f"the restore {second['job']} writes to that place" in refused.tail()) == (8, True)
    assert type_at(saved, HERE, *second["next"]["end"])["job"] == second["job"]
    assert type_at(saved, HERE, *words)["job"] == first["job"]


def test_given_up_it_leaves_what_came_out_and_is_no_more_in_the_way(
    saved: ProcessTerritory, documents: Path, tmp_path: Path
) -> None:
    job = cut(saved, tmp_path, "restore", "all", "--service", SERVICE, "--to", str(tmp_path / "back"))
    done = type_at(saved, HERE, *job["next"]["give_up"])
    assert done["state"] == "given-up"
    came = tmp_path / "back" / str(documents).lstrip("/") / "budget.ods"
    assert came.read_text() == "the budget of monday", "nothing is removed that somebody may have looked at"
    (listed,) = type_at(saved, HERE, "restore", "jobs")["jobs"]
    assert "next" not in listed
    again = type_at(saved, HERE, "restore", "all", "--service", SERVICE, "--to", str(tmp_path / "again"))
    assert again["job"] != job["job"]


def test_giving_up_is_written_into_the_journal_once(saved: ProcessTerritory, documents: Path, tmp_path: Path) -> None:
    job = cut(saved, tmp_path, "restore", "folder", str(documents), "--in-place")
    for _ in range(2):
        type_at(saved, HERE, *job["next"]["give_up"])
    (event,) = saved.open(HERE).journal.events("restore-given-up")
    told = {name: event[name] for name in ("service", "job", "entries", "in_place")}
    assert told == {"service": SERVICE, "job": job["job"], "entries": job["entries"], "in_place": True}


def test_an_archive_that_is_gone_is_said_with_the_way_on(
    saved: ProcessTerritory, documents: Path, tmp_path: Path
) -> None:
    words = ("restore", "all", "--service", SERVICE, "--to", str(tmp_path / "back"))
    job = cut(saved, tmp_path, *words)
    file = saved.open(HERE).service(SERVICE).restores / job["job"] / "job.json"
    gone = f"{SERVICE}-1.1-2026-01-01T00:00:00Z-000000"
    file.write_text(json.dumps({**json.loads(file.read_text()), "archive": gone}))
    said = type_at(saved, HERE, *words, code=3)
    assert f"its archive {gone} does not exist any more" in said
    assert f"restore give-up {job['job']}" in said
    assert "Then repeat the command, to another folder." in said, "what came out stays in this one"


def begun_days_ago(saved: ProcessTerritory, job: str, days: float) -> None:
    """As if the restore had begun then by the ageing clock."""
    node = saved.open(HERE)
    file = node.service(SERVICE).restores / job / "job.json"
    kept = json.loads(file.read_text())
    assert kept["begun_age_seconds"] is not None
    file.write_text(json.dumps({**kept, "begun_age_seconds": node.ageing.now() - int(days * DAY)}))


def told_of_it(saved: ProcessTerritory) -> list[dict[str, Any]]:
    told = json.loads(saved.nodes[HERE].cli("--json", "status", check=False).stdout)
    (node,) = (it for it in told["judged"] if it["role"] == "node")
    return [it for it in node["reasons"] if it["check"] == "restore"]


def test_status_tells_after_three_days_what_ends_it_and_what_gives_it_up(
    saved: ProcessTerritory, documents: Path, tmp_path: Path
) -> None:
    job = cut(saved, tmp_path, "restore", "file", str(documents / "budget.ods"), "--to", str(tmp_path / "back"))
    begun_days_ago(saved, job["job"], 2.9)
    assert told_of_it(saved) == []
    begun_days_ago(saved, job["job"], 3.1)
    (reason,) = told_of_it(saved)
    assert reason["state"] == "warning"
    end, give_up = (it["argv"] for it in reason["next"] if it.get("when"))
    assert end == ["appliance", *job["next"]["end"]]
    assert give_up == ["appliance", *job["next"]["give_up"]]
    assert (
        f"here: `appliance --state {saved.nodes[HERE].state} restore"
        in saved.nodes[HERE].cli("status", check=False).stdout.decode()
    )
    assert type_at(saved, HERE, *end[1:])["job"] == job["job"]
    assert told_of_it(saved) == []


def test_a_name_with_a_command_in_it_is_never_proposed_as_one(
    saved: ProcessTerritory, documents: Path, tmp_path: Path
) -> None:
    odd = documents / "a`appliance backup confirm docs-a`"
    odd.write_text("a name that somebody chose")
    writer.run(saved.open(HERE), SERVICE)
    job = cut(saved, tmp_path, "restore", "file", str(odd), "--to", str(tmp_path / "back"))
    begun_days_ago(saved, job["job"], 4)
    (reason,) = told_of_it(saved)
    assert [it["argv"][:3] for it in reason["next"] if "argv" in it] == [
        ["appliance", "restore", "jobs"],
        ["appliance", "restore", "give-up"],
    ]
