"""The worker behind the pages: it opens services, keeps their catalogues current, counts receipts and restores.

It has the powers that the pages have not, and takes no words from them: what it is asked lies in a folder, and it
checks it again. Where one service fails the others go on, and the pages show what was known before. On a host systemd
starts it for the pages' first call, and each hour for what was cut; it ends when nobody has called for two minutes.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Event

from appliance.backup.peers.openable import is_written_here, open_best
from appliance.backup.restore_requests import Processed, process_waiting, rewinds_until
from appliance.backup.writer.filling import unread_in
from appliance.borg.client import Borg
from appliance.errors import ApplianceError
from appliance.host.children import die_with_parent
from appliance.host.layout import NodeLayout
from appliance.host.network.activation import inherited
from appliance.node.handle import Node, open_node
from appliance.portal.base.journal import ChainedJournal
from appliance.portal.dashboard.watch import Watcher
from appliance.portal.freshness import freshness
from appliance.portal.opened import Opened, save
from appliance.portal.paths import PortalPaths
from appliance.portal.worker_socket import QUIET_SECONDS, Calls
from appliance.restore.catalogue import catch_up, is_current
from appliance.restore.schema import CorruptCatalogue, errors_named, open_catalogue
from appliance.territory.implicit import openable
from appliance.units import MINUTE

LOG = logging.getLogger("appliance.portal")
LOOK_SECONDS = 0.5
HERE_SECONDS, AT_STANDBY_SECONDS = MINUTE, 10 * MINUTE
"""A standby asks all holders for the newest; the writer looks at its own disk."""


class Worker:
    """Works for the pages of the node in `state`."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._opened: dict[str, Opened] = {}
        self._due: dict[str, float] = {}
        self._next_look = self._next_restore = 0.0
        self._asked: dict[str, int] = {}
        self._acts = 0
        # Held open, by inode: a page that may only read finds SQLite's shared memory as long as somebody has it open.
        self._held: dict[tuple[Path, int], sqlite3.Connection] = {}

    def run(self, ended: Event, calls: Calls | None = None) -> None:
        """Look and restore until `ended`, or until `calls` are over and nothing is left to do: restores go on beside
        looks, one at a time, and so do the looks around the territory, which no service that takes long to open may
        keep waiting."""
        watcher = Watcher(self._state)
        with ThreadPoolExecutor(1) as restoring, ThreadPoolExecutor(1) as watching:
            around = watching.submit(watcher.run, ended)
            running = restoring.submit(self.restore_all)
            try:
                while not ended.is_set():
                    self.look()
                    if running.done():
                        running.result()
                        if calls and calls.are_over() and not watcher.watching and self._is_idle():
                            return
                        running = restoring.submit(self.restore_all)
                    if around.done():
                        around.result()
                    ended.wait(LOOK_SECONDS)
            finally:
                ended.set()

    def look(self) -> None:
        """Look at every service that is due; for most calls that is none, and costs nothing. An act that comes is seen
        at once: somebody waits for it in front of a page."""
        acts = _changed(NodeLayout(self._state).acts)
        if time.monotonic() < self._next_look and acts == self._acts:
            return
        self._acts = acts
        self._next_look = time.monotonic() + HERE_SECONDS
        with _logged("the node"):
            node = open_node(self._state)
            services = openable(node.bundle.territory, node.name)
            due = [it for it in services if self._due.get(it, 0.0) <= time.monotonic()]
            for service in due:
                self._due[service] = time.monotonic() + HERE_SECONDS
                with _logged(service):
                    self._look_at(node, service)
            self._tell(node, services)

    def restore_all(self) -> None:
        """Carry out what was asked for and undo what is to be undone, when something changed, and each minute."""
        with _logged("the orders"):
            asked = _asked(self._state)
            if asked == self._asked and time.monotonic() < self._next_restore:
                return
            self._asked, self._next_restore = asked, time.monotonic() + HERE_SECONDS
            node = open_node(self._state)
            journal = ChainedJournal(PortalPaths.of(node.layout).worker_journal, node.clock)
            for carried in process_waiting(node):
                _tell(journal, carried)

    def _is_idle(self) -> bool:
        """Whether nothing was asked for since the last restores; what another process carries out is left to it."""
        return _asked(self._state) == self._asked

    def _look_at(self, node: Node, service: str) -> None:
        opened = open_best(node, service)
        held = self._catalogue(opened.catalogue)
        try:
            with errors_named(opened.catalogue):
                if not is_current(held, opened.repository):
                    borg = Borg(opened.repository)
                    catch_up(held, borg, lacking=partial(unread_in, borg, service))
        except CorruptCatalogue:
            self._held = {place: it for place, it in self._held.items() if it is not held}
            held.close()
            raise
        self._opened[service] = Opened(opened.catalogue)
        if not is_written_here(node, service):
            self._due[service] = time.monotonic() + AT_STANDBY_SECONDS

    def _catalogue(self, path: Path) -> sqlite3.Connection:
        """The catalogue at `path`, kept open; one that was started over, for another branch, is another file."""
        place = (path, path.stat().st_ino if path.exists() else 0)
        if place not in self._held:
            made = open_catalogue(path)
            place = (path, path.stat().st_ino)
            self._held[place] = made
        return self._held[place]

    def _tell(self, node: Node, services: tuple[str, ...]) -> None:
        fresh, until = freshness(node, services), rewinds_until(node)
        told = {
            name: Opened(it.catalogue, fresh.get(name), until.get(name, 0.0))
            for name, it in self._opened.items()
            if name in services
        }
        save(PortalPaths.of(node.layout).opened, told)


def _asked(state: Path) -> dict[str, int]:
    """When something was last asked for, asked again or to be undone, or another process left an order: each changes a
    folder of an order. This is done twice a second for years, so it makes no objects of paths."""
    layout = NodeLayout(state)
    people = (it for parts in (layout.portal, layout.portal_work) for it in _folders_in(f"{parts}/orders"))
    return {order.path: _changed(order.path) for person in people for order in _folders_in(person.path)}


def _folders_in(folder: str) -> list[os.DirEntry[str]]:
    """The folders in `folder`; none where it is not there."""
    try:
        with os.scandir(folder) as entries:
            return [it for it in entries if it.is_dir()]
    except FileNotFoundError:
        return []


def _changed(folder: str | Path) -> int:
    """When something came into `folder` or went, in nanoseconds; 0 for one that is not there."""
    try:
        return os.stat(folder).st_mtime_ns
    except FileNotFoundError:
        return 0


def _tell(journal: ChainedJournal, carried: Processed) -> None:
    """Write down how an order ended, beside who asked for it."""
    request, status = carried.request, carried.status
    journal.write(
        "ended",
        account=request.person,
        service=carried.service,
        order=request.id,
        state=status.state,
        job=status.job,
        entries=status.entries,
        cause=status.cause,
    )


@contextlib.contextmanager
def _logged(what: str) -> Iterator[None]:
    try:
        yield
    except (ApplianceError, OSError, sqlite3.Error) as error:
        LOG.warning("%s: %s", what, error)


def work(state: Path, quiet_seconds: float = QUIET_SECONDS) -> None:
    """Work until SIGTERM; as a program that systemd started for a call, until nobody calls any more."""
    ended = Event()
    signal.signal(signal.SIGTERM, lambda number, frame: ended.set())
    listener = inherited()
    Worker(state).run(ended, Calls(listener, quiet_seconds) if listener else None)


def main(argv: Sequence[str]) -> None:
    """`STATE PARENT`: the worker of pages that run as one process with it; it never outlives them."""
    state, parent = argv
    die_with_parent(int(parent))
    Worker(Path(state)).run(Event())


if __name__ == "__main__":
    main(sys.argv[1:])
