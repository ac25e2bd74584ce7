"""What `make story-portal` is made of: its files are there, and each step ends as what its tests saw. The files
themselves are tests of their own and are not run twice."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from appliance.errors import UsageError
from appliance_lab.stories.portal import ON_HOSTS, STEPS, play
from appliance_lab.stories.tested import LAB_KEPT, LAB_NAME, SCREENSHOTS, TESTS, Suite

ROOT = Path(__file__).parents[2]
IS_ROOT = os.geteuid() == 0
TOLD = f"""
import os

def test_what_a_story_tells_its_tests():
    assert os.environ[{LAB_NAME!r}] == "another"
    assert os.environ[{LAB_KEPT!r}] == "yes"
    assert os.path.isdir(os.environ[{SCREENSHOTS!r}])
"""
FAILS = "def test_that_fails():\n    assert False\n"
SKIPS = "import pytest\n\ndef test_that_is_skipped():\n    pytest.skip('no browser')\n"


def written(folder: Path, name: str, text: str) -> Suite:
    file = folder / f"test_{name}.py"
    file.write_text(text)
    return Suite(name, (str(file),), 60.0)


def test_every_file_of_the_story_is_there_and_every_door_of_the_pages_is_in_it() -> None:
    files = [file for step in (*STEPS, ON_HOSTS) for file in step.files]
    assert [file for file in files if not (ROOT / TESTS / file).is_file()] == []
    assert len(set(files)) == len(files)
    seen = {path.name for path in (ROOT / TESTS / "portal").glob("test_*.py") if "browser: Any" in path.read_text()}
    assert seen - {Path(file).name for file in files} == set(), "what a browser sees is in the story"


@pytest.mark.parametrize(
    ("text", "verdict", "code", "says"),
    [(TOLD, "held", 0, "1 passed"), (FAILS, "violated", 1, "test_that_fails"), (SKIPS, "unknown", 2, "no browser")],
)
def test_a_step_is_what_its_tests_saw(tmp_path: Path, text: str, verdict: str, code: int, says: str) -> None:
    step, hosts = written(tmp_path, "step", text), written(tmp_path, "hosts", TOLD)
    story = play("another", Path(), tmp_path / "portal.json", print, keep=True, steps=(step,), on_hosts=hosts)
    report = json.loads((tmp_path / "portal.json").read_text())
    first, *rest = report["steps"]
    assert (first["verdict"], story.exit_code) == (verdict, code)
    assert says in first["detail"]
    assert [it["name"] for it in rest] == (["hosts"] if IS_ROOT else [])
    assert [it["verdict"] for it in rest] == (["held" if verdict == "held" else "unknown"] if IS_ROOT else [])


@pytest.mark.skipif(not IS_ROOT, reason="only root has labs")
def test_a_lab_of_that_name_that_is_up_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance_lab.hosts.paths.HostPaths.known_labs", lambda _: ["another"])
    with pytest.raises(UsageError, match="the lab another is up already"):
        play("another", Path(), tmp_path / "portal.json", print, keep=False)
