"""Whether a takeover takes longer where there is more: a small and a large share, in turns.

Plain processes, with the lease of a territory and the caches of this machine dropped. Before its home dies, 1 % was
changed and saved, and the standby had laid it out, as its agent does after each generation; then it is asked back.

No two files have bytes in common, so the large share has as much to index as it looks; of each block a quarter says
something, so its copies fit on a disk, and on one that compresses its trees do too.
"""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from appliance.agent.act import perform
from appliance.agent.decisions import Ready
from appliance.errors import ApplianceError
from appliance.node.current import files_of
from appliance.units import KIB, format_bytes, format_count
from appliance_lab.bench.bench import CHANGED_SHARE, SEED, Bench, Skipped, in_turns
from appliance_lab.bench.env import with_room
from appliance_lab.bench.figures import Figure, Goal
from appliance_lab.demo.context import ORIGIN, SERVICE, STANDBY
from appliance_lab.processes.etcd import ETCD
from appliance_lab.processes.failover import FailoverWorld, failover_world

LEASE_SECONDS = 15
LONGER_MAX = 1.2
BOUND_SECONDS = 3600.0
COMMAND_SECONDS_MAX = 3600.0
CACHES = Path("/proc/sys/vm/drop_caches")
BLOCK_BYTES, TELLING_BYTES = 16 * KIB, 4 * KIB
REST_OF_BLOCK = b"mairie de Lisieres ".ljust(32, b".") * ((BLOCK_BYTES - TELLING_BYTES) // 32)


def takeover(bench: Bench) -> tuple[Figure, ...]:
    """The large one has as many files of the same size in each of many folders as the small one in one."""
    if not ETCD.exists():
        raise Skipped("etcd is not installed.", remedy="Run `make setup`.")
    folders = bench.size.takeover_folders
    with ExitStack() as stack:
        small, large = (stack.enter_context(_share(bench, name, n)) for name, n in (("small", 1), ("large", folders)))
        took: dict[str, list[float]] = {"small": [], "large": []}
        for number in bench.runs("takeovers"):
            for name, seconds in in_turns(number, {"small": small.taken_over, "large": large.taken_over}):
                bench.say(f"{name}: {seconds:.1f} s")
                took[name].append(seconds)
        notes = (
            f"{format_bytes(large.bytes)} in {format_count(large.files, 'file')} against {format_bytes(small.bytes)}",
            f"from the kill to an acknowledged write at the standby, lease {LEASE_SECONDS} s",
            "caches dropped before each" if os.geteuid() == 0 else "caches not dropped: that takes root",
        )
    return (
        Figure(
            "takeover",
            "a large share taken over, against a small one",
            "s",
            tuple(took["large"]),
            tuple(took["small"]),
            rival="the small one",
            goal=Goal(LONGER_MAX),
            notes=notes,
        ),
    )


@dataclass
class Share:
    """A service at its home with folders of files, saved once."""

    world: FailoverWorld
    folders: tuple[Path, ...]
    files_each: int
    file_bytes: int
    draw: random.Random
    numbers: Iterator[int]

    @property
    def files(self) -> int:
        return len(self.folders) * self.files_each

    @property
    def bytes(self) -> int:
        return self.files * self.file_bytes

    def write(self, files: int) -> None:
        """Fill the first `files` of each folder with what is nowhere else."""
        for folder in self.folders:
            folder.mkdir(parents=True, exist_ok=True)
            for number in range(files):
                blocks = range(self.file_bytes // BLOCK_BYTES)
                told = b"".join(self.draw.randbytes(TELLING_BYTES) + REST_OF_BLOCK for _ in blocks)
                (folder / f"{number}.txt").write_bytes(told)

    def taken_over(self) -> float:
        """Seconds from the death of its home to a write that the standby acknowledged; then it is at home again."""
        world = self.world
        self.write(round(CHANGED_SHARE * self.files_each))
        _do(world, ORIGIN, "backup", "run", SERVICE)
        world.wait_for(STANDBY, "STANDBY")
        perform(world.territory.open(STANDBY), Ready(SERVICE, "a benchmark", "newest"))
        os.sync()
        if os.geteuid() == 0:
            CACHES.write_text("3\n")
        begun = time.monotonic()
        world.kill(ORIGIN)
        world.wait(lambda: world.add(next(self.numbers)) == STANDBY, "a write at the standby")
        seconds = time.monotonic() - begun
        world.start(ORIGIN)
        world.wait_for(ORIGIN, "STANDBY")
        _do(world, STANDBY, "failover", "move", SERVICE, ORIGIN, "--timeout", f"{COMMAND_SECONDS_MAX:.0f}")
        world.wait_for(ORIGIN, "ACTIVE")
        for name in (ORIGIN, STANDBY):
            # The former files are kept for people. Nobody is to miss anything here, and no disk has room for each
            # round's.
            shutil.rmtree(world.territory.open(name).service(SERVICE).root / "replaced-files", ignore_errors=True)
        return seconds


@contextmanager
def _share(bench: Bench, name: str, folders: int) -> Iterator[Share]:
    root, size = bench.work / f"takeover-{name}", bench.size
    plan = with_room(folders * size.takeover_files * size.takeover_file_bytes)
    root.mkdir(parents=True)
    try:
        with failover_world(
            root, plan, SERVICE, policy="exclusive", lease_seconds=LEASE_SECONDS, bound_seconds=BOUND_SECONDS
        ) as world:
            bench.say(f"the {name} share is made and saved, not measured")
            world.wait_for(ORIGIN, "ACTIVE")
            places = tuple(_documents(world) / str(number) for number in range(folders))
            share = Share(world, places, size.takeover_files, size.takeover_file_bytes, random.Random(SEED), count(1))
            share.write(size.takeover_files)
            _do(world, ORIGIN, "backup", "run", SERVICE)
            yield share
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _documents(world: FailoverWorld) -> Path:
    home = world.territory.open(ORIGIN)
    [path] = home.bundle.terms(SERVICE).service.paths
    return files_of(home, path)


def _do(world: FailoverWorld, name: str, *words: str) -> None:
    done = world.node(name).cli(*words, timeout_seconds=COMMAND_SECONDS_MAX, check=False)
    if done.exit_code != 0:
        raise ApplianceError(f"{name}: appliance {' '.join(words)} ended with {done.exit_code}: {done.tail()}")
