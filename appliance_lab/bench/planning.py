"""The cost of `territory check` and `plan` as a valley grows: towns with one service each, and one of their own files.

The verdicts are of each zone, node and pair of nodes: 300 towns have 600 services and 45,230 events.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from appliance.host.command import run
from appliance.host.files import make_private_folder
from appliance.units import HOUR
from appliance_lab.bench.bench import Bench
from appliance_lab.bench.figures import Figure, Goal
from appliance_lab.bench.measure import cost
from appliance_lab.checkout import appliance_argv, code_folder

GOALS = {100: Goal(1), 300: Goal(5)}
"""CPU seconds by the number of towns, for each of the commands."""
VERBS = ("check", "plan")
PER_FEEDER = 4
STANDBY_AFTER = 7
"""The standby is so many towns further up the valley: on another feeder."""


def planning(bench: Bench) -> tuple[Figure, ...]:
    """Each command in a process of its own: what a person who types it waits for."""
    folder = make_private_folder(bench.work / "planning")
    seconds: dict[tuple[str, int], list[float]] = {(verb, towns): [] for towns in GOALS for verb in VERBS}
    for towns in GOALS:
        (folder / f"{towns}.yml").write_text(yaml.safe_dump(valley(towns), sort_keys=False))
    for _ in bench.runs("check and plan of valleys"):
        for (verb, towns), taken in seconds.items():
            taken.append(_cpu_seconds(verb, folder / f"{towns}.yml"))
    return tuple(
        Figure(f"{verb}-{towns}", f"territory {verb}, {towns} towns, CPU", "s", tuple(taken), goal=GOALS[towns])
        for (verb, towns), taken in seconds.items()
    )


def valley(towns: int) -> dict[str, Any]:
    """The content of a `territory.yml`: towns along a river, a feeder for each four, fibre in two halves."""
    names = [f"town-{number:03d}" for number in range(towns)]
    zones = {
        "river": {"kind": "flood", "title": "River", "warning": "3d", "tolerated": True},
        "fibre-south": {"kind": "fibre", "title": "South", "tolerated": True},
        "fibre-north": {"kind": "fibre", "title": "North", "tolerated": True},
        **{f"feeder-{it}": {"kind": "power", "title": "Feeder"} for it in range((towns - 1) // PER_FEEDER + 1)},
    }
    return {
        "territory": {"name": "valley", "title": "A valley"},
        "zones": zones,
        "links": {"fibre": {"title": "Fibre", "up_mbit_per_second": 200, "down_mbit_per_second": 500}},
        "defaults": {
            "node": {"disk": "4T", "offered": "2.5T", "uplink": "fibre"},
            "service": {"copies": 2, "size": "100G", "change_per_day": "1G", "quota": "400G"},
        },
        "sites": {name: _site(number, name, towns) for number, name in enumerate(names)},
        "services": {
            f"docs-{name}": {
                "title": f"Documents of {name}",
                "node": name,
                "paths": ["/srv/docs"],
                "standbys": [names[(number + STANDBY_AFTER) % towns]],
            }
            for number, name in enumerate(names)
        },
    }


def _site(number: int, name: str, towns: int) -> dict[str, Any]:
    banks = ["river"] if number % 3 == 0 else []
    half = "fibre-south" if number < towns // 2 else "fibre-north"
    node = {"name": name, "address": f"10.60.{number // 250}.{1 + number % 250}"}
    return {"title": name, "zones": [f"feeder-{number // PER_FEEDER}", half, *banks], "nodes": [node]}


def _cpu_seconds(verb: str, file: Path) -> float:
    argv = (*appliance_argv(), "territory", verb, str(file))
    environment = {"PYTHONPATH": str(code_folder())}
    return cost((), lambda: run(argv, timeout_seconds=HOUR, env=environment, check=True)).cpu_seconds
