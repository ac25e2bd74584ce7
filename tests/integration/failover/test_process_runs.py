"""Seeded runs of failover between real programs, judged by the checker: one in CI, many in `make soak`.

`make soak SUITE=soak_of_failover_processes N=100`; what breaks a promise is left in `build/failover/`, and a
line of each run that was judged in `build/failover/runs.jsonl`: a soak that was cut says what it saw.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from appliance_lab.processes.run import play
from tests.integration.failover.conftest import Begin

FOLDER = Path("build/failover")


MAY_BE_UNKNOWN = {"F4", "F6"}
"""The promises on takeovers and on leases that end: not every run has one."""
IN_A_SOAK = ("takeover", "handover", "demotion", "alone", "resume", "divergence", "copy")
"""The events that many runs together must have seen; refusals by vaults have tests of their own."""
MANY_RUNS = 50


@pytest.mark.slow
def test_soak_of_failover_processes(begin: Begin, seed: int, soak_runs: int | None) -> None:
    seen: Counter[str] = Counter()
    for run in range(soak_runs or 1):
        seen += _one(begin, seed * 1000 + run)
    if (soak_runs or 1) >= MANY_RUNS:
        assert [it for it in IN_A_SOAK if not seen[it]] == [], "never came about, so nothing is proven of it"


def test_a_run_with_faults_drawn_by_the_seed_of_the_day_keeps_every_promise(begin: Begin, seed: int) -> None:
    _one(begin, seed)


def _one(begin: Begin, seed: int) -> Counter[str]:
    """Judge the run of `seed`; how often what came about in it."""
    policy = random.Random(seed).choice(("exclusive", "local-first"))
    world = begin(policy, disturbed=True)
    report = play(world, seed)
    broken = {it.name: it.sentence for it in report.findings if it.verdict == "violated"}
    unknown = [it.name for it in report.findings if it.verdict == "unknown"]
    history = world.history()
    FOLDER.mkdir(parents=True, exist_ok=True)
    if broken:
        (FOLDER / f"processes-{seed}.jsonl").write_text("\n".join(history) + "\n")
    faults = [it["fault"] for it in map(json.loads, history) if it["event"] == "fault"]
    told = {"seed": seed, "policy": policy, "faults": faults, "broken": broken, "unknown": unknown}
    with (FOLDER / "runs.jsonl").open("a") as file:
        file.write(json.dumps({**told, "sometimes": dict(report.sometimes)}) + "\n")
    assert broken == {}, f"seed {seed}, {policy}"
    assert set(unknown) <= MAY_BE_UNKNOWN, f"seed {seed}, {policy}: it proves nothing of these"
    return Counter(report.sometimes)
