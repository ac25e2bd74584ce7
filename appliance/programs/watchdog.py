"""The watchdog: a program of its own that ends a service when its time is up, whatever became of the agent.

    python3 -I watchdog.py FOLDER NODE HISTORY
    python3 -I watchdog.py FOLDER - HISTORY SERVED [CGROUPS]

FOLDER/SERVICE.watch holds a deadline in seconds of CLOCK_BOOTTIME, or "none", the process group of the service with the
start time of its leader, and the epoch. On a host, where SERVED says who this is and at which address each service is,
it holds 0 and the number of the control group of the service's unit instead: all in it ends at once, whatever the
program started. While that does not run its number is 0 and means the one that it will have: the deadline is there
before the service. It needs nothing but the standard library, talks to nobody and takes ten megabytes. While it runs it
holds the lock FOLDER/watchdog.lock, without which no agent starts what is bound to a lease. No file says "none" too.
"""

import contextlib
import fcntl
import glob
import json
import os
import signal
import sys
import time
from collections import namedtuple

LOOK_SECONDS_MIN, LOOK_AGAIN_SECONDS, LOOK_SECONDS_MAX = 0.02, 0.25, 1.0
LOCK = "watchdog.lock"
CGROUPS = "/sys/fs/cgroup/system.slice"


# The imports of `dataclasses` and `typing` would take a third of the memory of this program.
Watch = namedtuple("Watch", ("deadline", "group", "started", "epoch"))
"""The processes to end, and when: a process group, and when its leader started, in clock ticks since boot; or 0 and the
number of a control group, which is never given again; or two zeros, for whichever the unit has."""


def read(text: str) -> Watch | None:
    """The watch in a file; None where nobody is watched, or what stands there is no watch."""
    try:
        deadline, *numbers = text.split()
        watch = Watch(float(deadline), *map(int, numbers))
    except (ValueError, TypeError):
        return None
    return watch if watch.group > 1 or (watch.group == 0 and watch.started >= 0) else None  # 1 would be everybody


def small(path: str) -> str:
    """Return the content of the file; `open` costs several times as much, at each look."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(file, 4096).decode()
    finally:
        os.close(file)


def started(pid: int) -> int:
    """Field 22 of its stat file, which tells it from a later process of that number; 0 when it has gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] in "ZX" else int(fields[19])


def end(service: str, watch: Watch, cgroups: str = CGROUPS, served: str = "") -> bool:
    """End what `watch` is about; whether it was there."""
    if watch.group:
        if started(watch.group) != watch.started:
            return False
        os.killpg(watch.group, signal.SIGKILL)
        return True
    for cgroup in units(service, watch, cgroups, served):
        if populated(cgroup) and watch.started in (0, os.stat(cgroup).st_ino):
            with open(f"{cgroup}/cgroup.kill", "w") as file:
                file.write("1")
            return True
    return False


def units(service: str, watch: Watch, cgroups: str, served: str) -> list[str]:
    """Where what `watch` is about may be: one without a number is that of the unit which serves, and none beside it."""
    if watch.started:
        return glob.glob(f"{cgroups}/appliance-*@{glob.escape(service)}.service")
    if not served:
        return []
    with open(served) as file:
        return [f"{cgroups}/{json.load(file)['services'][service]['unit']}"]


def populated(cgroup: str) -> bool:
    """Whether any process is in the cgroup: one that was ended is gone a moment later, and the cgroup with it."""
    try:
        with open(f"{cgroup}/cgroup.events") as file:
            return "populated 1" in file.read()
    except FileNotFoundError:
        return False


Looked = namedtuple("Looked", ("ended", "over", "following"))
"""Services that were ended, and those whose time is up too and of which nothing ran, each with its watch; when the next
one's time may be up."""


def look(folder: str, now: float, cgroups: str = CGROUPS, served: str = "") -> Looked:
    """End every service in `folder` whose time is up."""
    ended, over, following = [], [], now + LOOK_SECONDS_MAX
    for name in os.listdir(folder):
        if name.endswith(".watch"):
            again = now + LOOK_AGAIN_SECONDS  # after what went wrong, and for a unit that may fill a moment too late
            with contextlib.suppress(OSError, ValueError, KeyError):
                service, watch = name.removesuffix(".watch"), read(small(os.path.join(folder, name)))
                if watch and now < watch.deadline:
                    again = watch.deadline
                elif watch and end(service, watch, cgroups, served):
                    ended.append((service, watch))
                else:
                    if watch:
                        over.append((service, watch))
                    if not watch or watch.started:
                        again = following
            following = min(following, again)
    return Looked(ended, over, following)


def sees(before: float, deadline: float, now: float) -> bool:
    """Whether a deadline that comes after `before`, 0 for none, is seen in time by who sleeps until then, and never for
    longer than LOOK_SECONDS_MAX."""
    return deadline >= now + LOOK_SECONDS_MAX or now < before <= deadline


STOPPED = ("address-del", "writer-stop")


def tell(folder: str, node: str, history: str, service: str, epoch: int, events: tuple[str, ...] = STOPPED) -> None:
    """Take the service's address away too, and write down what was done."""
    with contextlib.suppress(OSError):
        os.unlink(os.path.join(folder, f"{service}.address"))
    with open("/proc/sys/kernel/random/boot_id") as file:
        boot_id = file.read().strip()
    who = {"node": node, "boot_id": boot_id, "svc": service, "epoch": epoch}
    when = {"t_boottime": round(time.clock_gettime(time.CLOCK_BOOTTIME), 3), "wall": round(time.time(), 3)}
    lines = [json.dumps({**when, **who, "event": event, "by": "watchdog"}) for event in events]
    # It may write every file that it sees: no link of others says which.
    with contextlib.suppress(OSError), open(history, "a", opener=no_link) as file:
        file.write("\n".join(lines) + "\n")


def no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def drop(service: str, served: str) -> None:
    """Take the service's address from this host: nobody is left who would answer at it."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        with open(served) as file:
            address = json.load(file)["services"][service]["address"]
        argv = ("ip", "address", "delete", f"{address}/32", "dev", "lo")
        silent = (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)  # it may have gone already
        os.waitpid(os.posix_spawnp(argv[0], argv, os.environ, file_actions=[silent]), 0)


def main(folder: str, node: str, history: str, served: str = "", cgroups: str = CGROUPS) -> None:
    if served:
        with open(served) as file:
            node = json.load(file)["node"]
    os.makedirs(folder, mode=0o700, exist_ok=True)
    lock = os.open(os.path.join(folder, LOCK), os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)  # a second one waits until the first has gone
    timer = os.timerfd_create(time.CLOCK_BOOTTIME)  # `time.sleep` does not count for how long a machine was suspended
    done: dict[str, float] = {}
    while True:
        ended, over, following = look(folder, boottime(), cgroups, served)
        # A service may have ended by itself, with an agent that hangs and so leaves its address here.
        by_itself = [(service, watch) for service, watch in over if done.get(service) != watch.deadline]
        for service, watch in (*ended, *by_itself):
            if served:
                drop(service, served)
            tell(folder, node, history, service, watch.epoch, STOPPED if (service, watch) in ended else STOPPED[:1])
            done[service] = watch.deadline
        # Nothing begins under a deadline that is not seen by then (`sees`).
        os.timerfd_settime(timer, flags=os.TFD_TIMER_ABSTIME, initial=max(following, boottime() + LOOK_SECONDS_MIN))
        os.read(timer, 8)


def boottime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


if __name__ == "__main__":
    main(*sys.argv[1:])
