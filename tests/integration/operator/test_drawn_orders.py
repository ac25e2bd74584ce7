"""Drawn events in drawn orders, and an operator who does what is printed after each: nothing that was acknowledged is
lost, and nothing is left to do.

CI plays two short orders; `make soak SUITE=operator N=300` plays longer ones, and goes on where it stopped.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from tests.integration.faults.results import Results, runs_wanted
from tests.integration.operator.events import EVENTS
from tests.integration.operator.obeying import Operator
from tests.integration.operator.town import Town, a_town

SAMPLE, SAMPLED_EVENTS = 2, 1
SOAKED_EVENTS, AT_ONCE_MAX = 12, 3
DAY_SEED = int(os.environ.get("APPLIANCE_TEST_SEED", "1"))
SOAKED = [f"{DAY_SEED}-{number}" for number in range(runs_wanted(SAMPLE))]
EVENTS_OF_AN_ORDER = int(os.environ.get("APPLIANCE_SOAK_EVENTS", SOAKED_EVENTS))
ABOUT = """Each lived through events, one to three at a time, and did after each what was printed until nothing was
proposed: then every service was written by its origin and safe, and what was acknowledged before came back."""
FOUND = {
    "another key waits to be signed": (("a key is rotated", "commune-b"),),
    "a new disk at the origin gets its documents back": (("a disk is wiped", "commune-a"),),
    "the origin is stolen": (("a box is stolen", "commune-a"),),
    "the standby is stolen": (("a box is stolen", "hermitage"),),
    "a new disk at the standby opens the service again": (("a disk is wiped", "hermitage"),),
    "a quota is full before its replica nodes know": (("a quota is full", "commune-a"),),
}
"""Orders after which a printed line was missing or led nowhere, until it was mended."""


@pytest.mark.parametrize("name", FOUND)
def test_an_order_that_was_found_ends_with_nothing_proposed(town: Town, name: str) -> None:
    draw, operator = random.Random(name), Operator(town)
    for kind, target in FOUND[name]:
        _happen(town, operator, draw, kind, target)
        _settle(town, operator, draw)


@pytest.mark.parametrize("seed", SOAKED[:SAMPLE])
def test_what_is_printed_mends_drawn_events(town: Town, seed: str) -> None:
    print(f"events drawn from seed {seed}: {live(town, seed, SAMPLED_EVENTS)}")


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_soak_of_an_operator_who_obeys(tmp_path: Path, operator_key: Path) -> None:
    results = Results("operator", ABOUT, column="event")
    for seed in SOAKED:
        if results.has(seed):
            continue
        began = time.monotonic()
        print(f"order {seed}", flush=True)
        with a_town(tmp_path / f"valley-{seed}", operator_key) as town:
            try:
                done = live(town, seed, EVENTS_OF_AN_ORDER)
            except BaseException:
                print("\n".join(town.typed))
                raise
        results.held(seed, done, time.monotonic() - began)
    print(results.write_down(DAY_SEED, SOAKED, folder=results.path.parent))


def live(town: Town, seed: str, events: int) -> str:
    """Let events happen that are drawn from `seed`, one to three at a time, each group with its mend; their names."""
    draw, operator = random.Random(seed), Operator(town)
    while len(town.happened) < events:
        town.rest()
        for _ in range(min(draw.randint(1, AT_ONCE_MAX), events - len(town.happened))):
            kind = draw.choice([it for it, event in EVENTS.items() if event.targets(town)])
            _happen(town, operator, draw, kind, draw.choice(EVENTS[kind].targets(town)))
        _settle(town, operator, draw)
    return ", ".join(town.happened)


def _happen(town: Town, operator: Operator, draw: random.Random, kind: str, target: str) -> None:
    town.happened.append(f"{kind} at {target}")
    town.typed.append(f"\n{town.happened[-1]}")
    EVENTS[kind].happen(town, operator, target, draw)


def _settle(town: Town, operator: Operator, draw: random.Random) -> None:
    town.forget_what_was_lost_everywhere()
    town.typed.append("\nit is looked what is proposed")
    operator.settle()
    town.prove(draw)
    town.typed.append(f"\nall was proven; safe: {town.newest()}")
