"""The use of a host by its units at rest, one by one: the share of memory (PSS) of their processes, and CPU.

The host's own control groups tell: they also count processes that began and ended in between, as those of Samba and
PostgreSQL do. Whatever runs once per connection counts with the slice of its template, which outlives the connection.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from appliance.units import MIB

SYSTEM_SLICE = "/sys/fs/cgroup/system.slice"
WIREGUARD = "mesh-userspace"
"""Stands for the kernel's WireGuard where a machine has none, as hosts of a lab: told apart."""
READ = r"""
import json, os, sys, time
folder, seconds = sys.argv[1], float(sys.argv[2])
def units():
    named = (it for it in os.listdir(folder) if it.startswith(("appliance-", "system-appliance")))
    return [it for it in named if os.path.isdir(os.path.join(folder, it))]
def cpu(unit):
    try:
        with open(os.path.join(folder, unit, "cpu.stat")) as file:
            return next((int(it.split()[1]) for it in file if it.startswith("usage_usec ")), 0)
    except OSError:
        return 0
def pss(unit):
    found = 0
    for below, _, files in os.walk(os.path.join(folder, unit)):
        if "cgroup.procs" not in files:
            continue
        try:
            with open(os.path.join(below, "cgroup.procs")) as file:
                pids = file.read().split()
        except OSError:
            continue
        for pid in pids:
            try:
                with open(f"/proc/{pid}/smaps_rollup") as file:
                    found += next(int(it.split()[1]) * 1024 for it in file if it.startswith("Pss:"))
            except (OSError, StopIteration):
                pass
    return found
before = {it: cpu(it) for it in units()}
begun = time.monotonic()
time.sleep(seconds)
took = time.monotonic() - begun
def used(unit):
    now, then = cpu(unit), before.get(unit, 0)
    return (now - then if now >= then else now) / 1e6 / took  # a group that was made again counts from nothing
print(json.dumps({it: [pss(it), used(it)] for it in units()}))
"""
"""Run on the host by its Python, with SYSTEM_SLICE and the seconds to watch."""


@dataclass(frozen=True)
class Use:
    """MiB of memory by its share, and percent of a core."""

    memory_mib: float
    load_percent: float


@dataclass(frozen=True)
class HostUse:
    """The use by all units but WireGuard, by WireGuard, and by each under its short name."""

    ours: Use
    wireguard: Use
    units: Mapping[str, Use]

    def told(self) -> str:
        """The units, the largest first, as a note."""
        largest = sorted(self.units.items(), key=lambda it: -it[1].memory_mib)
        return ", ".join(f"{name} {use.memory_mib:.0f} MiB {use.load_percent:.2f} %" for name, use in largest)


def read(text: str) -> HostUse:
    """Return the use that READ printed."""
    units = dict[str, Use]()
    for name, (memory, load) in json.loads(text).items():
        short = short_name(name)
        before = units.get(short, Use(0.0, 0.0))
        units[short] = Use(before.memory_mib + memory / MIB, before.load_percent + 100 * load)
    ours = [use for name, use in units.items() if name != WIREGUARD]
    total = Use(sum(it.memory_mib for it in ours), sum(it.load_percent for it in ours))
    return HostUse(total, units.get(WIREGUARD, Use(0.0, 0.0)), units)


def short_name(group: str) -> str:
    r"""The name of a unit or of the slice of a template: "system-appliance\x2dvault.slice" is "vault", as is
    "appliance-vault@4-7.service"."""
    name = group.removeprefix("system-").replace(r"\x2d", "-").removeprefix("appliance-")
    return name.rpartition(".")[0].partition("@")[0]
