"""Services, addresses and the watchdog in process mode: programs on loopback, marks instead of addresses and mounts.

STATE/programs.json names the program of each service, as {"docs-a": {"argv": [...], "port": 8001, "copy_port": 8002}};
it gets the rest as arguments. Work that needs a host is not pretended: no mounts, no reset.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from appliance.errors import Busy, IntegrityError, NotFound, Refused
from appliance.failover.fsm.model import Local
from appliance.host.files import locked
from appliance.host.layout import NodeLayout
from appliance.host.programs import Program
from appliance.programs.watchdog import boottime, sees

PROBE_SECONDS_MAX = 1.0
COPY = "copy"


class ProcessServices:
    def __init__(self, layout: NodeLayout, name: str, folder_of: Callable[[str], Path], code: Path) -> None:
        """`folder_of` gives the folder of a service's files on this node, `code` where programs of ours lie."""
        self._layout = layout
        self._name = name
        self._folder_of = folder_of
        self._code = code

    def look(self, service: str) -> Local:
        program, copy = self._program(service), self._program(f"{service}.{COPY}")
        runs = program.running() is not None
        return Local(writer=runs, writable=runs, held=runs and program.is_set("held"), copy=copy.running() is not None)

    async def start(self, service: str, epoch: int) -> None:
        program, plan = self._program(service), self._plan(service)
        program.set("held", False)
        folder = self._folder_of(service)
        words = ("--folder", str(folder), "--epoch", str(epoch), "--port", str(plan["port"]))
        await self._start(program, service, words)
        await self._wait(plan["port"], service)

    async def stop(self, service: str) -> None:
        self._program(service).end()

    async def set_read_only(self, service: str) -> None:
        """Nothing to mount in process mode: who writes is the program, and it has ended."""

    async def probe(self, service: str) -> bool:
        return await _answers(self._plan(service)["port"])

    async def hold(self, service: str) -> None:
        self._program(service).set("held", True)

    async def check_held(self, service: str) -> None:
        if not self.look(service).held:
            raise Refused(f"writes of clients of {service} are not held.")

    async def resume(self, service: str) -> None:
        self._program(service).set("held", False)

    async def serve_copy(self, service: str) -> None:
        plan = self._plan(service)
        folder = self._layout.service(service).copy
        words = ("--folder", str(folder), "--port", str(plan["copy_port"]), "--read-only")
        await self._start(self._program(f"{service}.{COPY}"), service, words)

    async def withdraw_copy(self, service: str) -> None:
        self._program(f"{service}.{COPY}").end()

    def wake(self, service: str) -> None:
        """Signals need nobody."""

    def reset(self, service: str) -> None:
        """A process cannot reset the machine that it shares with others."""
        self._program(service).end()

    async def _start(self, program: Program, service: str, words: tuple[str, ...]) -> None:
        marks = ("--marks", str(self._layout.failover / service), "--node", self._name)
        argv = (*self._plan(service)["argv"], *words, *marks)
        starting = asyncio.create_task(asyncio.to_thread(program.start, argv, {"PYTHONPATH": str(self._code)}))
        try:
            found = await asyncio.shield(starting)
        except asyncio.CancelledError:
            await asyncio.wait({starting})  # a thread goes on: the caller that ends this must find what it started
            raise
        if found is None:
            raise Refused(f"the program of {service} ended at once.", where=str(program.mark("log")))

    async def _wait(self, port: int, service: str) -> None:
        while not await _answers(port):
            if self._program(service).running() is None:
                raise Refused(f"the program of {service} ended.", where=str(self._program(service).mark("log")))
            await asyncio.sleep(0.02)

    def _program(self, name: str) -> Program:
        return Program(name, self._layout.failover)

    def _plan(self, service: str) -> Mapping[str, Any]:
        path = self._layout.root / "programs.json"
        try:
            found = json.loads(path.read_bytes())[service]
            return {name: found[name] for name in ("argv", "port", "copy_port")}
        except (FileNotFoundError, KeyError) as error:
            remedy = "On hosts, units serve it; in process mode, name argv, port and copy_port of its program."
            raise NotFound(f"no program here serves {service}.", where=str(path), remedy=remedy) from error
        except (ValueError, TypeError) as error:
            raise IntegrityError("it does not name the programs of the services.", where=str(path)) from error


class ProcessNetwork:
    """An address is a mark, which the service's program looks at with every request."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def has_address(self, service: str) -> bool:
        return Program(service, self._folder).is_set("address")

    async def cut(self, service: str) -> None:
        Program(service, self._folder).set("address", False)

    async def add_address(self, service: str) -> None:
        Program(service, self._folder).set("address", True)


class FileWatchdog:
    """Tells `programs/watchdog.py` by a file for each service; that program holds a lock while it runs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._told: dict[str, tuple[str, float]] = {}
        """The text in the file of each service, and the deadline in it, 0 for none."""

    def watch(self, service: str, epoch: int, deadline: float | None) -> None:
        text = f"{'none' if deadline is None else f'{deadline:.3f}'} {self._who(service)} {epoch}"
        told, before = self._told.get(service, ("", 0.0))
        if text != told:
            if deadline is not None and not self._is_watched():
                raise Refused("no watchdog runs: nothing would stop the service if this agent hung.")
            path = self._folder / f"{service}.watch"
            new = path.with_name(f".{path.name}.new")
            try:
                new.write_text(text)
                new.rename(path)
            except OSError:
                if deadline is not None:
                    raise
                path.unlink(missing_ok=True)  # it says the same, and finds room on a full disk
            if deadline is not None and not sees(before, deadline, boottime()):
                raise Refused("its deadline passes before the watchdog looks again.")
            self._told[service] = text, deadline or 0.0

    def _who(self, service: str) -> str:
        running = Program(service, self._folder).running()
        return f"{running.pid} {running.started}" if running else "0 0"

    def _is_watched(self) -> bool:
        try:
            with locked(self._folder / "watchdog.lock", what="the watchdog"):
                return False
        except Busy:
            return True


async def _answers(port: int) -> bool:
    """Whether the program at `port` says that it is well."""
    try:
        async with asyncio.timeout(PROBE_SECONDS_MAX):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(b"GET /health HTTP/1.0\r\n\r\n")
                return (await reader.readline()).split()[1:2] == [b"200"]
            finally:
                writer.transport.abort()
    except (OSError, TimeoutError):
        return False
