"""Copies of services for failover: what is on the disk is read here, what takes time is done by workers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from asyncio.subprocess import Process
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import appliance
from appliance.backup.chain.chain import chain_of
from appliance.backup.chain.continuation import is_orphaned
from appliance.backup.chain.installed import files_are_here
from appliance.backup.vault.latest import Latest
from appliance.backup.vault.replicas import replica_of
from appliance.backup.vault.stored import Stored
from appliance.errors import ApplianceError, Refused
from appliance.failover.ports import Presented, Synced
from appliance.node.current import Current
from appliance.trust.grant import Grant
from appliance.units import HOUR

WORK_SECONDS_MAX = 600.0
INSTALL_SECONDS_MAX = 4.0 * HOUR
"""The limit of work that grows with the service: putting it in place, and keeping aside what was written here."""
LOOK_EVERY_SECONDS = 2.0
CALLED_MAX = 2
"""Workers of this node that wait for an order. Each has a session slot at every vault that it may have to ask, of six
that a node gets there."""
CALL_SECONDS_MAX = 10.0
ANSWER_BYTES_MAX = 2**20
GRANTS_EVERY_SECONDS = 5.0
"""The chain changes by adopting alone, and the grant that is adopted is known before."""


@dataclass
class _Held:
    """`newest` is None until the first look ended; `at`: when the last one began."""

    latest: Latest
    newest: str | None = None
    at: float = float("-inf")
    looking: Future[Stored | None] | None = None


class BackupCopies:
    def __init__(self, current: Current) -> None:
        self._current = current
        self._own: dict[str, tuple[float, object, Grant | None]] = {}
        self._orphaned: dict[str, tuple[float, str, bool | None]] = {}
        self._held: dict[str, _Held] = {}
        self._looking = ThreadPoolExecutor(1, thread_name_prefix="held")
        self._called: dict[str, asyncio.Task[Process | None]] = {}
        """Workers that have, or will have, nothing to do; None: one could not be called."""

    def own_grant(self, service: str) -> Grant | None:
        node = self._current.node
        now = node.clock.boottime()
        at, seen, found = self._own.get(service, (float("-inf"), None, None))
        if now - at > GRANTS_EVERY_SECONDS:
            chain, key = chain_of(node, service), node.bundle.member(node.name).keys.sign
            there = key, chain.raw_grants()
            if there != seen:  # each check of a signature costs, and a chain seldom changes
                mine = [it for it in chain.grants().values() if (it.writer, it.writer_key) == (node.name, key)]
                found = max(mine, key=lambda grant: grant.epoch) if mine else None
            self._own[service] = now, there, found
        return found

    def files_are_here(self, service: str, opened_epoch: int) -> bool:
        own = self.own_grant(service)
        return own is not None and files_are_here(self._current.node, service, own, opened_epoch)

    def hold_backups(self, service: str, held: bool) -> None:
        mark = self._current.node.service(service).opening
        if held:
            mark.touch()
        else:
            mark.unlink(missing_ok=True)

    def documents(self, service: str) -> tuple[bytes, ...]:
        node = self._current.node
        replica, chain = replica_of(node, service), chain_of(node, service)
        held = [replica.grant(epoch) for epoch in replica.epochs()[-1:]]
        return (*held, *chain.raw_grants()[-1:])

    def document_folders(self, service: str) -> tuple[Path, ...]:
        node = self._current.node
        return replica_of(node, service).grants, chain_of(node, service).grants_folder

    def unfit(self, service: str) -> str:
        return "" if self._newest_held(service) else "no generation is held here"

    def view_is_stale(self, service: str) -> bool:
        """A copy of this node's own files bears no name."""
        newest = self._newest_held(service)
        try:
            laid = self._current.node.service(service).copied.read_text()
        except FileNotFoundError:
            return False
        return bool(newest) and laid != newest

    def _newest_held(self, service: str) -> str:
        """As it was found at most a look ago: a thread reads the disk, since leases are renewed in this one.

        Only the first answer about a service is waited for: until then nothing is known of it.
        """
        node = self._current.node
        held = self._held.setdefault(service, _Held(Latest(replica_of(node, service))))
        now = node.clock.boottime()
        if held.looking is None and now - held.at > LOOK_EVERY_SECONDS:
            held.at, held.looking = now, self._looking.submit(held.latest.look)
        if held.looking and (held.newest is None or held.looking.done()):
            looked, held.looking = held.looking, None
            found = looked.result()
            held.newest = f"{found.epoch}.{found.sequence}" if found else ""
        return held.newest or ""

    def is_orphaned(self, service: str, generation: str) -> bool | None:
        now = self._current.node.clock.boottime()
        at, seen, found = self._orphaned.get(service, (float("-inf"), "", None))
        if seen != generation or now - at > GRANTS_EVERY_SECONDS:
            found = is_orphaned(self._current.node, service, generation)
            self._orphaned[service] = now, generation, found
        return found

    def expect(self, service: str) -> None:
        if self._may_wait(service):
            self._called[service] = asyncio.create_task(self._call_ahead(service))

    def _may_wait(self, service: str) -> bool:
        self._called = {name: it for name, it in self._called.items() if not _has_gone(it)}
        return service not in self._called and len(self._called) < CALLED_MAX

    async def _call_ahead(self, service: str) -> Process | None:
        ready, worker = False, None
        try:
            with contextlib.suppress(TimeoutError, OSError, ApplianceError):
                async with asyncio.timeout(CALL_SECONDS_MAX):
                    worker = await self._call(service)
                    ready = bool(await _order(worker, "expect"))
        finally:
            if worker and not ready:
                await _end(worker)
        return worker if ready else None

    async def close(self) -> None:
        self._looking.shutdown(wait=False, cancel_futures=True)
        called, self._called = self._called, {}
        for task in called.values():
            with contextlib.suppress(asyncio.CancelledError):
                task.cancel()
                if worker := await task:
                    await _end(worker)

    async def present(self, service: str) -> Presented:
        told = await self._work("present", service, goes_on=True)
        return Presented(tuple(told["accepted"]), int(told["newer"]))

    async def adopt(self, service: str, *, keep_files: bool, generation: str = "", required: str = "") -> None:
        word = {"keep": keep_files, "generation": generation, "required": required}
        await self._work("adopt", service, json.dumps(word), INSTALL_SECONDS_MAX)

    async def pull(self, service: str) -> None:
        await self._work("pull", service)

    async def sync(self, service: str, to: str = "") -> Synced:
        told = await self._work("sync", service, to)
        return Synced(str(told["generation"]), tuple(told["has"]))

    async def install_copy(self, service: str) -> None:
        await self._work("copy", service)

    async def keep_branch(self, service: str, epoch: int) -> str:
        return str((await self._work("branch", service, str(epoch), INSTALL_SECONDS_MAX))["folder"])

    async def _work(
        self,
        verb: str,
        service: str,
        word: str = "",
        seconds_max: float = WORK_SECONDS_MAX,
        *,
        goes_on: bool = False,
    ) -> dict[str, Any]:
        """Have a worker do it: the one that was called for that, if there is one. The worker ends when the caller is
        cancelled, or when it is done; when that went well and `goes_on`, it waits for the next order, unless others
        do."""
        called = self._called.pop(service, None)
        waits = await called if called else None
        worker = waits or await self._call(service)
        stays = False
        try:
            async with asyncio.timeout(seconds_max):
                said = await _order(worker, verb, word)
            if waits and not said:  # it had ended, or did just now
                return await self._work(verb, service, word, seconds_max, goes_on=goes_on)
            told = _answer(verb, said)
            stays = goes_on and self._may_wait(service)
        except TimeoutError as error:
            raise Refused(f"{verb} {service} took more than {seconds_max:.0f} s and was stopped.") from error
        finally:
            if stays:
                self._called[service] = asyncio.create_task(_same(worker))
            else:
                await _end(worker)
        return told

    async def _call(self, service: str) -> Process:
        state = str(self._current.node.layout.root)
        argv = (sys.executable, "-sP", "-m", "appliance.failover.takeover_worker", str(os.getpid()), state, service)
        env = {**os.environ, "PYTHONPATH": str(Path(appliance.__file__).parent.parent)}
        pipe = asyncio.subprocess.PIPE
        how: dict[str, Any] = {"stdin": pipe, "stdout": pipe, "limit": ANSWER_BYTES_MAX, "env": env}
        return await asyncio.create_subprocess_exec(*argv, **how, process_group=0)


async def _order(worker: Process, verb: str, word: str = "") -> bytes:
    """Its answer; nothing when it ended."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(json.dumps({"verb": verb, "word": word}).encode() + b"\n")
    return await worker.stdout.readline()


async def _same(worker: Process) -> Process:
    return worker


def _has_gone(called: asyncio.Task[Process | None]) -> bool:
    """Whether there is no worker any more: one that nobody gives an order ends after a while."""
    if not called.done():
        return False
    worker = None if called.cancelled() else called.result()
    return worker is None or worker.returncode is not None


async def _end(worker: Process) -> None:
    if worker.returncode is None:
        worker.terminate()
    await worker.wait()


def _answer(verb: str, said: bytes) -> dict[str, Any]:
    try:
        told: dict[str, Any] = json.loads(said)
    except ValueError as error:
        raise ApplianceError(f"the worker for {verb} ended without output.") from error
    if "error" in told:
        raise Refused(told["error"], remedy=told["remedy"])
    return told
