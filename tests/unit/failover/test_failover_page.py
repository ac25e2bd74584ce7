"""The page of the table is the table's, and each verb that prints it says the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from appliance.cli import main
from appliance.failover.fsm.table import TABLE
from appliance_lab.pages.failover import page

PAGE = Path(__file__).parents[3] / "docs/reference/failover.md"


def test_the_page_says_what_the_table_says() -> None:
    assert PAGE.read_text() == page(), "write it again: make docs"


def test_the_table_is_printed_whole(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["failover", "table"]) == 0
    told = capsys.readouterr().out
    assert [row.id for row in TABLE if f"  {row.id}\n" not in told] == []


def test_one_state_is_printed_with_the_rows_that_count_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["failover", "table", "suspect"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("SUSPECT: serves, and asks one voter after another")
    assert "suspect.proven" in told
    assert "grace.take" not in told


def test_the_table_as_json_has_every_row_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["failover", "table", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == 1
    assert [row["id"] for row in told["rows"]] == [row.id for row in TABLE]
    deadline = next(row for row in told["rows"] if row["id"] == "deadline")
    assert deadline["next"] == "DEMOTING"
    assert deadline["actions"] == ["cut network", "stop", "set read-only"]


def test_an_unknown_state_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["failover", "table", "ASLEEP"]) == 2
    assert "ISOLATED_RW" in capsys.readouterr().err
