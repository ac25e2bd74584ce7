"""What a UPS says, as Prometheus reads it: what it does not tell is not there."""

from __future__ import annotations

import importlib.machinery
import importlib.util
from pathlib import Path

import pytest

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
