"""Service manager, network and watchdog, of a host, as programs on loopback and in memory: all keep one contract."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

import appliance
from appliance.clock import Clock, SimulatedClock, SystemClock
from appliance.errors import NotFound, Refused
from appliance.failover.forms.host_services import HostNetwork, HostServices, HostWatchdog
from appliance.failover.forms.process_services import FileWatchdog, ProcessNetwork, ProcessServices
from appliance.failover.fsm.model import Local
from appliance.failover.ports import Network, Services, Watchdog
from appliance.host.layout import NodeLayout
from appliance.programs import watchdog
from appliance_lab.doubles.memory_machine import MemoryMachine
from appliance_lab.processes.node import free_ports
from tests.integration.failover.host_world import HostWorld
from tests.pace import LONG

SERVICE = "docs-a"
OPEN = Local(writer=True, writable=True)
LATE_SECONDS_MAX = LONG * 10.0
SOON = watchdog.LOOK_SECONDS_MAX + 0.3


class Machine(ABC):
    clock: Clock
    services: Services
    network: Network
    watchdog: Watchdog

    @abstractmethod
    def start_watchdog(self) -> None: ...

    @abstractmethod
    def pass_time(self, seconds: float) -> None: ...

    @abstractmethod
    def close(self) -> None: ...


class InMemory(Machine):
    def __init__(self) -> None:
        self.clock = self._clock = SimulatedClock()
        self._machine = MemoryMachine(self._clock, watched=False)
        self.services = self.network = self.watchdog = self._machine

    def start_watchdog(self) -> None:
        self._machine.watched = True

    def pass_time(self, seconds: float) -> None:
        self._clock.advance(seconds)

    def close(self) -> None: ...


class AsProcesses(Machine):
    def __init__(self, root: Path) -> None:
        self.clock = SystemClock()
        self.layout = NodeLayout(root)
        self.layout.failover.mkdir(parents=True)
        port, copy_port = free_ports("127.0.0.1", 2)
        argv = [sys.executable, "-m", "appliance_lab.processes.writer"]
        programs = {SERVICE: {"argv": argv, "port": port, "copy_port": copy_port}}
        (root / "programs.json").write_text(json.dumps(programs))
        code = Path(appliance.__file__).parent.parent
        self.services = ProcessServices(self.layout, "commune-a", lambda service: root / "files", code)
        self.network = ProcessNetwork(self.layout.failover)
        self.watchdog = FileWatchdog(self.layout.failover)
        self._watching: subprocess.Popen[bytes] | None = None

    def start_watchdog(self) -> None:
        words = (str(self.layout.failover), "commune-a", str(self.layout.failover_history))
        self._watching = subprocess.Popen((sys.executable, "-I", watchdog.__file__, *words))
        wait(lambda: (self.layout.failover / watchdog.LOCK).exists())

    def pass_time(self, seconds: float) -> None:
        """Real time passes by itself."""

    def close(self) -> None:
        done(self.services.stop(SERVICE))
        done(self.services.withdraw_copy(SERVICE))
        if self._watching is not None:
            self._watching.kill()
            self._watching.wait()


class AsHost(Machine):
    """Real addresses, filters, mounts and control groups; only systemd is a stand-in."""

    def __init__(self, root: Path) -> None:
        self.clock = SystemClock()
        self.run = root / "run"
        self.run.mkdir()
        self._own = HostWorld(root, SERVICE)
        paths = self._own.paths
        self.services = services = HostServices(self.run, paths)
        self.network = HostNetwork(paths)
        self.watchdog = HostWatchdog(self.run, paths)
        self._words = (str(self.run), "-", str(root / "history"), str(paths.served), paths.cgroups)
        self._watching: subprocess.Popen[bytes] | None = None
        done(services.close_what_rests())

    def start_watchdog(self) -> None:
        self._watching = subprocess.Popen((sys.executable, "-I", watchdog.__file__, *self._words))
        wait(lambda: (self.run / watchdog.LOCK).exists())

    def pass_time(self, seconds: float) -> None:
        """Real time passes by itself."""

    def close(self) -> None:
        if self._watching is not None:
            self._watching.kill()
            self._watching.wait()
        self._own.close()


MACHINES: dict[str, Callable[[Path], Machine]] = {
    "memory": lambda root: InMemory(),
    "processes": AsProcesses,
    "host": AsHost,
}


@pytest.fixture(params=["memory", "processes", pytest.param("host", marks=pytest.mark.root)])
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machine]:
    made = MACHINES[request.param](tmp_path)
    yield made
    made.close()


def done[Answer](work: Awaitable[Answer]) -> Answer:
    async def run() -> Answer:
        return await work

    return asyncio.run(run())


def wait(reached: Callable[[], object]) -> None:
    deadline = time.monotonic() + LATE_SECONDS_MAX
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_nothing_runs_that_was_not_started(machine: Machine) -> None:
    assert machine.services.look(SERVICE) == Local()
    assert not done(machine.services.probe(SERVICE))


def test_what_is_started_runs_and_answers_until_it_is_stopped_however_often_either_is_asked(machine: Machine) -> None:
    for _ in range(2):
        done(machine.services.start(SERVICE, 3))
        assert machine.services.look(SERVICE) == OPEN
    done(machine.network.add_address(SERVICE))
    wait(lambda: done(machine.services.probe(SERVICE)))
    for _ in range(2):
        done(machine.services.stop(SERVICE))
        done(machine.services.set_read_only(SERVICE))
        assert machine.services.look(SERVICE) == Local()
    assert not done(machine.services.probe(SERVICE))


def test_clients_wait_until_they_may_go_on_and_never_longer_than_the_service_runs(machine: Machine) -> None:
    done(machine.services.start(SERVICE, 3))
    done(machine.services.hold(SERVICE))
    assert machine.services.look(SERVICE).held
    done(machine.services.resume(SERVICE))
    assert not machine.services.look(SERVICE).held
    done(machine.services.hold(SERVICE))
    done(machine.services.stop(SERVICE))
    assert not machine.services.look(SERVICE).held
    done(machine.services.start(SERVICE, 5))
    assert not machine.services.look(SERVICE).held


@pytest.mark.root
def test_nothing_is_written_into_a_site_of_a_host_while_it_is_handed_over(tmp_path: Path) -> None:
    machine = AsHost(tmp_path)
    try:
        done(machine.services.start(SERVICE, 3))
        page = tmp_path / "site/page.html"
        page.write_text("before")
        done(machine.services.hold(SERVICE))
        with pytest.raises(OSError, match="Read-only file system"):
            page.write_text("after the last backup")
        assert machine.services.look(SERVICE).writable
        done(machine.services.resume(SERVICE))
        page.write_text("after")
    finally:
        machine.close()


def test_the_address_is_here_until_it_is_cut(machine: Machine) -> None:
    assert not machine.network.has_address(SERVICE)
    for _ in range(2):
        done(machine.network.add_address(SERVICE))
        assert machine.network.has_address(SERVICE)
    for _ in range(2):
        done(machine.network.cut(SERVICE))
        assert not machine.network.has_address(SERVICE)


def test_a_copy_for_reading_opens_nothing_and_stands_beside_the_service(machine: Machine) -> None:
    done(machine.services.serve_copy(SERVICE))
    assert machine.services.look(SERVICE).copy
    assert not machine.services.look(SERVICE).is_open
    assert not machine.network.has_address(SERVICE)
    done(machine.services.start(SERVICE, 3))
    done(machine.services.withdraw_copy(SERVICE))
    assert machine.services.look(SERVICE) == OPEN


def test_a_reset_leaves_nothing_that_writes(machine: Machine) -> None:
    done(machine.services.start(SERVICE, 3))
    machine.services.reset(SERVICE)
    assert not machine.services.look(SERVICE).is_open


def test_no_deadline_is_taken_while_nobody_watches_and_none_needs_no_watchdog(machine: Machine) -> None:
    machine.watchdog.watch(SERVICE, 3, None)
    with pytest.raises(Refused, match="no watchdog runs"):
        machine.watchdog.watch(SERVICE, 3, machine.clock.boottime() + 60)


def test_the_watchdog_ends_what_runs_at_its_deadline(machine: Machine) -> None:
    machine.start_watchdog()
    done(machine.services.start(SERVICE, 3))
    wait(lambda: _watched(machine, SOON))
    machine.pass_time(SOON)
    wait(lambda: not machine.services.look(SERVICE).writer)


def test_the_address_goes_at_the_deadline_where_the_service_ended_by_itself(machine: Machine) -> None:
    """Found by a soak: with an agent that hung, it stayed beside the one of the next lease holder."""
    machine.start_watchdog()
    done(machine.services.start(SERVICE, 3))
    done(machine.network.add_address(SERVICE))
    wait(lambda: _watched(machine, SOON))
    done(machine.services.stop(SERVICE))
    assert machine.network.has_address(SERVICE)
    machine.pass_time(SOON)
    wait(lambda: not machine.network.has_address(SERVICE))


@pytest.mark.parametrize("before", [None, 60.0], ids=["alone", "moved back"])
@pytest.mark.parametrize("ahead", [0.5, -3600.0], ids=["near", "long over"])
def test_a_deadline_that_the_watchdog_might_sleep_past_is_refused_and_ends_what_runs(
    before: float | None, ahead: float, machine: Machine
) -> None:
    machine.start_watchdog()
    done(machine.services.start(SERVICE, 3))
    wait(lambda: _watched(machine, 60.0))
    now = machine.clock.boottime()
    machine.watchdog.watch(SERVICE, 3, before and now + before)
    for _ in range(2):
        with pytest.raises(Refused, match="before the watchdog looks again"):
            machine.watchdog.watch(SERVICE, 3, now + ahead)
    machine.pass_time(SOON)
    wait(lambda: not machine.services.look(SERVICE).writer)


def test_the_watchdog_leaves_alone_whose_deadline_was_moved_or_taken_away(machine: Machine) -> None:
    machine.start_watchdog()
    done(machine.services.start(SERVICE, 3))
    wait(lambda: _watched(machine, 60.0))
    machine.watchdog.watch(SERVICE, 3, None)
    machine.pass_time(100.0)
    assert machine.services.look(SERVICE) == OPEN


def _watched(machine: Machine, seconds: float) -> bool:
    """Whether a deadline is taken: a watchdog process needs a moment to be there."""
    try:
        machine.watchdog.watch(SERVICE, 3, machine.clock.boottime() + seconds)
    except Refused:
        return False
    return True


def test_a_service_that_nothing_here_serves_is_refused_in_a_sentence(tmp_path: Path) -> None:
    machine = AsProcesses(tmp_path)
    with pytest.raises(NotFound, match="no program here serves database"):
        done(machine.services.start("database", 3))
