"""A PostgreSQL server of ours on a folder of ours: it listens to nothing but a socket that others cannot reach."""

from __future__ import annotations

import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from appliance.backup.sources.model import PostgresServer
from appliance.errors import Unreachable
from appliance.host.command import run
from appliance.host.processes import processes_working_in
from appliance.units import HOUR, MINUTE

PROGRAMS = Path("/usr/lib/postgresql/17/bin")
"""Debian 13's."""
PORT = 5432  # it only names the socket
ASK_EVERY_SECONDS = 0.5
END_EVERY_SECONDS = 0.1
END_SECONDS_MAX = MINUTE
START_SECONDS_MAX = HOUR  # one that lost its power comes to rest first
# French order, by rules that are part of PostgreSQL's own libraries and not of the system's locales.
_NEW = ("--encoding=UTF8", "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=fr", "--data-checksums")


def newest_programs(below: Path = Path("/usr/lib/postgresql")) -> Path:
    """Those of the newest version that is installed: a developer's machine may have another than Debian 13."""
    found = [it.parent for it in below.glob("*/bin/initdb") if it.parts[-3].isdigit()]
    return max(found, key=lambda it: int(it.parts[-2]), default=PROGRAMS)


def make_cluster(programs: Path, data: Path, auth: str) -> None:
    """An empty cluster at `data`, not yet brought to the disk; its superuser is `postgres`."""
    _initdb(programs, data, "--username=postgres", f"--auth={auth}", "--no-sync", *_NEW)


def bring_to_disk(programs: Path, data: Path) -> None:
    _initdb(programs, data, "--sync-only")


def wait_for(programs: Path, server: PostgresServer) -> None:
    """Until it takes clients; it may have to come to rest first. Raise Unreachable after START_SECONDS_MAX."""
    deadline = time.monotonic() + START_SECONDS_MAX
    argv = (str(programs / "pg_isready"), "--quiet", f"--host={server.host}", f"--port={server.port or PORT}")
    while run(argv, timeout_seconds=MINUTE).exit_code:
        if time.monotonic() > deadline:
            raise Unreachable("the server does not answer.", where=server.host)
        time.sleep(ASK_EVERY_SECONDS)


def end_left(data: Path) -> None:
    """End at once what a program that was killed left at work on `data`, a server or initdb before it.

    Raise Unreachable for what does not end.
    """
    deadline = time.monotonic() + END_SECONDS_MAX
    while left := tuple(processes_working_in(data)):
        if time.monotonic() > deadline:
            raise Unreachable("a process of an earlier run does not end.", where=str(data))
        for process in left:
            process.signal(signal.SIGQUIT)
        time.sleep(END_EVERY_SECONDS)


def end(programs: Path, data: Path) -> None:
    """End the server on `data` at once, which is not at rest then."""
    argv = (str(programs / "pg_ctl"), f"--pgdata={data}", "--silent", "stop", "--mode=immediate")
    run(argv, timeout_seconds=MINUTE)


def _initdb(programs: Path, data: Path, *words: str) -> None:
    """It works in `data`, as a server does, so that `end_left` finds it."""
    data.mkdir(mode=0o700, exist_ok=True)
    argv = (str(programs / "initdb"), f"--pgdata={data}", *words)
    run(argv, timeout_seconds=10 * MINUTE, cwd=data, check=True)


@contextmanager
def running(
    programs: Path, data: Path, settings: Sequence[str] = (), before: Sequence[str] = (), *, at_rest: bool = True
) -> Iterator[PostgresServer]:
    """A server on `data` that this account alone reaches; it ends with data/ `at_rest`, or raises ApplianceError.

    `before` are words in front of its argv, such as those of nice.
    """
    pg_ctl = (str(programs / "pg_ctl"), f"--pgdata={data}", "--silent", "--wait")
    with tempfile.TemporaryDirectory(prefix="pg") as sockets:
        own = ("listen_addresses=", f"unix_socket_directories={sockets}", f"port={PORT}", "fsync=off", "jit=off")
        options = " ".join(f"-c {setting}" for setting in (*own, *settings))
        start = ("start", f"--log={sockets}/log", f"--options={options}", f"--timeout={START_SECONDS_MAX}")
        run((*before, *pg_ctl, *start), timeout_seconds=START_SECONDS_MAX + MINUTE, check=True)
        try:
            yield PostgresServer(host=sockets, port=PORT, user="postgres")
        finally:
            run((*pg_ctl, "stop", "--mode=fast"), timeout_seconds=10 * MINUTE, check=at_rest)
