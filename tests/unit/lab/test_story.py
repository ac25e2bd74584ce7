"""A story keeps what its steps say, whatever names of files there are in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from appliance.cli import main
from appliance_lab.cli import demo_cmd
from appliance_lab.story import HELD, VIOLATED, Step, Story, require


def test_a_name_that_is_not_utf_8_costs_no_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    story = Story("x", "A story", tmp_path / "report.json", documents="/srv/\udce9")
    story.step("names", lambda: require(False, "\udce9t\u00e9\n.txt: missing") or "")
    story.write()
    (step,) = json.loads((tmp_path / "report.json").read_bytes())["steps"]
    assert (step["verdict"], step["detail"]) == ("violated", "\\xe9t\u00e9\\n.txt: missing")
    assert step["detail"] in capsys.readouterr().out
    assert "\\xe9" in (tmp_path / "report.html").read_text()


def test_the_demo_ends_with_a_table_of_its_steps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = [Step("a first backup", HELD, 9.04, "safe"), Step("peers are blind", VIOLATED, 61.0, "a name was found")]
    story = Story("demo", "A story", tmp_path / "report.json", steps)
    monkeypatch.setattr(demo_cmd, "play", lambda *_, **__: story)
    assert main.run(["demo"]) == 1
    assert capsys.readouterr().out.splitlines()[1:] == [
        "STEP             VERDICT   SECONDS",
        "a first backup   held          9.0",
        "peers are blind  violated     61.0",
        "",
        f"violated. Report: {tmp_path}/report.json, page: {tmp_path}/report.html",
    ]
