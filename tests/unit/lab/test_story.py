"""A story keeps what its steps say, whatever names of files there are in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from appliance.lab.story import Story, require


def test_a_name_that_is_not_utf_8_costs_no_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    story = Story("x", "A story", tmp_path / "report.json", documents="/srv/\udce9")
    story.step("names", lambda: require(False, "\udce9t\u00e9\n.txt: missing") or "")
    story.write()
    (step,) = json.loads((tmp_path / "report.json").read_bytes())["steps"]
    assert (step["verdict"], step["detail"]) == ("violated", "\\xe9t\u00e9\\n.txt: missing")
    assert step["detail"] in capsys.readouterr().out
    assert "\\xe9" in (tmp_path / "report.html").read_text()
