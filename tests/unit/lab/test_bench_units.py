"""The use of a host's units: what its control groups say, added up by unit, WireGuard apart."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from appliance_lab.bench.on_hosts.units import READ, Use, read, short_name


@pytest.mark.parametrize(
    ("group", "name"),
    [
        ("appliance-agent.service", "agent"),
        ("appliance-failover-watchdog.service", "failover-watchdog"),
        ("appliance-vault@4-7.service", "vault"),
        (r"system-appliance\x2dvault.slice", "vault"),
        (r"system-appliance\x2dshare\x2daway.slice", "share-away"),
        ("appliance-hands.socket", "hands"),
    ],
)
def test_a_unit_and_the_slice_of_its_template_have_one_short_name(group: str, name: str) -> None:
    assert short_name(group) == name


def test_user_space_wireguard_is_told_apart_and_named_among_the_units() -> None:
    mib = 1024 * 1024
    used = read(
        json.dumps(
            {
                "appliance-agent.service": [20 * mib, 0.001],
                "appliance-mesh-userspace.service": [40 * mib, 0.01],
                r"system-appliance\x2dshare.slice": [10 * mib, 0.002],
                "appliance-share@docs.service": [2 * mib, 0.0],
            }
        )
    )
    assert used.ours == Use(32.0, pytest.approx(0.3))
    assert used.wireguard == Use(40.0, pytest.approx(1.0))
    assert used.told() == "mesh-userspace 40 MiB 1.00 %, agent 20 MiB 0.10 %, share 12 MiB 0.20 %"


def test_a_host_without_wireguard_in_user_space_has_none() -> None:
    assert read("{}").wireguard == Use(0.0, 0.0)


def test_the_program_on_the_host_reads_processes_and_cpu_of_our_units_alone(tmp_path: Path) -> None:
    for unit, pids in {"appliance-agent.service": f"{os.getpid()}\n999999999\n", "ssh.service": "1\n"}.items():
        (tmp_path / unit).mkdir()
        (tmp_path / unit / "cgroup.procs").write_text(pids)
        (tmp_path / unit / "cpu.stat").write_text("usage_usec 1000\nuser_usec 1\n")
    argv = (sys.executable, "-I", "-c", READ, str(tmp_path), "0.01")
    told = json.loads(subprocess.run(argv, capture_output=True, timeout=60, check=True).stdout)
    memory, load = told.pop("appliance-agent.service")
    assert memory > 1024 * 1024
    assert load == 0.0
    assert told == {}
