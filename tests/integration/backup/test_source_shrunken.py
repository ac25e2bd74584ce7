"""A mount point without its disk, and files that were moved away: real borg, real peers, and who ends it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from appliance.agent.memory import Memory
from appliance.agent.observe import Observer, now_of
from appliance.backup.writer import writer
from appliance.errors import Refused
from appliance.monitor.measures import state_of
from appliance.monitor.written import judge_written
from appliance.units import GIB
from appliance_lab.processes.territory import ProcessTerritory
from tests.integration.cli.typed import SERVICE, type_at

ORIGIN = "commune-a"


def source_state(territory: ProcessTerritory) -> str:
    node = territory.open(ORIGIN)
    now = now_of(node)
    view = Observer().look(node, now, Memory(), thorough=True)
    (written,) = view.written
    return state_of(judge_written(written, view, now), "source")[0]


def test_an_empty_mount_point_stays_failed_and_pauses_tidy_until_the_disk_is_back(
    territory: ProcessTerritory, documents: Path, tmp_path: Path
) -> None:
    assert writer.run(territory.open(ORIGIN), SERVICE).safety.safe
    assert source_state(territory) == "ok"
    documents.rename(tmp_path / "unplugged")
    documents.mkdir()
    for _ in range(2):
        assert writer.run(territory.open(ORIGIN), SERVICE).safety.safe, "its copies are in order"
        assert source_state(territory) == "failed"
    with pytest.raises(Refused, match="no archive of docs-a is deleted while most of it is missing at its source"):
        writer.prune(territory.open(ORIGIN), SERVICE)
    assert "backup confirm docs-a" in type_at(territory, ORIGIN, "backup", "prune", SERVICE, code=8)

    documents.rmdir()
    (tmp_path / "unplugged").rename(documents)
    writer.run(territory.open(ORIGIN), SERVICE)
    assert source_state(territory) == "ok"
    writer.prune(territory.open(ORIGIN), SERVICE)


def test_a_source_that_shrank_is_known_although_the_run_was_cut_while_it_pushed(
    territory: ProcessTerritory, documents: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over a thin line a push takes hours; cut each night, the tidying in between forgot what was gone."""

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    writer.run(territory.open(ORIGIN), SERVICE)
    shutil.rmtree(documents)
    documents.mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(writer, "push_newest", cut)
        with pytest.raises(KeyboardInterrupt):
            writer.run(territory.open(ORIGIN), SERVICE)
    assert source_state(territory) == "failed"
    with pytest.raises(Refused, match="no archive of docs-a is deleted while most of it is missing at its source"):
        writer.prune(territory.open(ORIGIN), SERVICE)


def test_what_was_made_smaller_on_purpose_is_confirmed_once_and_kept_in_the_journal(
    territory: ProcessTerritory, documents: Path
) -> None:
    writer.run(territory.open(ORIGIN), SERVICE)
    assert "it is not known here that docs-a has shrunk" in type_at(
        territory, ORIGIN, "backup", "confirm", SERVICE, "--yes", code=2
    )
    for folder in [it for it in documents.iterdir() if it.is_dir()]:
        shutil.rmtree(folder)
    writer.run(territory.open(ORIGIN), SERVICE)
    assert source_state(territory) == "failed"

    assert type_at(territory, ORIGIN, "backup", "confirm", SERVICE, "--dry-run")["confirmed"] is False
    assert source_state(territory) == "failed"
    told = type_at(territory, ORIGIN, "backup", "confirm", SERVICE, "--yes")
    assert told["confirmed"] is True
    assert told["files"] < told["before_files"] / 2
    assert source_state(territory) == "ok"
    (event,) = territory.open(ORIGIN).journal.events("source-confirmed")
    assert event["by"]
    assert event["before_files"] == told["before_files"]
    writer.run(territory.open(ORIGIN), SERVICE)
    assert source_state(territory) == "ok"


def test_on_a_disk_that_is_nearly_full_a_shrunken_service_is_tidied_all_the_same(
    territory: ProcessTerritory, documents: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.run(territory.open(ORIGIN), SERVICE)
    shutil.rmtree(documents)
    documents.mkdir()
    writer.run(territory.open(ORIGIN), SERVICE)
    nearly_full = shutil.disk_usage(documents)._replace(free=GIB)
    monkeypatch.setattr(writer.shutil, "disk_usage", lambda _: nearly_full)
    writer.prune(territory.open(ORIGIN), SERVICE)
