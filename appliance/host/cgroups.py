"""Control groups at the top of the unified hierarchy, and of systemd's older one where this machine has both: nspawn
makes those of a node in each. They are mounted for a moment, seen by nobody else, so that it does not matter where this
machine has mounted them, if at all.
"""

from __future__ import annotations

import time

from appliance.host.command import CommandFailed, Result, run

TIMEOUT_SECONDS = 30.0
EMPTY_WITHIN_SECONDS = 5.0  # a process that was killed leaves its group a moment after it is gone
LOOK_EVERY_SECONDS = 0.05
_IN_EACH = """\
mount -t cgroup2 none /mnt
each "$@"
grep -q :name=systemd: /proc/self/cgroup || exit 0
mount -t cgroup -o none,name=systemd none /mnt
each "$@"
"""
_SET_FROZEN = """\
mount -t cgroup2 none /mnt
date +%s.%N
echo "$2" >"/mnt/$1/cgroup.freeze"
[ "$2" = 1 ] || exit 0
for _ in $(seq 500); do
    if grep -qx "frozen 1" "/mnt/$1/cgroup.events"; then exit 0; fi
    sleep 0.01
done
echo 0 >"/mnt/$1/cgroup.freeze"
exit 1
"""


def names() -> frozenset[str]:
    """Every group at the top; needs root."""
    found = _in_each("find /mnt -mindepth 1 -maxdepth 1 -type d -printf '%f\\n'")
    if found.exit_code != 0:
        raise CommandFailed(found)
    return frozenset(found.stdout.decode().splitlines())


def remove(name: str) -> None:
    """Remove the group `name` with all below it, where it is there; raise CommandFailed when a process stays in it."""
    deadline = time.monotonic() + EMPTY_WITHIN_SECONDS
    while (found := _in_each('[ ! -d "/mnt/$1" ] || find "/mnt/$1" -depth -type d -delete', name)).exit_code != 0:
        if time.monotonic() > deadline:
            raise CommandFailed(found)
        time.sleep(LOOK_EVERY_SECONDS)


def set_frozen(name: str, *, frozen: bool) -> float:
    """Have every process of the unified group `name` and below stand still, or go on, at once; when that was asked of
    the kernel, in UTC seconds. Raise CommandFailed, and let all go on, when they do not stand still in time."""
    argv = ("unshare", "--mount", "sh", "-euc", _SET_FROZEN, "sh", name, f"{frozen:d}")
    return float(run(argv, timeout_seconds=TIMEOUT_SECONDS, check=True).stdout)


def _in_each(do: str, *words: str) -> Result:
    """Carry out `do` with each hierarchy at /mnt."""
    argv = ("unshare", "--mount", "sh", "-euc", f"each() {{ {do}; }}\n{_IN_EACH}", "sh", *words)
    return run(argv, timeout_seconds=TIMEOUT_SECONDS)
