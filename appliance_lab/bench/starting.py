"""How long the command line takes until it answers: the program, groups of verbs, and two verbs that read much."""

from __future__ import annotations

import time

from appliance.errors import ApplianceError
from appliance.host.command import run
from appliance_lab.bench.bench import Bench
from appliance_lab.bench.figures import Figure, Goal
from appliance_lab.checkout import appliance_argv, code_folder

GOAL_SECONDS = 0.15
GROUPS = ("", "backup", "lab")
VERBS = ("restore find", "status")


def starts(bench: Bench) -> tuple[Figure, ...]:
    """Each started in turn with --help, compiled before; verbs also load what reads a node's signed documents."""
    seconds: dict[str, list[float]] = {words: [] for words in (*GROUPS, *VERBS)}
    for words in seconds:
        _start(words)
    for _ in bench.runs("starts of the command line"):
        for words, taken in seconds.items():
            taken.append(_start(words))
    return tuple(
        Figure(
            f"start-{words.replace(' ', '-') or 'appliance'}",
            " ".join(("start of appliance", *words.split(), "--help")),
            "s",
            tuple(taken),
            goal=Goal(GOAL_SECONDS) if words in GROUPS else None,
        )
        for words, taken in seconds.items()
    )


def _start(words: str) -> float:
    """Seconds on the clock."""
    argv = (*appliance_argv(), *words.split(), "--help")
    started = time.monotonic()
    result = run(argv, timeout_seconds=60, env={"PYTHONPATH": str(code_folder())})
    if result.exit_code != 0:
        raise ApplianceError(f"{' '.join(argv)} ended with {result.exit_code}: {result.tail()}")
    return time.monotonic() - started
