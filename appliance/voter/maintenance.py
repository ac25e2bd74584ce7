"""The maintenance of the store beside a voter's broker; the node's doctor reads its results by `checks.py`.

`care.json` is written after each look, so one that grows old says that nobody looks any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from appliance.clock import Clock, utc_text
from appliance.errors import ApplianceError
from appliance.host.files import fsync_folder, make_private_folder, write_atomic
from appliance.host.journal import Journal
from appliance.voter.checks import SUFFIX, snapshots
from appliance.voter.etcd_admin import EtcdAdmin
from appliance.voter.maintenance_rules import Due, MemberStatus, Seen, due, outlived

LOOK_EVERY_SECONDS = 60.0


@dataclass
class VoterMaintenance:
    """Sees to one voter; `preferred` names who should lead. `unbelieved`: of which services its broker was shown a
    newer grant than any that it believes, and why it does not."""

    etcd: EtcdAdmin
    folder: Path
    clock: Clock
    preferred: Callable[[], str]
    journal: Journal
    unbelieved: Callable[[], Mapping[str, str]] = dict
    trouble: dict[str, str] = field(default_factory=dict)
    """Why the last try of each thing failed."""
    _taken_at: float | None = None
    _handed_at: float | None = None
    _elected: tuple[int, float] | None = None
    """The term in which it leads, and since when it was seen to; None where it does not."""

    async def run(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    async def look(self) -> MemberStatus | None:
        """Look once, do what is due, write down how it went; how the voter stands, None when it does not answer."""
        status, todo = None, Due()
        with self._noting("answer"):
            status = await self.etcd.status()
            todo = due(await self._see(status))
        if todo.hand_over:
            with self._noting("lead"):
                await self._hand_over(todo.hand_over)
        if todo.snapshot:
            with self._noting("snapshot"):
                await self._snapshot()
        if todo.defragment:
            with self._noting("defragment"):
                await self.etcd.defragment()
        self._write(status)
        return status

    async def _hand_over(self, heir: int) -> None:
        """Unless a lease runs out: the next look comes in a minute."""
        if not all(it.is_young for it in await self.etcd.leases()):
            return
        self._handed_at = self.clock.boottime()
        await self.etcd.hand_over(heir)
        self.journal.write("voter-lead-handed-over", to=self.preferred())

    async def _see(self, status: MemberStatus) -> Seen:
        now = self.clock.boottime()
        if status.leader != status.member:
            self._elected = None
        elif self._elected is None or self._elected[0] != status.term:
            self._elected = status.term, now
        return Seen(
            status,
            await self.etcd.members(),
            self.preferred(),
            self.clock.now(),
            self._since_snapshot(now),
            None if self._handed_at is None else now - self._handed_at,
            now - self._elected[1] if self._elected else 0.0,
        )

    def _since_snapshot(self, now: float) -> float | None:
        """By what was taken in this life, and by the clock on the wall only at its beginning: that may jump."""
        if self._taken_at is not None:
            return now - self._taken_at
        newest = max(snapshots(self.folder), default=None)
        age = None if newest is None else self.clock.now() - newest
        return age if age is not None and age >= 0 else None

    async def _snapshot(self) -> None:
        make_private_folder(self.folder)
        path = self.folder / f"{utc_text(self.clock.now())}{SUFFIX}"
        new = path.with_name(f".{path.name}.new")
        try:
            with open(new, "wb") as file:
                async for piece in self.etcd.snapshot():
                    file.write(piece)
                file.flush()
                await asyncio.to_thread(os.fsync, file.fileno())
            new.rename(path)
        finally:
            new.unlink(missing_ok=True)
        fsync_folder(self.folder)
        self._taken_at = self.clock.boottime()
        found = snapshots(self.folder)
        for time in outlived({time: it.stat().st_size for time, it in found.items()}):
            found[time].unlink()

    @contextlib.contextmanager
    def _noting(self, what: str) -> Iterator[None]:
        try:
            yield
        except (ApplianceError, OSError) as error:
            if what not in self.trouble:
                self.journal.write("voter-trouble", what=what, error=str(error))
            self.trouble[what] = str(error)
        else:
            self.trouble.pop(what, None)

    def _write(self, status: MemberStatus | None) -> None:
        told = {
            "format": 1,
            "looked": self.clock.now(),
            "leader": status.leader if status else 0,
            "size_bytes": status.size_bytes if status else 0,
            "trouble": self.trouble,
            "unbelieved": dict(self.unbelieved()),
        }
        with contextlib.suppress(OSError, ApplianceError):  # what is not written grows old, and is noticed by that
            write_atomic(make_private_folder(self.folder) / "care.json", json.dumps(told).encode())
