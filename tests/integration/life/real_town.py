"""A town whose service is saved by real borg, between vaults in threads, by clocks that the test sets.

Everything is the product's but the lines between nodes, which are pipes, and the time. What people type goes through
the command line in this process.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from appliance.backup.chain.resync import continue_under, fetch_for_resync, request_after_fetch
from appliance.backup.peers import conversation
from appliance.backup.peers.adopt import own_repository
from appliance.backup.peers.fetched import load_fetched, remember_fetched
from appliance.backup.peers.fetched_key import staging
from appliance.backup.peers.openable import key_of
from appliance.backup.writer.begin import begin, take_first_grant
from appliance.borg.client import Borg
from appliance.borg.names import time_of
from appliance.cli import main, this_node
from appliance.clock import utc_text
from appliance.host.command import run
from appliance.node.handle import Node, open_node
from appliance.territory.model import Retention, Service
from appliance.units import DAY, MIB
from appliance_lab.counters import Used, used_by
from tests.integration.faults.cut import fill
from tests.worlds.vaults import ORIGIN, SERVICE, VaultWorld
from tests.worlds.vaults_in_process import World

RETENTION = Retention(hourly=0, daily=4, weekly=2, monthly=2, yearly=0)
LOCK_SECONDS = 8 * DAY
TIGHT_BYTES = 160 * MIB
"""borg wants 64 MiB to stay free."""

type Content = dict[str, bytes]
"""The files below a path, by their names below it."""


@dataclass
class TownWorld(VaultWorld):
    """`sources` are the two folders that the service saves."""

    sources: tuple[Path, ...] = ()

    def _docs(self) -> Service:
        paths = tuple(map(str, self.sources))
        return replace(super()._docs(), paths=paths, retention=RETENTION)


class Killed(BaseException):
    """The power goes here."""


@dataclass
class Town:
    vaults: TownWorld
    work: Path
    world: World = field(init=False)
    used: set[Used] = field(default_factory=set)
    _looked_at: dict[Path, tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.world = World(self.vaults)

    def begin(self) -> None:
        node = self.node(ORIGIN)
        take_first_grant(node, SERVICE, self.world.grant(begin(node, SERVICE), ORIGIN))

    def node(self, name: str) -> Node:
        return self.vaults.open(name)

    def borg(self, name: str) -> Borg:
        return Borg(own_repository(self.node(name).service(SERVICE)))

    def type_at(self, name: str, *words: str) -> tuple[int, Any, str]:
        """Return the result of `appliance --json WORDS` at `name`: its exit code, its answer, its messages."""
        out, told = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(told):
            code = main.run(["--json", "--state", str(self.vaults.layout(name).root), *words])
        return code, json.loads(out.getvalue() or "null"), told.getvalue()

    def fetch(self, name: str, required: str = "", wanted: str | None = None) -> str:
        """`name` fetches the newest generation, or the one `required`, or the older one `wanted`, to continue it; its
        full name."""
        node = self.node(name)
        sealed, found = fetch_for_resync(node, SERVICE, wanted, required=required)
        remember_fetched(node, SERVICE, sealed)
        self._request = request_after_fetch(node, SERVICE, found, "a life")
        return sealed.header.id.name

    def adopt(self, name: str) -> None:
        """Continue what was fetched under the grant that its request gets."""
        node = self.node(name)
        key = key_of(node, SERVICE, staging(node, SERVICE), None)
        continue_under(node, SERVICE, load_fetched(node, SERVICE), self.world.grant(self._request, name), key)

    def note_counters(self) -> None:
        """Look at each segment that is new since the last time, in every pool and every repository."""
        for path in [it for root in self._folders() for it in root.rglob("*") if it.is_file()]:
            stat = path.stat()
            if self._looked_at.get(path) != (stat.st_size, stat.st_mtime_ns):
                self._looked_at[path] = (stat.st_size, stat.st_mtime_ns)
                self.used |= used_by([path])

    def _folders(self) -> Iterator[Path]:
        for name in self.vaults.clocks:
            layout = self.vaults.layout(name)
            yield layout.vault / SERVICE
            yield from layout.service(SERVICE).root.glob("repository/data")
            yield from layout.service(SERVICE).root.glob("replaced-*/data")


@contextlib.contextmanager
def playing(town: Town) -> Iterator[Town]:
    """Lines are pipes, and the command line and borg go by the clock of the node that they are at."""
    clocks = {town.vaults.layout(name).root: clock for name, clock in town.vaults.clocks.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversation, "Line", town.world.line)
        patch.setattr(this_node, "open_node", lambda state: open_node(state, clocks[state]))
        date_archives(patch)
        yield town


def date_archives(patch: pytest.MonkeyPatch) -> None:
    """borg dates an archive by the clock of the node, as its name does."""
    create = Borg.create

    def dated(self: Borg, archive: str, *words: Any, **options: Any) -> Any:
        stamp = utc_text(time_of(archive)).removesuffix("Z")
        return create(self, archive, *words, **{"timestamp": stamp, **options})

    patch.setattr(Borg, "create", dated)


@contextlib.contextmanager
def killed_at(step: int) -> Iterator[list[int]]:
    """End the work of this thread in the block before its disk call number `step`; count its calls."""
    made = [0]

    def counted(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*words: Any, **options: Any) -> Any:
            if threading.current_thread() is threading.main_thread():
                made[0] += 1
                if made[0] >= step:  # and what would clean up does nothing either
                    raise Killed
            return original(*words, **options)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in ("rename", "replace", "link", "unlink", "mkdir", "rmdir"):
            patch.setattr(os, name, counted(getattr(os, name)))
        yield made


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """`folder` on a small disk of its own, where this machine mounts one; whether it does."""
    aside = folder.with_name(f"{folder.name}-aside")
    run(("cp", "-a", str(folder), str(aside)), timeout_seconds=60, check=True)
    options = f"size={TIGHT_BYTES},mode=700"
    mounted = run(("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)), timeout_seconds=20)
    try:
        if mounted.exit_code == 0:
            run(("cp", "-a", f"{aside}/.", str(folder)), timeout_seconds=60, check=True)
        yield mounted.exit_code == 0
    finally:
        if mounted.exit_code == 0:
            run(("umount", str(folder)), timeout_seconds=20, check=True)


@contextlib.contextmanager
def full(folder: Path) -> Iterator[None]:
    """No byte is free on the disk of `folder`."""
    filler = folder / "filler"
    fill(filler)
    try:
        yield
    finally:
        filler.unlink()


def files_below(folder: Path) -> Content | None:
    """Return the files below `folder`; None where it is not there."""
    if not folder.is_dir():
        return None
    return {str(it.relative_to(folder)): it.read_bytes() for it in sorted(folder.rglob("*")) if it.is_file()}
