"""Services, addresses and the watchdog of a host: units of systemd, addresses of its own, control groups.

This module looks at the present state, time and again and without any right; the privileged helper
(`programs/privileged.py`) makes each change, one verb a call.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from appliance.errors import ApplianceError, NotFound
from appliance.failover.copies import BackupCopies
from appliance.failover.forms.known_forms import form_named
from appliance.failover.forms.privileged_client import HELPER_PATHS, HelperPaths, ask_helper, ask_helper_now
from appliance.failover.forms.probes import is_here
from appliance.failover.forms.process_services import FileWatchdog
from appliance.failover.fsm.model import Local
from appliance.failover.ports import Presented
from appliance.host.programs import Program
from appliance.node.current import Current
from appliance.node.movable_services import MovableService, read_movable
from appliance.programs import privileged

HELD, HOLDING, COPY_SHOWN = "held", "holding", "copy-shown"
"""HOLDING is there first and goes last: whatever ended in between, clients do not wait for ever."""


class HostServices:
    def __init__(self, run: Path, paths: HelperPaths = HELPER_PATHS) -> None:
        """`run`: the folder of marks of this boot's program."""
        self._run = run
        self._paths = paths
        self._moving = read_movable(paths.served)
        self._waking: asyncio.Task[None] | None = None

    def look(self, service: str) -> Local:
        plan = self._plan(service)
        writer, marks = self._runs(plan.unit), self._marks(service)
        holding = writer and marks.is_set(HOLDING)
        return Local(
            writer=writer,
            # A folder that waits with those who write into it is served all the same.
            writable=_is_writable(plan.folder) or (holding and form_named(plan.form).closes_while_held),
            held=writer and marks.is_set(HELD),
            holding=holding,
            copy=self._runs(plan.copy) if plan.copy else marks.is_set(COPY_SHOWN),
        )

    def wake(self, service: str) -> None:
        """Root's hands rest when nobody asks, and take a while to start on a busy machine."""
        self._waking = asyncio.create_task(self._wake(service))

    async def _wake(self, service: str) -> None:
        with contextlib.suppress(ApplianceError):
            await self._ask("wake", service)

    async def start(self, service: str, epoch: int) -> None:
        self._plan(service)
        self._marks(service).set(HELD, False)
        await self._ask("start", service)
        self._marks(service).set(HOLDING, False)

    async def stop(self, service: str) -> None:
        await self._ask("stop", service)

    async def set_read_only(self, service: str) -> None:
        await self._ask("read-only", service)

    async def probe(self, service: str) -> bool:
        plan, held = self._plan(service), self._marks(service).is_set(HOLDING)
        return await form_named(plan.form).probe(service, plan, held=held)

    async def hold(self, service: str) -> None:
        self._marks(service).set(HOLDING, True)
        await self._ask("hold", service)
        self._marks(service).set(HELD, True)

    async def check_held(self, service: str) -> None:
        try:
            await self._ask("check-held", service)
        except ApplianceError:
            self._marks(service).set(HELD, False)  # so that it is begun again, and everything saved once more
            raise

    async def resume(self, service: str) -> None:
        self._marks(service).set(HELD, False)
        await self._ask("resume", service)
        self._marks(service).set(HOLDING, False)

    async def serve_copy(self, service: str) -> None:
        if self._plan(service).copy:
            await self._ask("serve-copy", service)
        else:  # the pages show it, from what is held
            self._marks(service).set(COPY_SHOWN, True)

    async def withdraw_copy(self, service: str) -> None:
        if copy := self._plan(service).copy:
            if self._runs(copy):
                await self._ask("withdraw-copy", service)
        else:
            self._marks(service).set(COPY_SHOWN, False)

    def reset(self, service: str) -> None:
        ask_helper_now("reset", service, self._paths)

    async def close_what_rests(self) -> dict[str, str]:
        """After a boot nothing that does not run may be written: who opens it makes it so.

        Why it failed, by service: what stays open is closed by the table.
        """
        failed = {}
        for name, plan in self._moving.items():
            if plan.here and not self.look(name).writer:
                try:
                    await self.set_read_only(name)
                except ApplianceError as error:
                    failed[name] = str(error)
        return failed

    async def end_what_left(self) -> dict[str, str]:
        """End services that run here and were given to other nodes alone, or taken out of the bundle: nobody looks
        after them, or saves them. Return why that failed, by service."""
        failed = {}
        for name in dict.fromkeys(self._left()):
            try:
                await self._ask(privileged.END, name)
            except ApplianceError as error:
                failed[name] = str(error)
        return failed

    def _left(self) -> Iterator[str]:
        """The services of which a unit runs that serves none of this node's."""
        here = {name: plan for name, plan in self._moving.items() if plan.here}
        described = {unit for name, it in here.items() for unit in (it.unit, it.copy, privileged.AWAY.format(name))}
        for unit in privileged.SERVING:
            for cgroup in Path(self._paths.cgroups).glob(unit.format("*")):
                if cgroup.name not in described and privileged.populated(str(cgroup)):
                    yield cgroup.name.partition("@")[2].removesuffix(".service")

    async def _ask(self, verb: str, service: str) -> None:
        await ask_helper(verb, service, self._paths)

    def _runs(self, unit: str) -> bool:
        return privileged.populated(f"{self._paths.cgroups}/{unit}")

    def _marks(self, service: str) -> Program:
        return Program(service, self._run)

    def _plan(self, service: str) -> MovableService:
        try:
            return self._moving[service]
        except KeyError:
            remedy = "Give it an `address` in territory.yml, sign, and run the playbook `site`."
            raise NotFound(
                f"this node is not set up to serve {service}.", where=str(self._paths.served), remedy=remedy
            ) from None


class HostNetwork:
    def __init__(self, paths: HelperPaths = HELPER_PATHS) -> None:
        self._paths = paths
        self._moving = read_movable(paths.served)

    def has_address(self, service: str) -> bool:
        return is_here(self._moving[service].address)

    async def cut(self, service: str) -> None:
        await ask_helper("cut", service, self._paths)

    async def add_address(self, service: str) -> None:
        await ask_helper("add", service, self._paths)


class HostWatchdog(FileWatchdog):
    """Names the control group of the service's unit, to which the kernel gives a new number with each start."""

    def __init__(self, folder: Path, paths: HelperPaths = HELPER_PATHS) -> None:
        super().__init__(folder)
        self._paths = paths
        self._moving = read_movable(paths.served)

    def _who(self, service: str) -> str:
        try:
            return f"0 {os.stat(f'{self._paths.cgroups}/{self._moving[service].unit}').st_ino}"
        except (OSError, KeyError):
            return "0 0"


class HostCopies(BackupCopies):
    """On a host the folder of what is not served is read-only, also for who lays files into it."""

    def __init__(self, current: Current, paths: HelperPaths = HELPER_PATHS) -> None:
        super().__init__(current)
        self._paths = paths
        self._moving = read_movable(paths.served)

    async def present(self, service: str) -> Presented:
        """Beside it the folder is made writable: clients wait, and what is laid there comes next."""
        told, _ = await asyncio.gather(super().present(service), self._open_ahead(service))
        return told

    async def _open_ahead(self, service: str) -> None:
        with contextlib.suppress(ApplianceError):  # `adopt` tries again, and tells
            await self._open(service)

    async def _open(self, service: str) -> None:
        if not _is_writable(self._moving[service].folder):
            await ask_helper("writable", service, self._paths)

    async def adopt(self, service: str, *, keep_files: bool, generation: str = "", required: str = "") -> None:
        if not keep_files:
            await self._open(service)
        await super().adopt(service, keep_files=keep_files, generation=generation, required=required)


def _is_writable(folder: str) -> bool:
    try:
        return not os.statvfs(folder).f_flag & os.ST_RDONLY
    except OSError:
        return False
