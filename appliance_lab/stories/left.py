"""The traces of a lab on this machine: all that could be left behind when it ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

from appliance.host import cgroups
from appliance.host.command import run
from appliance.host.network import netns
from appliance_lab.hosts.paths import HostPaths
from appliance_lab.hosts.plan import PREFIX

TIMEOUT_SECONDS = 30.0
SHARED = ("interfaces", "loops")
"""They do not say whose they are: compared only where no other lab is up."""


@dataclass(frozen=True)
class Left:
    """`others`: labs that are up; while there are some, the pool that all share stays mounted, and rightly so."""

    namespaces: frozenset[str]
    interfaces: frozenset[str]
    tables: frozenset[str]
    mounts: frozenset[str]
    loops: frozenset[str]
    processes: frozenset[str]
    groups: frozenset[str]
    others: frozenset[str]

    def since(self, before: Left) -> tuple[str, ...]:
        """Return what is here now and was not `before`, in words."""
        alone = not self.others and not before.others
        found = []
        for name in (field.name for field in fields(Left) if field.name not in ("others", *(() if alone else SHARED))):
            new = sorted(getattr(self, name) - getattr(before, name))
            found += [f"{name}: {', '.join(new)}"] if new else []
        return tuple(found)


def look(name: str, paths: HostPaths | None = None) -> Left:
    """Return what is on this machine, of other labs than `name` only what they share."""
    paths = paths or HostPaths()
    others = frozenset(paths.known_labs()) - {name}
    return Left(
        namespaces=frozenset(it for it in netns.names() if not _of(it, others)),
        interfaces=frozenset(it["ifname"] for it in netns.show(None, "link")),
        tables=frozenset(it for it in _tables() if not any(it.endswith(f"lab-{other}") for other in others)),
        mounts=frozenset(it for it in _mounts() if not _of(it, others) and not (others and it == str(paths.pool))),
        loops=frozenset(_loops()),
        processes=frozenset(_processes(name)),
        groups=frozenset(it for it in cgroups.names() if it.startswith(f"{PREFIX}.") and not _of(it, others)),
        others=others,
    )


def _of(text: str, labs: frozenset[str]) -> bool:
    return any(f"lab.{lab}." in text or f"/labs/{lab}/" in text for lab in labs)


def _tables() -> Iterator[str]:
    listed = json.loads(run(("nft", "--json", "list", "tables"), timeout_seconds=TIMEOUT_SECONDS, check=True).stdout)
    yield from (f"{it['table']['family']} {it['table']['name']}" for it in listed["nftables"] if "table" in it)


def _mounts() -> Iterator[str]:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        yield line.split()[4]


def _loops() -> Iterator[str]:
    listed = run(("losetup", "--list", "--noheadings", "--output", "BACK-FILE"), timeout_seconds=TIMEOUT_SECONDS)
    yield from listed.stdout.decode().split()


def _processes(name: str) -> Iterator[str]:
    """Processes that name the lab on their command line, or live in one of its namespaces."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue
        if f"lab.{name}." in words or f"/labs/{name}/" in words:
            yield f"{folder.name} {words[:120]}"
