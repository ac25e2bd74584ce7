"""The watchdog: a program of its own that ends a service when its time is up, whatever became of the agent.

    python3 -I watchdog.py FOLDER

FOLDER/SERVICE.watch holds a deadline in seconds of CLOCK_BOOTTIME, or "none", and the process group of the service with
the start time of its leader. It needs nothing but the standard library, talks to nobody and takes ten megabytes.
While it runs it holds the lock FOLDER/watchdog.lock, without which no agent starts what is bound to a lease.
"""

import contextlib
import fcntl
import os
import signal
import sys
import time

LOOK_EVERY_SECONDS = 0.1
LOCK = "watchdog.lock"


def late(text: str, now: float) -> tuple[int, int] | None:
    """Whom to end at `now`, process group and start time, by the text of a watch; None: nobody."""
    words = text.split()
    if len(words) != 3 or words[0] == "none" or now < float(words[0]):
        return None
    group, started = int(words[1]), int(words[2])
    return (group, started) if group > 1 else None


def started(pid: int) -> int:
    """Field 22 of its stat file, which tells it from a later process of that number; 0 when it has gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return int(file.read().rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0


def look(folder: str, now: float) -> None:
    """End every service in `folder` whose time is up."""
    for name in os.listdir(folder):
        if name.endswith(".watch"):
            with contextlib.suppress(OSError, ValueError):
                with open(os.path.join(folder, name)) as file:
                    found = late(file.read(), now)
                if found and started(found[0]) == found[1]:
                    os.killpg(found[0], signal.SIGKILL)
                    print(
                        f"{name.removesuffix('.watch')} was ended at {now:.3f}: its lease was not renewed.", flush=True
                    )


def main(folder: str) -> None:
    os.makedirs(folder, mode=0o700, exist_ok=True)
    lock = os.open(os.path.join(folder, LOCK), os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)  # a second one waits until the first has gone
    while True:
        look(folder, time.clock_gettime(time.CLOCK_BOOTTIME))
        time.sleep(LOOK_EVERY_SECONDS)


if __name__ == "__main__":
    main(sys.argv[1])
