"""Common parts of soaks of a played machine: how Hypothesis plays it, and parts after which a soak that was cut goes
on."""

from __future__ import annotations

import gc
import json
import os
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis.core
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from appliance_lab.checkout import commit

ROUNDS_MAX = 20
"""Hypothesis begins with a few short cases; they are played, and not counted."""


def play_machine(
    machine: type[RuleBasedStateMachine], cases: int, steps: int, seed: int, *, shrink: bool = False
) -> None:
    chosen = settings(
        max_examples=cases,
        stateful_step_count=steps + 1,  # the first one begins the case
        deadline=None,
        database=None,
        print_blob=True,
        phases=[Phase.generate, *([Phase.shrink] if shrink else [])],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(hypothesis.core.seed(seed)(machine), settings=chosen)


def soak(
    name: str, cases: int, seed: int, play: Callable[[int, int], None], played: Counter[str], *, a_part: int
) -> tuple[Counter[str], float]:
    """Have `play(cases, seed)` count in `played` what it plays, until `cases` were "full": the sum, and the seconds of
    a core.

    A line of each part of `a_part` cases is kept in `build/NAME/`: typed again with the same commit, a soak that was
    cut goes on after them. Seeds share no part, so several may run beside each other.
    """
    code, done = commit(), Path("build") / name / f"soak-{seed}-{cases}.jsonl"
    done.parent.mkdir(parents=True, exist_ok=True)
    parts = [json.loads(line) for line in done.read_text().splitlines()] if done.exists() else []
    parts = [part for part in parts if part["commit"] == code]
    for number in range(len(parts), -(-cases // a_part)):
        wanted = min(a_part, cases - number * a_part)
        parts.append({"commit": code, "part": number, **_part(wanted, f"{seed} {number}", play, played)})
        with done.open("a") as file:
            file.write(json.dumps(parts[-1]) + "\n")
    total = sum((Counter(part["played"]) for part in parts), Counter[str]())
    assert total["full"] >= cases
    return total, sum(part["seconds"] for part in parts)


def _part(wanted: int, seed: str, play: Callable[[int, int], None], played: Counter[str]) -> dict[str, Any]:
    played.clear()
    began = _core_seconds()
    gc.disable()  # a tenth of the time; what a part leaves behind fits in memory
    for more in range(ROUNDS_MAX):
        if played["full"] < wanted:
            play(wanted - played["full"], random.Random(f"{seed} {more}").getrandbits(64))
    gc.enable()
    gc.collect()
    return {"seconds": round(_core_seconds() - began, 2), "played": dict(played)}


def _core_seconds() -> float:
    """The seconds that this process and the ended ones that it started have used."""
    return sum(os.times()[:4])
