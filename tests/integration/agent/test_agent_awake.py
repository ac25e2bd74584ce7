"""An agent wakes for its events and reports to systemd; a bundle it cannot read stops it only as long as that lasts."""

from __future__ import annotations

import os
import signal
import socket

import pytest

from appliance.cli.internal.agent import EVERY_VARIABLE
from appliance.host.files import write_atomic
from appliance_lab.processes.node import ProcessNode
from appliance_lab.processes.territory import ProcessTerritory
from tests.integration.agent.watch import BOUND_SECONDS, agent_of
from tests.waiting import wait_until


@pytest.fixture
def idle(territory: ProcessTerritory) -> ProcessNode:
    """A spare, which has nothing to do."""
    return territory.nodes["commune-c"]


def looked(node: ProcessNode) -> int:
    """When the agent last looked, in nanoseconds; 0 before it did."""
    lock = node.layout.run / "agent.lock"
    return lock.stat().st_mtime_ns if lock.exists() else 0


def start(node: ProcessNode) -> None:
    """Start the agent and wait until it says that it runs: its lock is there sooner, and its journal is not."""
    node.start_agent()
    log = node.layout.run / "agent.log"
    wait_until(lambda: "is running" in log.read_text(), "it runs")


def test_sighup_makes_it_look_at_once(idle: ProcessNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(EVERY_VARIABLE, "600")
    start(idle)
    before = looked(idle)
    os.kill(agent_of(idle).pid, signal.SIGHUP)
    wait_until(lambda: looked(idle) > before, "it has looked again")


def test_a_bundle_that_cannot_be_read_is_told_once_and_waited_for(idle: ProcessNode) -> None:
    start(idle)
    wait_until(lambda: looked(idle), "it has looked")
    good = idle.layout.bundle.read_bytes()
    write_atomic(idle.layout.bundle, b"rubbish")
    wait_until(lambda: "agent-cannot-look" in idle.layout.journal.read_text(), "it says so")
    write_atomic(idle.layout.bundle, good)
    before = looked(idle)
    wait_until(lambda: looked(idle) > before, "it looks again")
    assert idle.layout.journal.read_text().count("agent-cannot-look") == 1
    assert agent_of(idle).poll() is None


def test_systemd_hears_that_it_is_ready_alive_and_stopping(idle: ProcessNode, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"appliance-test-{os.getpid()}"
    monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
    monkeypatch.setenv("WATCHDOG_USEC", "400000")
    monkeypatch.setenv(EVERY_VARIABLE, "600")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(f"\0{name}")
        systemd.settimeout(BOUND_SECONDS)
        idle.start_agent()
        assert [systemd.recv(100) for _ in range(4)] == [b"READY=1", *3 * [b"WATCHDOG=1"]]
        agent = idle.processes.pop()
        agent.terminate()
        heard = b""
        while heard != b"STOPPING=1":
            heard = systemd.recv(100)
        assert agent.wait(30) == 0
