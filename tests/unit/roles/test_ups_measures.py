"""The measures of a UPS, as Prometheus reads them: a value that it does not give is absent."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from appliance.monitor.metrics import POWER_ANSWERS
from tests.unit.roles.loading import ROLES

FILE = Path(__file__).parents[3] / "systemd/ups-measures"
SAID = """battery.charge: 97
battery.runtime: 1240
device.mfr: EATON
ups.status: OB DISCHRG
"""


@pytest.fixture(scope="module")
def text() -> str:
    loader = importlib.machinery.SourceFileLoader("ups_measures", str(FILE))
    spec = importlib.util.spec_from_loader("ups_measures", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    made: str = module.measures(SAID, "ups")
    return made


def test_each_state_is_told_and_the_one_it_is_in_is_1(text: str) -> None:
    assert 'network_ups_tools_ups_status{ups="ups",flag="OB"} 1\n' in text
    assert 'network_ups_tools_ups_status{ups="ups",flag="OL"} 0\n' in text
    assert 'network_ups_tools_ups_status{ups="ups",flag="RB"} 0\n' in text


def test_what_it_does_not_tell_is_not_there(text: str) -> None:
    assert 'network_ups_tools_battery_charge{ups="ups"} 97.0\n' in text
    assert "realpower" not in text
    assert "load" not in text


def test_one_that_does_not_answer_is_not_known_any_more(tmp_path: Path) -> None:
    upsc, file = tmp_path / "upsc", tmp_path / "ups.prom"
    upsc.write_text("#!/bin/sh\necho 'Error: Data stale' >&2; exit 1\n")
    upsc.chmod(0o755)
    file.write_text("old")
    argv = (sys.executable, "-I", str(FILE), "ups", str(file))
    done = subprocess.run(argv, env={**os.environ, "PATH": f"{tmp_path}:/bin"}, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "the UPS ups does not answer: Error: Data stale\n"
    told = file.read_text().splitlines()
    assert told[0] == f"# HELP {POWER_ANSWERS.full_name} {POWER_ANSWERS.help}", "node_exporter reads one text of both"
    assert told[2:] == ['appliance_power_answers{source="ups"} 0']


def test_one_that_answers_says_so_beside_what_it_measures(tmp_path: Path) -> None:
    upsc, file = tmp_path / "upsc", tmp_path / "ups.prom"
    upsc.write_text("#!/bin/sh\necho 'ups.status: OL'\n")
    upsc.chmod(0o755)
    argv = (sys.executable, "-I", str(FILE), "ups", str(file))
    subprocess.run(argv, env={**os.environ, "PATH": f"{tmp_path}:/bin"}, check=True)
    assert 'appliance_power_answers{source="ups"} 1\n' in file.read_text()
    assert 'network_ups_tools_ups_status{ups="ups",flag="OL"} 1\n' in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o644


def test_a_driver_runs_before_the_next_boot() -> None:
    """Packages are installed without a start, and in Debian the enumerator alone makes the unit of a driver."""
    units = yaml.safe_load((ROLES / "exporters/vars/main.yml").read_text())["exporters_ups_units"]
    assert "nut-driver-enumerator.service" in units
    # Debian's script does so only where udev has an init script, which it has no longer.
    tasks = yaml.safe_load((ROLES / "exporters/tasks/run.yml").read_text())
    [rules] = (number for number, task in enumerate(tasks) if "--subsystem-match=usb" in str(task))
    [starts] = (number for number, task in enumerate(tasks) if "exporters_ups_units" in str(task))
    assert rules < starts
