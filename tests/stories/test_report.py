"""The report of `make story-NAME` says what its tests saw, and its exit code the verdict."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from appliance.cli import main
from appliance_lab.stories.promises import LAB_KEPT, LAB_NAME, LAST, SCREENSHOTS, STORIES

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
PLUGINS = ("-p", "no:cacheprovider", "-p", "tests.stories.report", "-p", "tests.stories.conftest")
FILE = '"""A file that is a step. And more."""\nimport pytest\n'
STEPS = 'import pytest\npytestmark = pytest.mark.steps\ndef test_a_first_one(saw):\n    saw("all is well")\n'
SECOND = "def test_a_second_one(saw):\n    saw('never seen')\n"
BROKEN = "from appliance_lab.story import Violated\ndef test_it_breaks():\n    raise Violated('a file was lost.')\n"
UNSEEN = "from appliance_lab.story import Unknown\ndef test_it_breaks():\n    raise Unknown('no line was cut.')\n"
GROUND = """from appliance.errors import NotFound
@pytest.fixture
def etcd():
    raise NotFound("etcd is not there.")
def test_it_breaks(etcd):
    pass
"""
ODD = "def test_it_breaks():\n    {}['x']\n"


def argv(folder: Path, *texts: str) -> tuple[str, ...]:
    files = []
    for number, text in enumerate(texts):
        files.append(str(folder / f"test_{number}.py"))
        Path(files[-1]).write_text(text)
    told = ("--story", "portal", "--story-report", str(folder / "portal.json"))
    return (
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-c",
        str(ROOT / "pyproject.toml"),
        "--rootdir",
        str(folder),
        *PLUGINS,
        *told,
        *files,
    )


def played(folder: Path, *texts: str) -> tuple[int, Mapping[str, Any], list[tuple[str, str, str]]]:
    """The exit code, the report, and of each step its name, verdict and detail."""
    ended = subprocess.run(argv(folder, *texts), cwd=ROOT, capture_output=True, timeout=60)
    report = json.loads((folder / "portal.json").read_text())
    return ended.returncode, report, [(it["name"], it["verdict"], it["detail"]) for it in report["steps"]]


def test_a_step_is_a_test_so_marked_or_a_file(tmp_path: Path) -> None:
    passes = "def test_one():\n    pass\ndef test_two():\n    pass\n"
    code, report, steps = played(tmp_path, STEPS + SECOND, FILE + passes)
    assert (code, report["verdict"], report["story"]) == (0, "held", "portal")
    assert steps == [
        ("a first one", "held", "all is well"),
        ("a second one", "held", "never seen"),
        ("A file that is a step", "held", "2 passed"),
    ]
    assert "A file that is a step" in (tmp_path / "portal.html").read_text()


@pytest.mark.parametrize(
    ("step", "code", "verdict", "says"),
    [
        (BROKEN, 1, "violated", "test_it_breaks: appliance_lab.story.Violated: a file was lost."),
        (UNSEEN, 2, "unknown", "test_it_breaks: appliance_lab.story.Unknown: no line was cut."),
        (ODD, 2, "unknown", "test_it_breaks: KeyError: 'x'"),
        ("def test_it_breaks():\n    assert 1 == 2\n", 1, "violated", "test_it_breaks: assert 1 == 2"),
        (
            "def test_it_breaks():\n    with pytest.raises(TimeoutError):\n        pass\n",
            1,
            "violated",
            "test_it_breaks: Failed: DID NOT RAISE <class 'TimeoutError'>",
        ),
        (GROUND, 2, "unknown", "test_it_breaks: appliance.errors.NotFound: etcd is not there."),
        (
            "def test_it_breaks():\n    pytest.fail('Timeout >3s')\n",
            2,
            "unknown",
            "test_it_breaks: Failed: Timeout >3s",
        ),
        ("def test_it_breaks():\n    pytest.skip('no browser')\n", 2, "unknown", "Skipped: no browser"),
    ],
)
def test_after_a_step_that_did_not_hold_the_later_ones_of_its_file_are_unknown(
    tmp_path: Path, step: str, code: int, verdict: str, says: str
) -> None:
    ended, report, steps = played(tmp_path, STEPS + step + SECOND, FILE + step)
    assert (ended, report["verdict"]) == (code, verdict)
    assert [it[1] for it in steps] == ["held", verdict, "held" if "skip" in step else "unknown", verdict]
    assert steps[1] == ("it breaks", verdict, says)


def test_a_file_of_which_nothing_is_played_is_unknown(tmp_path: Path) -> None:
    code, report, steps = played(tmp_path, STEPS, "import pytest\npytest.skip('no browser', allow_module_level=True)\n")
    assert (code, report["verdict"]) == (2, "unknown")
    assert steps == [
        ("a first one", "held", "all is well"),
        (str(tmp_path / "test_1.py"), "unknown", "0 of 1 tests were played"),
    ]


def test_a_name_that_is_not_utf_8_costs_no_report(tmp_path: Path) -> None:
    odd = "import pytest\npytestmark = pytest.mark.steps\ndef test_odd(saw):\n    saw('/srv/\\udce9')\n"
    code, _, steps = played(tmp_path, odd)
    assert (code, steps) == (0, [("odd", "held", "/srv/\\xe9")])


def test_what_a_story_that_was_interrupted_did_not_reach_is_unknown(tmp_path: Path) -> None:
    waits = f"import time\ndef test_long():\n    open({str(tmp_path / 'begun')!r}, 'w').close()\n    time.sleep(60)\n"
    with subprocess.Popen(argv(tmp_path, STEPS, FILE + waits), cwd=ROOT, stdout=subprocess.DEVNULL) as run:
        deadline = time.monotonic() + 30
        while not (tmp_path / "begun").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        run.send_signal(signal.SIGINT)
        assert run.wait(timeout=30) == 2
    steps = json.loads((tmp_path / "portal.json").read_text())["steps"]
    assert [it["verdict"] for it in steps] == ["held", "unknown"]
    assert steps[1]["detail"] == "0 of 1 tests were played"


AT_HOME = "test_all_at_home.py"
"""Nothing moves in it."""


def test_every_file_of_a_story_is_there_and_every_page_of_a_browser_is_in_one() -> None:
    for promise in STORIES.values():
        files = [*promise.tests, *promise.by_root]
        assert [file for file in files if not (TESTS / file).is_file()] == []
        assert len(set(files)) == len(files)
    seen = {path for path in (TESTS / "integration/portal").glob("test_*.py") if "browser: Any" in path.read_text()}
    assert seen <= {TESTS / file for file in STORIES["portal"].tests}
    moving = set((TESTS / "integration/lab/moving").glob("test_*.py")) - {TESTS / "integration/lab/moving" / AT_HOME}
    assert moving <= {TESTS / file for file in STORIES["failover"].tests}
    file, _, test = LAST.partition("::")
    assert f"def {test}(" in (ROOT / file).read_text()


@pytest.mark.parametrize("keep", [False, True])
def test_a_story_becomes_pytest_on_its_files_and_is_told_its_lab(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, keep: bool
) -> None:
    begun: list[tuple[tuple[str, ...], Mapping[str, str]]] = []
    monkeypatch.setattr(os, "execve", lambda _, words, told: begun.append((words, told)))
    monkeypatch.chdir(tmp_path)
    kept = ["--keep"] if keep else []
    main.run(["lab", "story", "monitor", "--name", "another", "--out", str(tmp_path / "out"), *kept])
    [(words, told)] = begun
    assert words[-1 - 2 * keep :] == ("tests/stories/test_monitor_story.py", *(("--deselect", LAST) if keep else ()))
    assert words[words.index("--story-report") + 1] == str(tmp_path / "out/monitor.json")
    assert (told[LAB_NAME], told[LAB_KEPT]) == ("another", "yes" if keep else "")
    assert Path(told[SCREENSHOTS]).is_dir()


@pytest.mark.root
def test_a_lab_of_that_name_that_is_up_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("appliance_lab.hosts.paths.HostPaths.known_labs", lambda _: ["another"])
    assert main.run(["lab", "story", "portal", "--name", "another"]) == 3
    assert "the lab another is up already" in capsys.readouterr().err


@pytest.mark.root
def test_without_root_it_says_so_and_what_works(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    plain = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env", f"HOME={tmp_path}")
    words = (*plain, ROOT / "bin/appliance", "lab", "story", "lab", "--out", tmp_path)
    ended = subprocess.run(words, capture_output=True, text=True, timeout=60, env=os.environ)
    assert (ended.returncode, ended.stdout) == (3, "")
    assert ended.stderr.count("\n") == 1
    assert "make demo" in ended.stderr
