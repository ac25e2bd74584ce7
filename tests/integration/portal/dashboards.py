"""Twenty town halls of which nothing runs but the pages of one: what its worker would have written lies there."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.accounts.model import Store
from appliance.accounts.store import write_store
from appliance.config.load import load
from appliance.portal.dashboard import history, observations
from appliance.portal.dashboard.history import QUESTIONS, WINDOWS, History
from appliance.portal.paths import PortalPaths
from appliance.territory.implicit import with_implicit
from appliance.territory.model import Territory
from appliance.units import HOUR
from appliance_lab.processes.node import free_ports
from appliance_lab.processes.territory import ProcessTerritory
from tests.integration.portal.world import World, account, is_answered
from tests.unit.portal.dashboard_cases import observed, whole
from tests.waiting import wait_until
from tests.worlds.demo import LOOPBACK

EXAMPLE = Path(__file__).parents[3] / "inventory/example"
HERE = "hermitage"


@dataclass
class Large(World):
    """The pages of HERE, which watches all."""

    @property
    def state(self) -> Path:
        return self.territory.nodes[HERE].state

    @property
    def places(self) -> PortalPaths:
        return PortalPaths.of(self.territory.nodes[HERE].layout)


@contextmanager
def large(root: Path) -> Iterator[Large]:
    plan = with_implicit(load(EXAMPLE))
    territory = ProcessTerritory(root / "territory", plan)
    world = Large(territory, root, root, {}, free_ports(LOOPBACK, 1)[0])
    try:
        territory.create()
        territory.sign((HERE,))
        accounts = {"regis": account(world, "regis", ("regie",)), "marie": account(world, "marie", ())}
        write_store(territory.nodes[HERE].layout.accounts, Store(HERE, accounts))
        observations.save(world.places.seen, observed(unwell(plan), time.time()))
        history.save(world.places.history, remembered(plan, time.time()))
        words = (
            "--state",
            str(world.state),
            "internal",
            "portal",
            "serve",
            "--alone",
            "--listen",
            f"{LOOPBACK}:{world.port}",
        )
        argv = (sys.executable, "-m", "appliance", *words, "--answer-after", "0")
        world.processes.append(subprocess.Popen(argv, stderr=subprocess.DEVNULL))
        wait_until(lambda: is_answered(world.port), "the pages answer")
        yield world
    finally:
        for visitor in world.visitors:
            visitor.close()
        world.stop()


def unwell(plan: Territory) -> dict[str, Any]:
    """Four towns that are not well, each in its own way, and one machine that measures nothing of itself."""
    words = whole(plan)
    nodes, names = words["nodes"], [it for it in plan.nodes if it != HERE]
    nodes[names[3]] |= {"silent": "7min", "machine": False}
    late = next(it for it in plan.services.values() if it.node == names[5])
    nodes[names[5]]["writes"][late.name]["safe"] = "4d"
    nodes[names[5]]["checks"][f"backup-age written {late.name}"] = "failed"
    nodes[names[7]]["machine"] = {"celsius": 88, "ups": 14}
    nodes[names[9]]["checks"][f"clock node {names[9]}"] = "unknown"
    del nodes[names[11]]["machine"]
    words["alerts"] = [{"name": "RaidDegrade", "labels": {"node": names[5], "device": "md0"}}]
    return words


def remembered(plan: Territory, now: float) -> History:
    """Waves, with a gap in each."""

    def line(count: int, most: float) -> tuple[float | None, ...]:
        wave = (most * (0.6 + 0.4 * math.sin(number / 3)) for number in range(count))
        return tuple(None if 5 <= number < 8 else value for number, value in enumerate(wave))

    most = {"age": 20 * HOUR, "copies": 2.0, "new": 3e8, "room": 0.5, "drill": 900.0}
    lines = {
        name: {
            question: {service: line(window.count, most[question]) for service in plan.services}
            for question in QUESTIONS
        }
        for name, window in WINDOWS.items()
    }
    return History(float(int(now)), "", lines)
