"""The ports of a machine in memory, for tests and simulations: what runs, where addresses are, what a watchdog ends."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from appliance.clock import Clock
from appliance.errors import Refused
from appliance.failover.fsm.model import Local
from appliance.programs.watchdog import sees


@dataclass
class MemoryMachine:
    """Services, network and watchdog in one; `sick` services run and do not answer."""

    clock: Clock
    watched: bool = True
    """Whether a watchdog runs."""
    sick: set[str] = field(default_factory=set)
    copies: set[str] = field(default_factory=set)
    resets: list[str] = field(default_factory=list)
    _here: dict[str, Local] = field(default_factory=dict)
    _addresses: set[str] = field(default_factory=set)
    _deadlines: dict[str, float | None] = field(default_factory=dict)
    _seen: dict[str, float] = field(default_factory=dict)

    def look(self, service: str) -> Local:
        self._look_at_deadline(service)
        return replace(self._here.get(service, Local()), copy=service in self.copies)

    async def start(self, service: str, epoch: int) -> None:
        if not self.look(service).writer:
            self._here[service] = Local(writer=True, writable=True)

    async def stop(self, service: str) -> None:
        self._here[service] = Local()

    def _look_at_deadline(self, service: str) -> None:
        """As the watchdog does: what runs ends, and the address goes whatever runs."""
        deadline = self._deadlines.get(service)
        if self.watched and deadline is not None and self.clock.boottime() >= deadline:
            self._here[service] = Local()
            self._addresses.discard(service)
            self._deadlines[service] = None

    async def set_read_only(self, service: str) -> None:
        self._here[service] = replace(self.look(service), writable=False)

    async def probe(self, service: str) -> bool:
        return self.look(service).writer and service not in self.sick

    async def hold(self, service: str) -> None:
        here = self.look(service)
        self._here[service] = replace(here, held=here.writer)

    async def check_held(self, service: str) -> None:
        if not self.look(service).held:
            raise Refused(f"writes of clients of {service} are not held.")

    async def resume(self, service: str) -> None:
        self._here[service] = replace(self.look(service), held=False)

    async def serve_copy(self, service: str) -> None:
        self.copies.add(service)

    async def withdraw_copy(self, service: str) -> None:
        self.copies.discard(service)

    def wake(self, service: str) -> None: ...

    def reset(self, service: str) -> None:
        self.resets.append(service)
        self._here[service] = Local()

    def has_address(self, service: str) -> bool:
        self._look_at_deadline(service)
        return service in self._addresses

    async def cut(self, service: str) -> None:
        self._addresses.discard(service)

    async def add_address(self, service: str) -> None:
        self._addresses.add(service)

    def watch(self, service: str, epoch: int, deadline: float | None) -> None:
        if deadline is not None and not self.watched:
            raise Refused("no watchdog runs: nothing would stop the service if this agent hung.")
        self._deadlines[service] = deadline
        if deadline is not None and not sees(self._seen.get(service, 0.0), deadline, self.clock.boottime()):
            raise Refused("its deadline passes before the watchdog looks again.")
        self._seen[service] = deadline or 0.0
