"""Whether a takeover takes longer where there is more: a small and a large share, in turns.

Plain processes, with the lease of a territory and the caches of this machine dropped. Before its home dies, 1 % was
changed and saved, and the standby had laid it out, as its agent does after each generation; then it is asked back.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from appliance.agent.act import perform
from appliance.agent.current import files_of
from appliance.agent.decisions import Ready
from appliance.errors import ApplianceError
from appliance.host.command import run
from appliance.lab.bench.bench import CHANGED_SHARE, SEED, Bench, Skipped, in_turns
from appliance.lab.bench.figures import Figure, Goal
from appliance.lab.bench.ground import with_room
from appliance.lab.corpus import change, generate
from appliance.lab.demo.stage import ORIGIN as HOME
from appliance.lab.demo.stage import SERVICE, STANDBY
from appliance.lab.processes.etcd import ETCD
from appliance.lab.processes.failover import Stage, staged
from appliance.units import format_bytes, format_count

LEASE_SECONDS = 15
LONGER_MAX = 1.2
BOUND_SECONDS = 3600.0
COMMAND_SECONDS_MAX = 3600.0
CACHES = Path("/proc/sys/vm/drop_caches")


def takeover(bench: Bench) -> tuple[Figure, ...]:
    """The large one holds the documents of the small one many times over, so only its files are large."""
    if not ETCD.exists():
        raise Skipped("etcd is not installed.", remedy="Run `make setup`.")
    copies = bench.size.takeover_copies
    with ExitStack() as stack:
        small, large = (stack.enter_context(_share(bench, name, n)) for name, n in (("small", 1), ("large", copies)))
        took: dict[str, list[float]] = {"small": [], "large": []}
        for number in bench.runs("takeovers"):
            for name, seconds in in_turns(number, {"small": small.taken_over, "large": large.taken_over}).items():
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
    """A service at its home with `copies` folders of documents, saved once."""

    stage: Stage
    copies: int
    bytes: int
    files: int
    numbers: Iterator[int]

    @property
    def documents(self) -> Path:
        return _documents(self.stage)

    def taken_over(self) -> float:
        """Seconds from the death of its home to a write that the standby acknowledged; then it is at home again."""
        stage = self.stage
        for number in range(self.copies):
            change(self.documents / str(number), CHANGED_SHARE)
        _do(stage, HOME, "backup", "run", SERVICE)
        stage.wait_for(STANDBY, "STANDBY")
        perform(stage.territory.open(STANDBY), Ready(SERVICE, "a benchmark", "newest"))
        os.sync()
        if os.geteuid() == 0:
            CACHES.write_text("3\n")
        begun = time.monotonic()
        stage.kill(HOME)
        stage.wait(lambda: stage.add(next(self.numbers)) == STANDBY, "a write at the standby")
        seconds = time.monotonic() - begun
        stage.start(HOME)
        stage.wait_for(HOME, "STANDBY")
        _do(stage, STANDBY, "failover", "handback", SERVICE)
        stage.wait_for(HOME, "ACTIVE")
        return seconds


@contextmanager
def _share(bench: Bench, name: str, copies: int) -> Iterator[Share]:
    root = bench.work / f"takeover-{name}"
    plan = with_room(copies * bench.size.takeover_bytes)
    root.mkdir(parents=True)
    try:
        with staged(
            root, plan, SERVICE, policy="exclusive", lease_seconds=LEASE_SECONDS, bound_seconds=BOUND_SECONDS
        ) as stage:
            bench.say(f"the {name} share is made and saved, not measured")
            stage.wait_for(HOME, "ACTIVE")
            place = _documents(stage)
            made = generate(place / "0", bench.size.takeover_bytes, bench.size.takeover_files, SEED)
            for number in range(1, copies):
                argv = ("cp", "--archive", "--reflink=auto", str(place / "0"), str(place / str(number)))
                run(argv, timeout_seconds=COMMAND_SECONDS_MAX, check=True)
            _do(stage, HOME, "backup", "run", SERVICE)
            yield Share(stage, copies, copies * made.bytes, copies * made.files, count(1))
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _documents(stage: Stage) -> Path:
    home = stage.territory.open(HOME)
    [path] = home.bundle.terms(SERVICE).service.paths
    return files_of(home, path)


def _do(stage: Stage, name: str, *words: str) -> None:
    done = stage.node(name).cli(*words, timeout_seconds=COMMAND_SECONDS_MAX, check=False)
    if done.exit_code not in (0, 1):  # odd files of the corpus are left out, by name
        raise ApplianceError(f"{name}: appliance {' '.join(words)} ended with {done.exit_code}: {done.tail()}")
