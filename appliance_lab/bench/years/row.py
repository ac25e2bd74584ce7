"""How much more an old territory costs than a young one: looks, runs, exchanges, a standby kept current, status."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from appliance.agent.memory import Memory
from appliance.agent.observe import Observer, now_of
from appliance.backup.writer import writer
from appliance.failover.warm_standby import install_ahead
from appliance.host.command import run
from appliance.units import format_bytes
from appliance_lab.bench.bench import Bench, in_turns
from appliance_lab.bench.figures import Figure, Goal
from appliance_lab.bench.measure import cost
from appliance_lab.bench.years.ground import HOLDERS, Span, Years, make_years
from appliance_lab.demo.context import BLIND, ORIGIN, SERVICE, STANDBY

TIMES_MAX = 1.5
LOOKS = 20
YOUNG_GENERATIONS = 45 * 24
"""The lock of 30 days holds as many generations as it ever does."""
OF_OTHERS = 10
"""A service beside the first one has one generation where that has so many: its home is another box."""
GENERATIONS_EACH_MONTH = 730
WORKS = {
    "run": "a backup and its copies at two peers, CPU of all hosts",
    "exchange": "a comparison with the blind peer, CPU of both hosts",
    "ahead": "a standby brings itself up to date, CPU of its program",
    "look": f"{LOOKS} looks of the standby's agent, CPU",
    "thorough": "a thorough look of it, CPU",
    "status": "`status` at the standby, CPU",
    "doctor": "`doctor` at the standby, CPU",
}


@dataclass
class Life:
    """A ground of years, and its standby as programs that run for long see it."""

    years: Years
    observer: Observer = field(default_factory=Observer)

    def works(self) -> dict[str, Callable[[], float]]:
        """CPU seconds of each of WORKS, in an order in which each finds what it needs."""
        return {
            "run": self._run,
            "exchange": partial(self._typed, STANDBY, (BLIND,), "vault", "exchange", SERVICE),
            "ahead": self._ahead,
            "look": partial(_own_cpu, self._look, LOOKS),
            "thorough": partial(_own_cpu, partial(self._look, thorough=True)),
            "status": partial(self._typed, STANDBY, (), "status", check=False),
            "doctor": partial(self._typed, STANDBY, (), "doctor", check=False),
        }

    def _run(self) -> float:
        (self.years.documents / "0.txt").write_text(f"{time.monotonic_ns()}\n" * 100)
        return self._typed(ORIGIN, HOLDERS, "backup", "run", SERVICE)

    def _typed(self, node: str, listen: tuple[str, ...], *words: str, check: bool = True) -> float:
        """A command at `node`, with the sessions at the nodes that `listen`. No agent runs, as `status` says."""
        hosts = [self.years.process(it) for it in listen]
        typed = partial(self.years.process(node).cli, *words, check=check)
        return cost(hosts, typed).less(cost(hosts, lambda: None)).cpu_seconds

    def _ahead(self) -> float:
        """After one more generation, which is not counted."""
        with self.years.listening():
            writer.run(self.years.node(ORIGIN), SERVICE)
            return _own_cpu(partial(install_ahead, self.years.node(STANDBY), SERVICE))

    def _look(self, *, thorough: bool = False) -> None:
        node = self.years.node(STANDBY)
        self.observer.look(node, now_of(node), Memory(), thorough=thorough)


def old(bench: Bench) -> tuple[Figure, ...]:
    """The cost of each work after years of hourly generations, against some weeks of them, in turns."""
    count, services = bench.size.years_generations, bench.size.years_services
    takeovers = max(1, count // GENERATIONS_EACH_MONTH)
    young = min(YOUNG_GENERATIONS, count // 10)
    began = time.monotonic()
    aged = Life(make_years(bench.work / "old", Span(count, count // OF_OTHERS, takeovers, services=services)))
    notes = (
        f"{count:,} generations of the first of {services} services and {takeovers} takeovers, {count // OF_OTHERS:,} "
        f"generations of each other one; made in {time.monotonic() - began:.0f} s, {_stored(aged.years.root)}",
    )
    fresh = Life(make_years(bench.work / "young", Span(young, young // OF_OTHERS, 1, services=services)))
    sides = {"old": aged.works(), "young": fresh.works()}
    for works in sides.values():  # what a program that runs for long reads once
        works["look"]()
    spent: dict[tuple[str, str], list[float]] = {}
    for number in bench.runs("an old territory and a young one"):
        for work in WORKS:
            for side, seconds in in_turns(number, {side: works[work] for side, works in sides.items()}):
                spent.setdefault((work, side), []).append(seconds)
    for life in (aged, fresh):
        life.years.wipe()
    return tuple(
        Figure(
            f"old-{work}",
            title,
            "CPU s",
            tuple(spent[work, "old"]),
            tuple(spent[work, "young"]),
            f"the same after {young:,} generations",
            Goal(TIMES_MAX),
            () if number else notes,
        )
        for number, (work, title) in enumerate(WORKS.items())
    )


def _own_cpu(job: Callable[[], object], times: int = 1) -> float:
    before = time.process_time()
    for _ in range(times):
        job()
    return time.process_time() - before


def _stored(folder: Path) -> str:
    used = run(("du", "--summarize", "--block-size=1", str(folder)), timeout_seconds=600, check=True)
    return format_bytes(int(used.stdout.split()[0]))
