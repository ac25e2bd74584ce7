"""How soon a page of the dashboards comes: twenty towns whose exporters answer, their worker, a signed-in visitor."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from appliance.config.load import load
from appliance.monitor import measures_file
from appliance.territory.model import Territory
from appliance_lab.bench.bench import Bench
from appliance_lab.bench.figures import Figure, Goal
from appliance_lab.bench.watched import samples, serving
from appliance_lab.checkout import code_folder
from appliance_lab.processes.territory import ProcessTerritory
from appliance_lab.processes.watching import Watched
from appliance_lab.stories.screen import Screen, open_screen
from appliance_lab.story import waiting

HERE = "hermitage"
SERVICES_OF_A_TOWN = 5
PAGE_MILLISECONDS_MAX = 300
VISITS = 5
FIRST_LOOK_SECONDS_MAX = 120.0


def dashboard(bench: Bench) -> tuple[Figure, ...]:
    """The page of all towns, from the first byte asked to the last one read; the median of some visits is a run."""
    plan = load(code_folder() / "inventory/example")
    territory = ProcessTerritory(bench.work / "dashboards", plan)
    with contextlib.ExitStack() as stack:
        stack.callback(territory.stop)
        territory.create()
        territory.sign((HERE,))
        watched = stack.enter_context(_exporters(bench.work / "sheets", plan))
        screen = open_screen(territory.nodes[HERE], watched)
        stack.callback(screen.browser.close)
        with waiting("the first look around", FIRST_LOOK_SECONDS_MAX) as done:
            while not done(f"Vu de {HERE}" in screen.page()):
                pass
        spent = tuple(_milliseconds(screen) for _ in bench.runs("a page of the dashboards"))
        size = len(screen.page().encode())
    notes = (
        f"{len(plan.sites)} sites, {len(plan.services)} services, everybody answers; {size / 1000:.0f} kB of HTML",
    )
    goal = Goal(PAGE_MILLISECONDS_MAX)
    return (Figure("dashboard", f"a dashboard page at {len(plan.sites)} sites", "ms", spent, goal=goal, notes=notes),)


@contextlib.contextmanager
def _exporters(folder: Path, plan: Territory) -> Iterator[tuple[Watched, ...]]:
    folder.mkdir(parents=True)
    with contextlib.ExitStack() as stack:
        found = []
        for name, node in plan.nodes.items():
            measures_file.save(folder / name, samples(SERVICES_OF_A_TOWN, name))
            found.append(Watched(name, node.site, stack.enter_context(serving(folder / name))))
        yield tuple(found)


def _milliseconds(screen: Screen) -> float:
    spent = []
    for _ in range(VISITS):
        began = time.monotonic()
        screen.page()
        spent.append(1000 * (time.monotonic() - began))
    return sorted(spent)[VISITS // 2]
