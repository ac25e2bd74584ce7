"""The settings of the roles base and hardening on provisioned nodes, as in force there, not as written."""

from __future__ import annotations

import json
from configparser import ConfigParser

import pytest
import yaml

from appliance.host.command import Result, run
from appliance.units import MIB
from appliance_lab.hosts.lab import Lab
from appliance_lab.hosts.machine import enter_argv
from tests.unit.roles.loading import ROLES

NODE = "commune-b"
USAGE_OF_THE_JOURNAL = "ec387f577b844b8fa948f33cad9a75e6"
"""The message of journald on its limits at each start (systemd's catalog of messages)."""

pytestmark = [pytest.mark.root, pytest.mark.xdist_group("lab"), pytest.mark.timeout(900)]


def on(lab: Lab, *argv: str) -> Result:
    return run(enter_argv(lab.plan.node(NODE), argv), timeout_seconds=300)


def said(lab: Lab, *argv: str) -> str:
    result = on(lab, *argv)
    assert result.exit_code == 0, f"{argv}: {result.tail(10)}"
    return result.stdout.decode().strip()


def test_who_logs_in_is_talked_to_in_french(provisioned: Lab) -> None:
    typed = ("ssh", "-F", str(provisioned.own.ssh_config), NODE, "locale; date --date=2026-08-01 +%B; date +%Z")
    *settings, month, zone = run(typed, timeout_seconds=300, check=True).stdout.decode().split("\n")[:-1]
    assert "LANG=fr_FR.UTF-8" in settings
    assert (month, zone in ("CET", "CEST")) == ("août", True)


def test_a_locale_of_the_operator_that_it_does_not_have_is_not_heard_of(provisioned: Lab) -> None:
    settings = ConfigParser()
    settings.read(ROLES.parent / "ansible.cfg")
    words = settings["ssh_connection"]["ssh_args"].split()
    brings = ("-o", "SendEnv=LC_*", "-o", "ControlPath=none", "-F", str(provisioned.own.ssh_config))
    env = {"LC_ALL": "xx_XX.UTF-8", "LC_CTYPE": "xx_XX.UTF-8"}
    typed = run(("ssh", *words, *brings, "-tt", NODE, "bash -c locale"), timeout_seconds=300, env=env, check=True)
    said = typed.stdout.decode().split("\r\n")
    assert (said[0], said[-2]) == ("LANG=fr_FR.UTF-8", "LC_ALL=C.UTF-8")


def test_the_journal_lives_within_its_bounds(provisioned: Lab) -> None:
    which = (f"MESSAGE_ID={USAGE_OF_THE_JOURNAL}", "JOURNAL_NAME=System Journal")
    newest = json.loads(said(provisioned, "journalctl", "--output=json", "--lines=1", *which))
    assert newest["JOURNAL_PATH"].startswith("/var/log/journal/"), "it would be gone after a start"
    assert int(newest["MAX_USE"]) == 500 * MIB
    assert "MaxRetentionSec=12month" in said(provisioned, "systemd-analyze", "cat-config", "systemd/journald.conf")


def test_the_kernel_s_settings_that_a_node_has_for_itself_are_in_force(provisioned: Lab) -> None:
    """Those of its network; all others are this machine's, whose kernel it is."""
    text = (ROLES / "hardening/files/sysctl.conf").read_text()
    assert text in said(provisioned, "cat", "/etc/sysctl.d/60-appliance.conf") + "\n"
    wanted = [line.removeprefix("-").split(" = ") for line in text.splitlines() if line.startswith("-net.")]
    there = [(name, value) for name, value in wanted if on(provisioned, "test", "-e", place(name)).exit_code == 0]
    assert len(there) > 5
    assert {name: said(provisioned, "cat", place(name)) for name, _ in there} == dict(there)


def place(name: str) -> str:
    return f"/proc/sys/{name.replace('.', '/')}"


def test_what_a_town_hall_never_needs_is_masked(provisioned: Lab) -> None:
    units = yaml.safe_load((ROLES / "hardening/defaults/main.yml").read_text())["hardening_masked_units"]
    found = on(provisioned, "systemctl", "is-enabled", *units).stdout.decode().split()
    assert found == ["masked"] * len(units)


def test_security_updates_and_nothing_else_come_by_themselves(provisioned: Lab) -> None:
    shown = said(provisioned, "apt-config", "dump").splitlines()
    pattern = "Unattended-Upgrade::Origins-Pattern"
    origins = [line for line in shown if line.startswith(f"{pattern}::")]
    assert origins == [f'{pattern}:: "origin=Debian,codename=${{distro_codename}}-security,label=Debian-Security";']
    for line in (
        'APT::Periodic::Update-Package-Lists "1";',
        'APT::Periodic::Unattended-Upgrade "1";',
        'Unattended-Upgrade::Automatic-Reboot "false";',
    ):
        assert line in shown
    assert said(provisioned, "systemctl", "is-enabled", "apt-daily-upgrade.timer") == "enabled"


def test_a_container_has_what_would_start_watchdog_and_swap_and_neither_runs(provisioned: Lab) -> None:
    for file, line in (
        ("system.conf", "RuntimeWatchdogSec=60"),
        ("zram-generator.conf", "zram-size = min(ram / 2, 4096)"),
    ):
        assert line in said(provisioned, "systemd-analyze", "cat-config", f"systemd/{file}").splitlines()
    assert said(provisioned, "systemctl", "list-units", "--no-legend", "*zram*", "*.swap") == ""
