"""One node in process mode: its folder, its sshd, its agent. Only processes started here are ever ended here."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from random import SystemRandom

from appliance.errors import ApplianceError, NotFound
from appliance.host.command import Result, descendants, run
from appliance.host.layout import NodeLayout
from appliance.host.network import http_call, netns
from appliance.host.network.ssh import write_server_config
from appliance.programs import watchdog
from appliance_lab.checkout import appliance_argv, code_folder

SSHD = Path("/usr/sbin/sshd")
START_SECONDS_MAX, PAGES_SECONDS_MAX = 10.0, 30.0
STOP_SECONDS_MAX = 10.0
PORTS = range(10_000, 32_768)
"""From which a server gets its port; above them are those of outgoing lines (ip_local_port_range)."""
ANY = SystemRandom()
"""Not the shared generator: tests seed that, and those of two processes would then draw the same ports."""


@dataclass
class ProcessNode:
    """A node `name` under `state`, reachable at `address`:`port` while its sshd runs."""

    name: str
    state: Path
    address: str
    port: int
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    namespace: str | None = None
    """The network namespace in which all of it runs; None: the machine's own."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Further variables of its programs, such as a clock of their own."""

    @property
    def layout(self) -> NodeLayout:
        return NodeLayout(self.state)

    def cli(self, *words: str, timeout_seconds: float = 300, stdin: bytes | None = None, check: bool = True) -> Result:
        """Run `appliance --state STATE WORDS` as a person would; raise with its sentence when it fails and `check`."""
        result = run(
            self._here((*appliance_argv(), "--state", str(self.state), *words)),
            timeout_seconds=timeout_seconds,
            stdin=stdin,
            env={**self.environment, "PYTHONPATH": str(code_folder())},
        )
        if check and result.exit_code not in (0, 1):
            raise ApplianceError(f"{self.name}: appliance {' '.join(words)}: {result.tail()}")
        return result

    def start_sshd(self) -> None:
        """Start this node's sshd and return once it listens."""
        if not SSHD.exists():
            raise NotFound("sshd is not installed.", remedy="Run `make setup`.")
        config = write_server_config(
            self.layout.run.resolve(),
            address=self.address,
            port=self.port,
            host_key=(self.layout.keys / "host_ed25519").resolve(),
        )
        log = self.layout.run / "sshd.log"
        self._start((str(SSHD), "-D", "-f", str(config), "-E", str(log)), log)
        silent = f"sshd of {self.name} does not listen on {self.address}:{self.port}."
        self._wait_until(self._listens, START_SECONDS_MAX, silent, log)

    def start_agent(self, command: Sequence[str] = ()) -> None:
        """Start this node's agent as its own process, by another `command` than ours where one is given."""
        log = self.layout.run / "agent.log"
        self._start((*(command or appliance_argv()), "--state", str(self.state), "internal", "agent"), log)

    def start_portal(self, listen: str) -> None:
        """Start this node's pages, with their worker, at the address and port `listen`; return once they answer."""
        words, log = (
            ("--state", str(self.state), "internal", "portal", "serve", "--listen", listen),
            self.layout.run / "portal.log",
        )
        self._start((*appliance_argv(), *words), log)
        silent = f"the pages of {self.name} do not answer at {listen}."
        self._wait_until(lambda: _shows_a_page(listen), PAGES_SECONDS_MAX, silent, log)

    def start_broker(self, etcd: str) -> None:
        """Start this voter's broker beside the etcd that listens at `etcd`."""
        self.layout.voter.write_text(json.dumps({"format": 1, "etcd": etcd}))
        self._start_command("broker", "internal", "failover", "broker")

    def start_watchdog(self) -> None:
        log = self.layout.run / "watchdog.log"
        told = (str(self.layout.failover), self.name, str(self.layout.failover_history))
        self._start((sys.executable, "-I", watchdog.__file__, *told), log)

    def start_failover(self) -> None:
        """Start the program that runs this node's services; its watchdog is another one."""
        self._start_command("failover", "internal", "failover", "run")

    def _start_command(self, log: str, *words: str) -> None:
        self._start((*appliance_argv(), "--state", str(self.state), *words), self.layout.run / f"{log}.log")

    def start_exporter(self, port: int) -> None:
        """Start this node's exporter at `port` of its address."""
        argv = (sys.executable, "-m", "appliance.monitor.exporter", str(self.layout.measures), self.address, str(port))
        self._start(argv, self.layout.run / "exporter.log")

    def _start(self, argv: Sequence[str], log: Path) -> None:
        self.processes.append(start_logged(self._here(argv), log, **self.environment))

    def _here(self, argv: Sequence[str]) -> tuple[str, ...]:
        return tuple(argv) if self.namespace is None else netns.inside(self.namespace, argv)

    def _listens(self) -> bool:
        with socket.create_connection((self.address, self.port), timeout=1):
            return True

    def _wait_until(self, answers: Callable[[], bool], seconds_max: float, silent: str, log: Path) -> None:
        """Until what was started last `answers`; raise ApplianceError with `silent` when it ends or never does."""
        deadline = time.monotonic() + seconds_max
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                if netns.within(self.namespace, answers):
                    return
            if self.processes[-1].poll() is not None:
                break
            time.sleep(0.02)
        raise ApplianceError(silent, where=str(log))

    def stop(self) -> None:
        """End this node's processes and what they started: first politely, then for good."""
        self._signal(signal.SIGTERM)
        for process in self.processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS_MAX)
        self.kill()

    def kill(self) -> None:
        """SIGKILL, as a power cut: nothing gets to say goodbye."""
        # sshd puts each caller into a session of its own: a vault that lived on would write after the power cut.
        family = [child for process in self.processes for child in descendants(process.pid)]
        self._signal(signal.SIGKILL)
        for child in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        for process in self.processes:
            process.wait()
        self.processes.clear()

    def _signal(self, number: signal.Signals) -> None:
        for process in self.processes:
            # Each was started as the leader of a session of its own, so its group holds only what it started.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)

    def wipe(self) -> None:
        """Lose the machine: its processes and its whole state folder, keys included."""
        self.kill()
        shutil.rmtree(self.state)
        self.layout.lineage.unlink(missing_ok=True)
        self.layout.promises.unlink(missing_ok=True)


def _shows_a_page(listen: str) -> bool:
    """Whether a visitor of the pages at `listen` sees the first one."""
    with http_call.call(f"http://{listen}/connexion", seconds_max=PAGES_SECONDS_MAX, bytes_max=0) as answer:
        return answer.status == HTTPStatus.OK


def start_logged(argv: Sequence[str], log: Path, **more: str) -> subprocess.Popen[bytes]:
    """Start `argv` in a session of its own, with our code and the variables `more`; what it prints goes to `log`."""
    with open(log, "ab") as output:
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, "PYTHONPATH": str(code_folder()), **more},
            start_new_session=True,
        )


def free_ports(address: str, count: int) -> tuple[int, ...]:
    """Ports that nobody listens on now; all are held until the last is found, so they differ.

    None is of those that the kernel gives to outgoing lines: such a line could take the port before its server does.
    """
    with ExitStack() as held:
        return tuple(_hold_port(address, held) for _ in range(count))


def _hold_port(address: str, held: ExitStack) -> int:
    for port in ANY.sample(PORTS, 100):
        holder = held.enter_context(socket.socket())
        try:
            holder.bind((address, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
        else:
            return port
    raise OSError(errno.EADDRINUSE, f"none of 100 ports of {address} between {PORTS[0]} and {PORTS[-1]} is free")
