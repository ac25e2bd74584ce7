"""`make acceptance` and `appliance territory status` on hosts: both say in a sentence what is wrong, and only look."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.host.command import Result, run
from appliance.host.network import netns
from appliance_lab.checkout import appliance_argv, code_folder
from appliance_lab.hosts import lab as labs
from appliance_lab.hosts import machine
from appliance_lab.hosts.control_machine import ControlMachine
from appliance_lab.hosts.lab import Lab
from appliance_lab.stories.context import StoryContext
from tests.pace import PACE
from tests.waiting import wait_until

ROOT = Path(__file__).parents[3]
STOPPED, LOST, OPENED = "commune-b", "commune-c", "commune-a"
STATE = (
    "find /etc /usr /root -xdev -type f -printf '%p %s %T@\\n' -o -type l -printf '%p %l\\n' | sort | sha256sum; "
    "dpkg-query --show | sha256sum; nft list ruleset | grep -v counter | sha256sum; "
    "systemctl list-unit-files --plain --no-legend | sha256sum; getent passwd shadow | sha256sum"
)

pytestmark = [pytest.mark.root, pytest.mark.xdist_group("lab"), pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def lab(context: StoryContext) -> Lab:
    """Every service has a safe backup, also those that began last."""
    for node in context.lab.plan.nodes:
        for service in written(context, node.name):
            context.wait_until_safe(service, node.name)
    return context.lab


def written(context: StoryContext, node: str) -> list[str]:
    """Asked once nothing there has failed or is unknown, as some things are right after a start."""
    wait_until(lambda: context.ssh(node, "appliance", "status").exit_code in (0, 1), f"{node} is well")
    judged = context.json(node, "status")["judged"]
    return [it["subject"] for it in judged if it["role"] == "written"]


def on(lab: Lab, node: str, *argv: str) -> Result:
    return run(machine.enter_argv(lab.plan.node(node), argv), timeout_seconds=60)


def accept(lab: Lab, *words: str) -> subprocess.CompletedProcess[str]:
    control = ControlMachine(lab.own.root)
    env = {**os.environ, "ANSIBLE_HOME": str(control.root / "ansible")}
    argv = (ROOT / "scripts/acceptance", control.inventory, *words)
    return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=PACE * 300, check=False)


def told(found: subprocess.CompletedProcess[str]) -> str:
    """All that it prints, on one line."""
    return " ".join(found.stdout.split())


def states(lab: Lab) -> dict[str, bytes]:
    return {it.name: on(lab, it.name, "sh", "-c", STATE).stdout for it in lab.plan.nodes}


def test_it_passes_on_a_provisioned_lab_and_changes_nothing(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    before, begun = states(lab), time.monotonic()
    found = accept(lab)
    with capfd.disabled():
        print(f"acceptance of {len(before)} nodes: {time.monotonic() - begun:.0f} s", file=sys.stderr)
    assert found.returncode == 0, found.stdout + found.stderr
    assert " failed" not in found.stdout
    assert " skipped" not in found.stdout
    assert states(lab) == before


@contextmanager
def stopped(lab: Lab, node: str, unit: str) -> Iterator[None]:
    assert on(lab, node, "systemctl", "stop", unit).exit_code == 0
    try:
        yield
    finally:
        assert on(lab, node, "systemctl", "start", unit).exit_code == 0


def test_it_fails_with_a_sentence_on_a_node_whose_agent_is_stopped(lab: Lab) -> None:
    with stopped(lab, STOPPED, "appliance-agent.service"):
        found = accept(lab)
    assert found.returncode == 1, found.stdout + found.stderr
    said = told(found)
    assert f"{STOPPED}: its agent does not run: nothing is backed up." in said
    assert f"{STOPPED}: appliance-agent.service does not run. On it: systemctl status appliance-agent.service" in said
    others = [it.name for it in lab.plan.nodes if it.name != STOPPED]
    assert [it for it in others if f" {it}: " in said] == []
    assert "Traceback" not in said


def test_the_territory_on_one_terminal_shows_it_first_and_one_that_is_off_beside_it(lab: Lab) -> None:
    lost = lab.plan.node(LOST)
    machine.cut_power(lost)
    try:
        with stopped(lab, STOPPED, "appliance-agent.service"):
            found = ask_all(lab)
    finally:
        labs.power_on(lab, lost)
        labs.wait_for_ssh(lab, (lost,))
    shown = json.loads(found.stdout)
    rows = {it["node"]: it for it in shown["nodes"]}
    assert (found.exit_code, found.stderr, shown["answered"]) == (4, b"", 3)
    assert shown["nodes"][0]["node"] == STOPPED
    assert "its agent does not run" in rows[STOPPED]["judged"][0]["reasons"][0]["sentence"]
    assert (rows[LOST]["state"], rows[LOST]["answered"]) == ("unknown", False)
    assert rows[LOST]["error"].startswith(f"{lost.address}:22: no answer")


def ask_all(lab: Lab) -> Result:
    """`appliance territory status` where the lab's control machine is, with the patience that a busy machine needs."""
    control = ControlMachine(lab.own.root)
    words = ("--identity", str(lab.own.key), "--node-deadline", f"{PACE * 30:.0f}s", "--deadline", f"{PACE * 40:.0f}s")
    argv = (*appliance_argv(), "--json", "territory", "status", str(control.inventory), *words)
    inside = netns.inside(lab.plan.core, argv)
    return run(inside, timeout_seconds=PACE * 60, env={"PYTHONPATH": str(code_folder()), "HOME": str(control.root)})


def test_it_names_a_program_that_listens_where_nobody_is_let_in_and_a_password(lab: Lab) -> None:
    listen = "systemd-run --unit=open.service python3 -m http.server 8123"
    assert on(lab, OPENED, "sh", "-c", f"{listen} && useradd guest && echo guest:guest | chpasswd").exit_code == 0
    try:
        wait_until(lambda: b":8123" in on(lab, OPENED, "ss", "-tln").stdout, "the program listens")
        found = accept(lab, "--hosts", f"ansible://{OPENED}")
    finally:
        on(lab, OPENED, "sh", "-c", "systemctl stop open.service; userdel guest")
    assert found.returncode == 1, found.stdout + found.stderr
    said = told(found)
    assert f"{OPENED}: a program listens at 0.0.0.0:8123, where nobody is let in." in said
    assert f"{OPENED}: guest can have a password. On it: passwd --lock guest" in said


def test_a_host_that_is_off_is_named_once_and_the_others_are_looked_at(lab: Lab) -> None:
    lost = lab.plan.node(LOST)
    machine.cut_power(lost)
    try:
        found = accept(lab, "-k", "clock or password")
    finally:
        labs.power_on(lab, lost)
        labs.wait_for_ssh(lab, (lost,))
    assert found.returncode == 2, found.stdout + found.stderr
    assert found.stdout.count(f"{LOST} was not looked at: no login by SSH") == 1
    assert "9 passed, 3 skipped" in found.stdout
