"""How long playbooks take to make bare hosts nodes, and a second time, when nothing is to be changed."""

from __future__ import annotations

import time

from appliance.errors import ApplianceError
from appliance.lab.bench.bench import Bench
from appliance.lab.bench.booting import NAME, checkout, quiet
from appliance.lab.bench.figures import Figure, Goal
from appliance.lab.hosts import lab as labs
from appliance.lab.hosts.places import Places
from appliance.lab.hosts.playbook import play_well
from appliance.lab.hosts.provision import provision

FIRST_SECONDS, AGAIN_SECONDS = 300.0, 45.0


def playbooks(bench: Bench) -> tuple[Figure, ...]:
    """New disks each time; bootstrap, signatures, site, grants; then site once more, which must change nothing."""
    inventory, first, again = checkout() / "inventory/lab", [], []
    nodes = 0
    try:
        for _ in bench.runs("bare hosts to nodes"):
            labs.down(Places(), NAME, quiet)
            lab = labs.up(Places(), NAME, inventory, quiet)
            started = time.monotonic()
            desk, _ = provision(lab)
            first.append(time.monotonic() - started)
            second = play_well(desk, "site")
            if second.changed:
                raise ApplianceError(
                    f"a second site changed {second.changed} things", where=str(desk.root / "site.log")
                )
            again.append(second.seconds)
            nodes = len(lab.plan.nodes)
    finally:
        labs.down(Places(), NAME, quiet)
    made = ("two plays of site and one of bootstrap, and all that people sign in between",)
    return (
        Figure(
            "site-first",
            f"{nodes} bare hosts to a finished site",
            "s",
            tuple(first),
            goal=Goal(FIRST_SECONDS),
            notes=made,
        ),
        Figure(
            "site-again",
            f"site again on {nodes} nodes, which changes nothing",
            "s",
            tuple(again),
            goal=Goal(AGAIN_SECONDS),
        ),
    )
