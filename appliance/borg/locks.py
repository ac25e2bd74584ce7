"""borg's locks: one of a dead process is proven dead and removed, one of a living process is never touched.

borg 1.4 locks a repository and a cache in the same way: a folder `lock.exclusive` holding an empty file
`HOST.PID-THREAD` (made aside, then renamed: rename onto a folder that is not empty fails), and `lock.roster`, JSON with
the lists "shared" and "exclusive" of [HOST, PID, THREAD], edited only by who holds `lock.exclusive`.

borg's own test of life asks only whether the PID exists, on the same BORG_HOST_ID: a PID given to another process keeps
the lock for ever, and so does a restart when the host id changes. So BORG_HOST_ID is made by us for each process: which
machine, which boot, which PID namespace, when it was started. borg then never breaks anything, and we can prove death.
A lock of a borg that somebody runs by hand has no such id: it is left alone, and named.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from appliance.borg.model import Repository
from appliance.clock import Clock, SystemClock
from appliance.host.files import write_atomic

START_WINDOW_SECONDS = 600.0
"""A process has its PID at most this long after its id was made (a daemon forks late); later, the PID is another's."""

State = Literal["alive", "dead", "unknown"]


@dataclass(frozen=True)
class Where:
    """The marks that tell one running system from another; `machine` is "" when it has no id."""

    machine: str
    boot: str
    pid_namespace: str


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock, from its name; `where` is None when the host id is not one of ours."""

    host: str
    pid: int
    where: Where | None
    started_boottime: float = 0.0


def here(clock: Clock) -> Where:
    """This running system."""
    try:
        machine = Path("/etc/machine-id").read_text().strip()
    except OSError:
        machine = ""
    return Where(machine, clock.boot_id(), str(os.stat("/proc/self/ns/pid").st_ino))


def host_id(where: Where, boottime: float) -> str:
    """The BORG_HOST_ID of a borg that is started now."""
    return f"appliance:{where.machine}:{where.boot}:{where.pid_namespace}:{boottime:.3f}"


def parse_holder(host: str, pid: int) -> Holder:
    """Read a host id back; one that we did not make gives a Holder whose `where` is None."""
    match = re.fullmatch(r"appliance:([^:]*):([^:]+):(\d+):(\d+\.\d+)", host)
    if not match:
        return Holder(host, pid, None)
    return Holder(host, pid, Where(match[1], match[2], match[3]), float(match[4]))


def state_of(holder: Holder, now: Where, started: Mapping[int, float | None]) -> State:
    """Whether the holder can still be running; `started` maps each living PID of interest to its start, in boot time.

    The start is None where this process may not see it. "unknown" counts as alive for every caller; the word only
    serves the sentence.
    """
    if holder.where is None or holder.where.machine != now.machine:
        return "unknown"
    if holder.where.boot != now.boot:
        return "dead" if now.machine else "unknown"
    if holder.where.pid_namespace != now.pid_namespace:
        return "unknown"
    if holder.pid not in started:
        return "dead"
    start = started[holder.pid]
    if start is None:
        return "unknown"
    age = start - holder.started_boottime
    return "alive" if -1.0 <= age <= START_WINDOW_SECONDS else "dead"


def new_host_id(clock: Clock | None = None) -> str:
    """The BORG_HOST_ID for a process about to start on this machine."""
    clock = clock or SystemClock()
    return host_id(here(clock), clock.boottime())


def holders(repository: Repository) -> tuple[tuple[Holder, State], ...]:
    """Return the processes that hold the repository's or its cache's lock, and whether each lives."""
    now = here(SystemClock())
    found = {holder for lock in _locks(repository) for holder in (*_exclusive(lock), *_roster(lock))}
    return tuple((holder, state_of(holder, now, _started(holder.pid))) for holder in sorted(found, key=repr))


def is_locked(repository: Path) -> bool:
    """Whether a borg that writes holds the repository in this folder, or died when it did; one that reads does for an
    instant, as it comes and as it goes."""
    return _exclusive_folder(repository / "lock").exists()


def clear_dead(repository: Repository) -> tuple[Holder, ...]:
    """Remove every lock whose holder is proven dead and return those holders; the others stay."""
    dead = {holder for holder, state in holders(repository) if state == "dead"}
    if dead:
        for lock in _locks(repository):
            _drop_exclusive(lock, dead)
            _drop_from_roster(lock, dead)
    return tuple(sorted(dead, key=repr))


def _started(pid: int) -> dict[int, float | None]:
    """{pid: start in boot time} when the process lives; a zombie has ended and holds nothing.

    A unit with ProtectProc=invisible sees in /proc no process that has more rights than it, as one has that root began.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return {pid: None} if _exists(pid) else {}
    if fields[0] in "ZX":
        return {}
    return {pid: int(fields[19]) / os.sysconf("SC_CLK_TCK")}


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except ProcessLookupError:
        return False
    return True


def _locks(repository: Repository) -> tuple[Path, ...]:
    caches = (folder / "lock" for folder in repository.base.glob(".cache/borg/*") if folder.is_dir())
    return (repository.path / "lock", *caches)


def _exclusive_folder(lock: Path) -> Path:
    return lock.with_name("lock.exclusive")


def _exclusive(lock: Path) -> Iterator[Holder]:
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(_exclusive_folder(lock)):
            match = re.fullmatch(r"(.+)\.(\d+)-[0-9a-f]+", name)
            yield parse_holder(match[1], int(match[2])) if match else Holder(name, 0, None)


def _read_roster(lock: Path) -> dict[str, list[tuple[str, int, int]]]:
    """A damaged roster counts as empty, as it does for borg."""
    try:
        data = json.loads(lock.with_name("lock.roster").read_bytes())
        return {key: [(str(host), int(pid), int(thread)) for host, pid, thread in data[key]] for key in data}
    except (OSError, ValueError, TypeError):
        return {}


def _roster(lock: Path) -> Iterator[Holder]:
    for entries in _read_roster(lock).values():
        for host, pid, _ in entries:
            yield parse_holder(host, pid)


def _drop_exclusive(lock: Path, dead: set[Holder]) -> None:
    """Names are unique to a process, and only an empty folder can be removed: a lock taken meanwhile is safe."""
    folder = _exclusive_folder(lock)
    for holder in dead:
        for file in folder.glob(f"{holder.host}.{holder.pid}-*"):
            file.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()


def _drop_from_roster(lock: Path, dead: set[Holder]) -> None:
    if not any(holder in dead for holder in _roster(lock)):
        return
    with _taken(lock) as mine:
        if not mine:
            return  # a living borg is at it; the next run of ours drops what is left
        kept = {
            key: [entry for entry in entries if parse_holder(entry[0], entry[1]) not in dead]
            for key, entries in _read_roster(lock).items()
        }
        roster = lock.with_name("lock.roster")
        if any(kept.values()):
            write_atomic(roster, json.dumps(kept).encode(), mode=0o600)
        else:
            roster.unlink(missing_ok=True)


@contextlib.contextmanager
def _taken(lock: Path) -> Iterator[bool]:
    """Hold `lock.exclusive` as borg does; yields whether we got it."""
    folder = _exclusive_folder(lock)
    name = f"{new_host_id()}.{os.getpid()}-0"
    aside = folder.with_name(f"lock.exclusive.{os.getpid()}-{time.monotonic_ns()}.tmp")
    aside.mkdir(mode=0o700)
    (aside / name).touch()
    try:
        os.rename(aside, folder)
    except OSError:
        (aside / name).unlink()
        aside.rmdir()
        yield False
        return
    try:
        yield True
    finally:
        (folder / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            folder.rmdir()


def name_holders(repository: Repository) -> str:
    """Return the processes that lock `repository`, as a sentence; "" when none is known to."""
    found = [
        f"process {holder.pid}" if holder.where else f"{holder.host}, process {holder.pid} (not started by us)"
        for holder, _ in holders(repository)
    ]
    return f"the repository is locked by {', '.join(found)}." if found else ""
