"""`make bench` runs from its first row to its page, tiny; what it measures here means nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from appliance.host.command import run
from appliance_lab.bench.rows import ROWS
from appliance_lab.bench.years.row import WORKS
from appliance_lab.checkout import appliance_argv, code_folder
from appliance_lab.hosts import needs

FIGURES_OF_THE_ISSUE = {
    "changed-cpu",
    "changed-wall",
    "changed-wall-at-once",
    "unchanged-cpu",
    "unchanged-wall",
    "first-cpu",
    "still-cpu",
    "borgmatic-wall",
    "vault-memory",
    "compaction",
    "handover",
    "cut",
    "whole",
    "whole-fetched",
    "file-wall",
    "file-ratio",
    "portal-file",
    "portal-search-p95",
    "portal-memory",
    "search-p50",
    "search-p95",
    "names-wall",
    "names-memory",
    "check-100",
    "check-300",
    "plan-100",
    "plan-300",
    "agent-memory",
    "start-appliance",
    "start-backup",
    "start-lab",
    "agent-cpu",
    "scrape",
    "prometheus",
    "dashboard",
    *(f"old-{work}" for work in WORKS),
}


OF_HOSTS = ("hosts", "site", "outage", "rest")


@pytest.mark.timeout(900)
@pytest.mark.skipif(not Path("/usr/bin/borgmatic").exists(), reason="borgmatic is not installed: make setup")
def test_every_figure_is_measured_and_written(tmp_path: Path) -> None:
    out, work = tmp_path / "results", tmp_path / "work"
    # What hosts and voters play has tests of its own, which judge no time: that `make bench` alone does.
    rows = ",".join(name for name in ROWS if name not in (*OF_HOSTS, "takeover", "leaderless"))
    words = ("lab", "bench", "--quick", "--rows", rows, "--out", str(out), "--work", str(work))
    environment = {"PYTHONPATH": str(code_folder())}
    result = run((*appliance_argv(), *words), timeout_seconds=840, cwd=tmp_path, env=environment)
    assert result.exit_code == 0, result.stderr.decode()
    (written,) = out.glob("bench-*.json")
    figures = {figure["name"]: figure for figure in json.loads(written.read_bytes())["figures"]}
    assert {name for name, figure in figures.items() if figure["goal"]} == FIGURES_OF_THE_ISSUE
    assert all(value >= 0 for figure in figures.values() for value in figure["values"])
    page = written.with_suffix(".md").read_text()
    assert all(figure["title"] in page for figure in figures.values())
    assert not work.exists()


@pytest.mark.skipif(needs.why_not() is None, reason="this account of this machine can have a lab")
def test_a_row_that_cannot_be_measured_here_is_left_out_with_its_reason(tmp_path: Path) -> None:
    words = (
        *appliance_argv(),
        "lab",
        "bench",
        "--quick",
        "--rows",
        ",".join(OF_HOSTS),
        "--out",
        str(tmp_path / "results"),
    )
    result = run(words, timeout_seconds=300, cwd=tmp_path, env={"PYTHONPATH": str(code_folder())})
    assert result.exit_code == 0, result.tail()
    (written,) = (tmp_path / "results").glob("bench-*.json")
    conditions = json.loads(written.read_bytes())["conditions"]
    assert all("make demo" in conditions[f"row {name} skipped"] for name in OF_HOSTS)


def test_a_row_that_there_is_not_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    words = (*appliance_argv(), "lab", "bench", "--rows", "speed")
    result = run(words, timeout_seconds=300, cwd=tmp_path, env={"PYTHONPATH": str(code_folder())})
    assert result.exit_code == 2
    assert all(name in result.stderr.decode() for name in ROWS)
    assert os.listdir(tmp_path) == []
