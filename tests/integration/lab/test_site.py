"""`site` on real hosts of which one goes away in the middle of it."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from pathlib import Path

import pytest

from appliance_lab.hosts import lab as labs
from appliance_lab.hosts import machine
from appliance_lab.hosts.control_machine import ControlMachine
from appliance_lab.hosts.lab import Lab
from appliance_lab.hosts.playbook import UNREACHABLE, read_recap
from tests.pace import LONG

ROOT = Path(__file__).parents[3]
LOST = "commune-c"
SECONDS_MAX = LONG * 420

pytestmark = [pytest.mark.root, pytest.mark.xdist_group("lab"), pytest.mark.timeout(900)]


def wait_for(text: str, file: Path, playing: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + SECONDS_MAX
    while text not in file.read_text():
        assert playing.poll() is None, file.read_text()
        assert time.monotonic() < deadline, f"{text} did not come: {file.read_text()}"
        time.sleep(0.05)


def start(command: list[str], control: ControlMachine, log: Path) -> subprocess.Popen[bytes]:
    env = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_HOME": str(control.root / "ansible")}
    with log.open("wb") as file:
        return subprocess.Popen(command, cwd=ROOT, env=env, stdout=file, stderr=subprocess.STDOUT)


def test_the_others_finish_and_the_line_that_is_printed_finishes_the_lost_one(provisioned: Lab, tmp_path: Path) -> None:
    control, log = ControlMachine(provisioned.own.root), tmp_path / "site.log"
    lost = provisioned.plan.node(LOST)
    site = ["ansible-playbook", "-i", str(control.inventory), "playbooks/site.yml"]
    playing = start(site, control, log)
    wait_for("TASK [base : ", log, playing)
    machine.cut_power(lost)
    assert playing.wait(SECONDS_MAX) == UNREACHABLE, log.read_text()
    recap = read_recap(log.read_text())
    assert recap[LOST]["unreachable"] == 1
    others = [counts for name, counts in recap.items() if name != LOST]
    assert [(it["failed"], it["unreachable"]) for it in others] == [(0, 0)] * 3
    said = log.read_text()
    assert f"{LOST} could not be reached at: " in said
    [line] = [line for line in said.splitlines() if line.startswith("  ansible-playbook")]
    assert shlex.split(line) == [*site, "--limit", LOST]
    labs.power_on(provisioned, lost)
    labs.wait_for_ssh(provisioned, (lost,))
    again = start(shlex.split(line), control, log)
    assert again.wait(SECONDS_MAX) == 0, log.read_text()
    assert list(read_recap(log.read_text())) == [LOST]
