"""What a voter's broker does for the store beside it, and what the node's own doctor reads of that.

`care.json` is written after each look, so one that grows old says that nobody looks any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from appliance.clock import Clock, utc_seconds, utc_text
from appliance.coordination.argv import QUOTA_BYTES
from appliance.coordination.care import Care, Standing
from appliance.coordination.upkeep import SNAPSHOT_EVERY_SECONDS, Due, Seen, due, outlived
from appliance.errors import ApplianceError
from appliance.host.files import fsync_folder, make_private_folder, write_atomic
from appliance.host.journal import Journal
from appliance.host.layout import NodeLayout
from appliance.monitor.states import Reason, State
from appliance.units import DAY, MINUTE, format_bytes, format_duration

LOOK_EVERY_SECONDS = 60.0
SILENT_SECONDS_MAX = 15 * MINUTE
SUFFIX = ".snapshot"
NEARLY_FULL = 0.8
CHECK = "voter"
START = "Type `appliance failover broker`, or start its unit."


@dataclass
class VoterCare:
    """Sees to one voter; `preferred` names who should lead."""

    care: Care
    folder: Path
    clock: Clock
    preferred: Callable[[], str]
    journal: Journal
    trouble: dict[str, str] = field(default_factory=dict)
    """Why the last try of each thing failed."""
    _taken_at: float | None = None
    _handed_at: float | None = None

    async def run(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    async def look(self) -> Standing | None:
        """Look once, do what is due, write down how it went; how the voter stands, None when it does not answer."""
        standing, todo = None, Due()
        with self._noting("answer"):
            standing = await self.care.standing()
            todo = due(await self._see(standing))
        if todo.hand_over:
            self._handed_at = self.clock.boottime()
            with self._noting("lead"):
                await self.care.hand_over(todo.hand_over)
                self.journal.write("voter-lead-handed-over", to=self.preferred())
        if todo.snapshot:
            with self._noting("snapshot"):
                await self._snapshot()
        if todo.defragment:
            with self._noting("defragment"):
                await self.care.defragment()
        self._write(standing)
        return standing

    async def _see(self, standing: Standing) -> Seen:
        now = self.clock.boottime()
        return Seen(
            standing,
            await self.care.members(),
            self.preferred(),
            self.clock.now(),
            self._since_snapshot(now),
            None if self._handed_at is None else now - self._handed_at,
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
                async for piece in self.care.snapshot():
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

    def _write(self, standing: Standing | None) -> None:
        told = {
            "format": 1,
            "looked": self.clock.now(),
            "leader": standing.leader if standing else 0,
            "size_bytes": standing.size_bytes if standing else 0,
            "trouble": self.trouble,
        }
        with contextlib.suppress(OSError, ApplianceError):  # what is not written grows old, and is noticed by that
            write_atomic(make_private_folder(self.folder) / "care.json", json.dumps(told).encode())


def snapshots(folder: Path) -> dict[float, Path]:
    """The whole copies of the store in `folder`, by when they were made, UTC seconds."""
    found = {}
    for path in folder.glob(f"*{SUFFIX}"):
        with contextlib.suppress(ValueError):
            found[utc_seconds(path.name.removesuffix(SUFFIX))] = path
    return found


def doubts(layout: NodeLayout, now: float) -> Iterator[Reason]:
    """What is wrong with the voter of this node; nothing on one that is none."""
    if not layout.voter.exists():
        return
    try:
        told = json.loads((layout.voter_care / "care.json").read_bytes())
        looked, leader, size = float(told["looked"]), int(told["leader"]), int(told["size_bytes"])
        trouble = {str(what): str(why) for what, why in told["trouble"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        yield Reason("failed", "nobody looks after its voter: its broker has not said how it is.", START, CHECK)
        return
    if now - looked > SILENT_SECONDS_MAX:
        ago = format_duration(now - looked)
        yield Reason("failed", f"its broker has not looked after its voter for {ago}.", START, CHECK)
        return
    yield from _of_the_store(leader, size, trouble)
    yield from _of_copies(layout.voter_care, now, trouble)


def _of_the_store(leader: int, size: int, trouble: dict[str, str]) -> Iterator[Reason]:
    if "answer" in trouble:
        yield Reason("failed", f"its voter does not answer: {trouble['answer']}", "See `systemctl status`.", CHECK)
    elif not leader:
        remedy = "Start the other voters; `appliance voter show` names them."
        yield Reason("failed", "its voter knows no leader: there is no majority, or it is cut off.", remedy, CHECK)
    if size > NEARLY_FULL * QUOTA_BYTES:
        of = f"{format_bytes(size)} of {format_bytes(QUOTA_BYTES)}"
        remedy = "It takes nothing more once it is full, and no service moves. See the page."
        yield Reason("failed", f"its voter's store is nearly full: {of}.", remedy, CHECK)
    for what, sentence in (("lead", "the lead was not handed over"), ("defragment", "its store was not made smaller")):
        if what in trouble:
            yield Reason("warning", f"{sentence}: {trouble[what]}", "It is tried again by itself.", CHECK)


def _of_copies(folder: Path, now: float, trouble: dict[str, str]) -> Iterator[Reason]:
    newest = max(snapshots(folder), default=None)
    why = trouble.get("snapshot", "")
    if newest is None or now - newest > 2 * SNAPSHOT_EVERY_SECONDS + 5 * MINUTE:
        age = "there is no copy of its voter's store"
        if newest is not None:
            age = f"the newest copy of its voter's store is {format_duration(now - newest)} old"
        state: State = "failed" if newest is None or now - newest > DAY else "warning"
        yield Reason(state, f"{age}{f': {why}' if why else '.'}", "See that its disk has room.", CHECK)
    elif why:
        remedy = "It is tried again by itself."
        yield Reason("warning", f"its voter's store was not copied this hour: {why}", remedy, CHECK)
