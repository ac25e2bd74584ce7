"""The two versions of the coordination port, each with what a test does to it: let time pass, cut lines, end voters."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import ssl
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from pathlib import Path

from appliance.clock import Clock, SimulatedClock, SystemClock
from appliance.coordination.etcd import Etcd
from appliance.coordination.gateway import Gateway
from appliance.coordination.keys import new_lease
from appliance.coordination.port import Alive, Claim, Coordination, Event, Intent, Lease, ServiceRecord
from appliance.coordination.remote import Broker, Remote
from appliance.errors import Unreachable
from appliance.voter.broker import Acts, Brokered
from appliance.voter.etcd_admin import EtcdAdmin
from appliance.voter.maintenance_rules import MemberStatus
from appliance.voter.server import Server
from appliance_lab.doubles.memory_store import Line, Memory, Store
from appliance_lab.processes.etcd import EtcdProcesses
from appliance_lab.processes.node import free_ports
from tests.pace import LONG
from tests.worlds.small import node, service, territory

TTL = 2
HEARTBEAT_MILLISECONDS = 50
"""Elections after 0.5 s, so that leases may be as short as a second."""
LATE_SECONDS_MAX = LONG * 10.0
"""How long a test waits for what must come; two busy cores are slow."""
TIME = "2026-11-26T08:00:00Z"
NODES = ("commune-a", "commune-b", "commune-c", "commune-d", "commune-e", "hermitage")
SERVICES_MAX = 10_000
_numbers = itertools.count(1)
_TERRITORY = territory(
    [node(name, roles=("standby",) if name == "hermitage" else ()) for name in NODES],
    [replace(service(f"docs-{n}", NODES[0], standbys=NODES[1:]), policy="exclusive") for n in range(SERVICES_MAX)],
)


class World(ABC):
    """One store; `at(node)` is how that node reaches it."""

    clock: Clock

    @abstractmethod
    def at(self, node: str) -> Coordination: ...

    @abstractmethod
    async def pass_time(self, seconds: float) -> None:
        """Let `seconds` pass where time is simulated; real time passes by itself, and tests wait for what it brings."""

    @abstractmethod
    async def lose_majority(self) -> None: ...

    @abstractmethod
    async def regain_majority(self) -> None: ...

    @abstractmethod
    async def cut(self, node: str) -> None:
        """Let no call of `node` be answered any more."""

    @abstractmethod
    async def compact(self) -> None:
        """Let the store forget by which changes it came to what it says now."""

    @abstractmethod
    async def close(self) -> None: ...

    async def wait_gone(self, node: str, service: str, since: ServiceRecord) -> ServiceRecord:
        """The first state without a holder; simulated time passes, real time is waited for."""
        events = self.at(node).watch(since, seconds_max=LATE_SECONDS_MAX)
        assert await anext(events) == since
        passing = asyncio.create_task(self.pass_time(TTL + 1))
        async for event in events:
            assert isinstance(event, ServiceRecord), event
            if event.holder is None:
                await passing
                await events.aclose()
                return event
        raise AssertionError("the watch ended")


class InMemory(World):
    def __init__(self) -> None:
        self.clock = self._clock = SimulatedClock()
        self.store = Store(self._clock)
        self._nodes: dict[str, Memory] = {}

    def at(self, node: str) -> Memory:
        return self._nodes.setdefault(node, Memory(self.store))

    async def pass_time(self, seconds: float) -> None:
        await asyncio.sleep(0)  # a watcher begins before the time has passed
        self.store.advance(seconds)

    async def lose_majority(self) -> None:
        self.store.lose_majority()

    async def regain_majority(self) -> None:
        self.store.regain_majority()

    async def cut(self, node: str) -> None:
        self.at(node).line = Line.CUT

    async def compact(self) -> None:
        self.store.compact()

    async def close(self) -> None: ...


class InFront(World):
    """The world behind passes time and fails."""

    _behind: World

    async def pass_time(self, seconds: float) -> None:
        await self._behind.pass_time(seconds)

    async def lose_majority(self) -> None:
        await self._behind.lose_majority()

    async def regain_majority(self) -> None:
        await self._behind.regain_majority()

    async def cut(self, node: str) -> None:
        await self._behind.cut(node)

    async def compact(self) -> None:
        await self._behind.compact()


class ThroughBroker(InFront):
    """The same for nodes that a broker lets through: each is a candidate, and commune-b was promoted by an act."""

    def __init__(self) -> None:
        self._behind = InMemory()
        self.clock = self._behind.clock

    def at(self, node: str) -> Coordination:
        return Brokered(self._behind.at(node), _TERRITORY, node, lambda service: Acts(frozenset({"commune-b"})))

    async def close(self) -> None: ...


class OverTheWire(InFront):
    """The same again, over TLS to two brokers, of which one is dead; the clocks of nodes and brokers differ."""

    def __init__(self, papers: Path, context: Callable[[Path, Path, str], ssl.SSLContext]) -> None:
        self._behind = ThroughBroker()
        self.clock = self._behind.clock
        self._papers = papers
        self._context = context
        self._nodes: dict[str, Remote] = {}
        self._served: tuple[Broker, ...] = ()

    async def serve(self, tls: ssl.SSLContext, domain: str) -> None:
        (dead,) = free_ports("127.0.0.1", 1)
        self._server = await Server("127.0.0.1", 0, tls, domain, self._behind.at).__aenter__()
        self._served = tuple(Broker("127.0.0.1", port, f"hermitage.{domain}") for port in (dead, self._server.port))

    def at(self, node: str) -> Remote:
        if node not in self._nodes:
            tls = self._context(self._papers, self._papers, node)
            self._nodes[node] = Remote(self._served, self.clock, tls)
        return self._nodes[node]

    async def close(self) -> None:
        for client in self._nodes.values():
            await client.close()
        await self._server.__aexit__(None)


class RealEtcd(World):
    def __init__(self, processes: EtcdProcesses) -> None:
        self.clock = SystemClock()
        self.processes = processes
        self._nodes: dict[str, Etcd] = {}

    def at(self, node: str) -> Etcd:
        if node not in self._nodes:
            self._nodes[node] = Etcd(self.processes.addresses, self.clock, self.processes.tls)
        return self._nodes[node]

    async def pass_time(self, seconds: float) -> None: ...

    async def lose_majority(self) -> None:
        for voter in self.processes.voters[1:]:
            voter.kill()

    async def regain_majority(self) -> None:
        for voter in self.processes.voters[1:]:
            voter.start()

    async def cut(self, node: str) -> None:
        for voter in self.processes.voters:
            voter.freeze()

    async def compact(self) -> None:
        revision = (await self.at(NODES[0]).read("anything")).revision
        gateway = Gateway(self.processes.addresses, self.processes.tls)
        await gateway.ask("/v3/kv/compaction", {"revision": str(revision)})
        await gateway.close()

    async def close(self) -> None:
        for client in self._nodes.values():
            await client.close()


def new_service() -> str:
    """A service that no other test of this store has touched."""
    return f"docs-{next(_numbers)}"


def claim(service: str, node: str = "commune-a", seen: int = 0, ttl: int = TTL, **more: object) -> Claim:
    lease = new_lease(node, next(_numbers))
    return Claim(service, node, "boot-1", lease, seen, ttl, "for the test", TIME, **more)  # type: ignore[arg-type]


def alive(node: str, ttl: int = TTL) -> Alive:
    return Alive(node, "boot-1", new_lease(node, next(_numbers)), ttl)


def intent(service: str, by: str = "maintenance", node: str = "hermitage", ttl: int = TTL) -> Intent:
    lease = new_lease(node, next(_numbers))
    return Intent(service, "move", "commune-b", by, "flood announced", lease, ttl)


async def held(world: World, service: str, node: str = "commune-a") -> Lease:
    """`service`, newly held by `node` for a while that no test outlasts."""
    return await world.at(node).acquire(claim(service, node, ttl=60))


async def leader_of(cares: list[EtcdAdmin]) -> tuple[EtcdAdmin, MemberStatus]:
    """Return the leader, as soon as it says so itself."""
    async with asyncio.timeout(LATE_SECONDS_MAX):
        while True:
            for admin in cares:
                with contextlib.suppress(Unreachable):
                    status = await admin.status()
                    if status.member == status.leader:
                        return admin, status
            await asyncio.sleep(0)


async def next_state(events: AsyncGenerator[Event]) -> ServiceRecord:
    async with asyncio.timeout(LATE_SECONDS_MAX):
        event = await anext(events)
    assert isinstance(event, ServiceRecord), event
    return event
