"""Failover in process mode: real etcd, brokers, failover programs and watchdogs, a service that clients write to.

Every node has its own files, its own programs and its own ports on loopback. Faults are signals to processes that were
started here; with root each node can have a network namespace of its own instead, and lines between them are cut.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from appliance.clock import SystemClock
from appliance.errors import ApplianceError
from appliance.failover.fsm.timers import Timers
from appliance.failover.history import line
from appliance.host.network import http_call, netns
from appliance.host.programs import Program
from appliance.territory.model import NEVER, Territory
from appliance.trust import pki
from appliance.trust.act import make_act
from appliance.units import MIB
from appliance_lab.processes import certificates
from appliance_lab.processes.clocks import WallClock, library
from appliance_lab.processes.disks import Disk, disk_at
from appliance_lab.processes.etcd import EtcdProcess, EtcdProcesses
from appliance_lab.processes.lines import Lines, can_cut, lines_between
from appliance_lab.processes.node import ProcessNode, free_ports
from appliance_lab.processes.territory import ProcessTerritory, on_ports

LOOPBACK = "127.0.0.1"
VOTERS = ("hermitage", "commune-b", "commune-c")
BOUND_SECONDS = 60.0
"""Two busy cores are slow: how fast it is, the lab measures."""


@dataclass
class FailoverWorld:
    """`territory` started for failover of `service`; a context that ends all that was started."""

    territory: ProcessTerritory
    service: str
    etcd: EtcdProcesses
    ports: Mapping[str, tuple[int, int]]
    """The ports of each candidate: where its program listens, and where the copy is served."""
    lines: list[str] = field(default_factory=list)
    """The lines of the history on what clients and faults did."""
    added: list[int] = field(default_factory=list)
    """The numbers that were acknowledged to clients."""
    network: Lines | None = None
    """Between nodes, where they can be cut."""
    clocks: Mapping[str, WallClock] = field(default_factory=dict)
    """The clock of each node, where they can be set off."""
    disks: Mapping[str, Disk] = field(default_factory=dict)
    """The disk of each candidate, for what it keeps of services, where they can be filled."""
    bound_seconds: float = BOUND_SECONDS
    """An event that has not come about after that long does not come about."""
    operator_key: Path | None = None
    """The key of `maintenance`, where acts can be signed."""
    acts: itertools.count[int] = field(default_factory=itertools.count)
    issuer: certificates.Issuer | None = None
    """The issuer of the nodes' certificates."""

    @property
    def candidates(self) -> tuple[str, ...]:
        return self.territory.territory.trusted(self.service)

    def node(self, name: str) -> ProcessNode:
        return self.territory.nodes[name]

    def voter(self, name: str) -> EtcdProcess:
        return self.etcd.voters[VOTERS.index(name)]

    def state(self, name: str) -> str:
        """In which state of the table `name` is, "" while it says nothing."""
        return str(self.told(name).get("state", ""))

    def told(self, name: str) -> dict[str, Any]:
        path = self.node(name).layout.failover / f"{self.service}.json"
        with contextlib.suppress(OSError, ValueError):
            return dict(json.loads(path.read_bytes()))
        return {}

    def wait(self, reached: Callable[[], object], what: str, seconds: float | None = None) -> float:
        """Wait until `reached()`, and say for how long; raise with `what` and what every candidate tells after that."""
        begun, seconds = time.monotonic(), seconds or self.bound_seconds
        while not reached():
            if time.monotonic() > begun + seconds:
                told = "; ".join(f"{name}: {self.told(name)}" for name in self.candidates)
                raise ApplianceError(f"not reached within {seconds:.0f} s: {what}. {told}")
            time.sleep(0.02)
        return time.monotonic() - begun

    def wait_for(self, name: str, *states: str) -> float:
        return self.wait(lambda: self.state(name) in states, f"{name} is {' or '.join(states)}")

    # Clients

    def add(self, number: int) -> str:
        """A client adds `number` wherever it is let, at each candidate from that one's site, the home's first; the node
        that acknowledged it, "" when nobody did."""
        self.tell("client", 0, "op", type="invoke", f="add", value=number)
        for name in self.candidates:
            answer = self.ask(name, self.ports[name][0], f"/{number}", post=True)
            if answer is not None:
                self.added.append(number)
                node, epoch = str(answer["node"]), int(answer["epoch"])
                self.tell("client", epoch, "op", type="ok", f="add", value=number, server=node, lan=name)
                return node
            self.tell("client", 0, "op", type="fail", f="add", value=number, server=name, lan=name)
        self.tell("client", 0, "op", type="info", f="add", value=number)
        return ""

    def read(self) -> dict[str, Any]:
        """Return what the service shows to a client, wherever it is served."""
        found = (self.ask(name, self.ports[name][0], "/") for name in self.candidates)
        return next((it for it in found if it is not None), {})

    def read_copy(self, name: str) -> dict[str, Any] | None:
        return self.ask(name, self.ports[name][1], "/")

    def ask(self, name: str, port: int, path: str, *, post: bool = False) -> dict[str, Any] | None:
        """Return what a client at the site of `name` gets from a program at `port`; None when that is nothing, or it
        does not serve."""
        return netns.within(self.node(name).namespace, lambda: self._ask(port, path, post=post))

    @staticmethod
    def _ask(port: int, path: str, *, post: bool) -> dict[str, Any] | None:
        url = f"http://{LOOPBACK}:{port}{path}"
        try:
            said = http_call.fetch(url, seconds_max=20, bytes_max=MIB, method="POST" if post else "GET")
            return dict(json.loads(said))
        except (OSError, ValueError):
            return None

    # Faults

    def tell(self, node: str, epoch: int, event: str, **more: object) -> None:
        clock = SystemClock()
        moment = (clock.boottime(), clock.now(), clock.boot_id())
        self.lines.append(line(moment, node, self.service, epoch, event, **more))

    def sign(self, act: str, subject: str, service: str, *, ends: bool = False, **more: str) -> Path:
        """An act of the operator, newer than those before; not in force any more if it `ends` what another began.
        `more`: what only some acts say."""
        assert self.operator_key is not None
        number = next(self.acts)
        start = f"2020-01-01T00:{number:02}:00Z"
        said = {"act": act, "subject": subject, "service": service, "operator": "maintenance", "reason": "a run"}
        times = {"start": start, "end": start if ends else "2099-01-01T00:00:00Z"}
        path = self.territory.root / f"{number}.act"
        path.write_bytes(make_act({**said, **times, **more}, self.operator_key))
        return path

    def program(self, name: str) -> Program:
        return Program(self.service, self.node(name).layout.failover)

    def kill(self, name: str) -> None:
        """As a power cut of the node: its programs and those that it serves by."""
        self.tell("nemesis", 0, "fault", fault="kill", target=name)
        served = self.program(name).running() is not None
        self.end(name)
        if served:
            for event in ("address-del", "writer-stop"):
                self.tell(name, 0, event)

    def end(self, name: str) -> None:
        node = self.node(name)
        node.kill()
        for what in (self.service, f"{self.service}.copy"):
            Program(what, node.layout.failover).end()
        # The memory of a boot ends with it.
        for path in node.layout.failover.glob(f"{self.service}.*"):
            path.unlink()

    def start(self, name: str) -> None:
        """Start what belongs to the node, as after a power cut."""
        node = self.node(name)
        node.start_sshd()
        if name in VOTERS:
            node.start_broker(self.voter(name).member.client_url)
        if name in self.candidates:
            node.start_watchdog()
        node.start_failover()

    def replace(self, name: str) -> None:
        """Another machine stands where `name` stood, which is dead: an empty disk, keys of its own, in the next bundle;
        nothing of it is started."""
        assert self.issuer is not None
        self.lines += self.node(name).layout.failover_history.read_text().splitlines()
        self.node(name).wipe()
        self.territory.add_node(name)
        self.territory.sign()
        certificates.give(self.territory, self.issuer)
        self.put_program(name)

    def put_program(self, name: str) -> None:
        """Tell the candidate `name` by which program it serves."""
        port, copy_port = self.ports[name]
        argv = [sys.executable, "-m", "appliance_lab.processes.writer"]
        programs = {self.service: {"argv": argv, "port": port, "copy_port": copy_port}}
        layout = self.node(name).layout
        layout.machine.mkdir()
        (layout.root / "programs.json").write_text(json.dumps(programs))

    def agent(self, name: str) -> Any:
        """The process that runs the services of `name`."""
        return self.node(name).processes[-1]

    def hang(self, name: str) -> None:
        """Stop the failover program alone; its service and its watchdog run on."""
        self.tell("nemesis", 0, "fault", fault="hang", target=name)
        self.agent(name).send_signal(signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        self.agent(name).send_signal(signal.SIGCONT)
        self.tell("nemesis", 0, "heal", fault="hang", target=name)

    def history(self) -> list[str]:
        """Everything that was written down so far, by every writer."""
        found = list(self.lines)
        for node in self.territory.nodes.values():
            path = node.layout.failover_history
            found += path.read_text().splitlines() if path.exists() else []
        return found


@contextlib.contextmanager
def failover_world(
    root: Path,
    plan: Territory,
    service: str,
    *,
    policy: str,
    lease_seconds: int,
    hand_back: str = NEVER,
    disturbed: bool = False,
    bound_seconds: float = BOUND_SECONDS,
    operator_key: Path | None = None,
    heartbeat_milliseconds: int = 50,
    election_beats: int = 10,
) -> Iterator[FailoverWorld]:
    """`plan` under `root` with three voters, `service` begun, saved once and served at its home.

    `disturbed`: as far as this machine lets us, lines between nodes can be cut, clocks set off and disks filled.
    `operator_key`: of the operator `maintenance` of `plan`, whose acts may be drawn then.
    """
    with contextlib.ExitStack() as stack:
        lines = stack.enter_context(lines_between(plan.nodes)) if disturbed and can_cut() else None
        plan = _on_lines(_with_ports(plan), lines)
        services = {service: replace(plan.services[service], policy=policy)}
        plan = replace(plan, services=services, lease_seconds=lease_seconds, hand_back=hand_back)
        made = ProcessTerritory(root / "territory", plan)
        made.create()
        places = {name: (lines.namespace(name), lines.address(name)) for name in VOTERS} if lines else {}
        voters = EtcdProcesses(
            root / "etcd",
            len(VOTERS),
            heartbeat_milliseconds=heartbeat_milliseconds,
            election_beats=election_beats,
            names=VOTERS,
            places=places,
        )
        etcd = stack.enter_context(voters)
        ports = _program_ports(plan.trusted(service))
        world = FailoverWorld(
            made, service, etcd, ports, network=lines, bound_seconds=bound_seconds, operator_key=operator_key
        )
        if disturbed and library() is not None:
            world.clocks = {name: WallClock(root / f"{name}.clock") for name in plan.nodes}
        if lines is not None:  # where this process may make those, it may mount
            folders = {name: made.nodes[name].layout.services for name in world.candidates}
            world.disks = {name: stack.enter_context(disk_at(folder)) for name, folder in folders.items()}
        try:
            _begin(world)
            yield world
        finally:
            for name in made.nodes:
                world.end(name)


def _with_ports(plan: Territory) -> Territory:
    """`plan` on free ports of the loopback, with its voters."""
    ports = free_ports(LOOPBACK, 2 * len(plan.nodes))
    plan = on_ports(plan, dict(zip(plan.nodes, ports, strict=False)), LOOPBACK)
    brokers = dict(zip(plan.nodes, ports[len(plan.nodes) :], strict=True))
    nodes = {
        name: replace(node, broker_port=brokers[name], roles=(*node.roles, "voter") if name in VOTERS else node.roles)
        for name, node in plan.nodes.items()
    }
    return replace(plan, nodes=nodes)


def _on_lines(plan: Territory, lines: Lines | None) -> Territory:
    if lines is None:
        return plan
    nodes = {name: replace(node, address=lines.address(name)) for name, node in plan.nodes.items()}
    return replace(plan, nodes=nodes)


def _program_ports(candidates: tuple[str, ...]) -> dict[str, tuple[int, int]]:
    ports = free_ports(LOOPBACK, 2 * len(candidates))
    return {name: (ports[2 * i], ports[2 * i + 1]) for i, name in enumerate(candidates)}


def _begin(world: FailoverWorld) -> None:
    made, found = world.territory, library()
    for name, node in made.nodes.items():
        node.namespace = world.network.namespace(name) if world.network else None
        if name in world.clocks and found is not None:
            world.clocks[name].set_off(0)
            node.environment = world.clocks[name].environment(found)
    world.issuer = certificates.begin(made.territory.domain)
    made.ca = pki.fingerprint_of(world.issuer.root)
    made.sign()
    certificates.give(made, world.issuer)
    for name in world.candidates:
        world.put_program(name)
    made.begin_services()
    _tell_begin(world)
    for name in made.nodes:
        world.start(name)


def _tell_begin(world: FailoverWorld) -> None:
    plan = made = world.territory.territory
    service, timers = made.service(world.service), Timers.of_lease(plan.lease_seconds)
    times = {name: getattr(timers, name) for name in ("ttl", "stop", "epsilon", "grace", "cooldown")}
    world.tell("", 0, "begin", policy=service.policy, home=service.node, rto=world.bound_seconds, **times)
