"""Real hosts, end to end: what `make story-lab` shows must hold wherever root can boot them."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.pace import PACE

ROOT = Path(__file__).parents[2]
SECONDS_MAX = 1500
PROGRAMS = ("systemd-nspawn", "mmdebstrap", "nft", "ansible-playbook")
STORY = (ROOT / "bin/appliance", "lab", "story", "lab")

lab = pytest.mark.xdist_group("lab")


@lab
@pytest.mark.slow
@pytest.mark.root
@pytest.mark.skipif(not all(map(shutil.which, PROGRAMS)), reason="boots hosts: scripts/setup lab")
@pytest.mark.timeout(SECONDS_MAX + 60)
def test_every_step_of_the_lab_holds(tmp_path: Path) -> None:
    command = [*STORY, "--name", "teststory", "--out", tmp_path, "--inventory", ROOT / "inventory/lab"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PACE * SECONDS_MAX)
    report = json.loads((tmp_path / "lab.json").read_text())
    assert [step for step in report["steps"] if step["verdict"] != "held"] == [], ended.stderr[-3000:]
    assert (report["verdict"], ended.returncode) == ("held", 0)


@pytest.mark.root
def test_without_root_it_says_so_and_what_works(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    plain = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env", f"HOME={tmp_path}")
    ended = subprocess.run([*plain, *STORY, "--out", tmp_path], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (3, "")
    assert ended.stderr.count("\n") == 1
    assert "make demo" in ended.stderr
