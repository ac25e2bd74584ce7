"""The decisions of the agent from a view: the table tests/cases/agent/decide.yml, and what no row can show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from appliance.agent.decide import decide
from appliance.agent.decisions import Check, Decision, Push, Scrub, Wait, Work, from_words, to_words
from appliance.agent.intervals import Intervals
from appliance.units import DAY, GIB
from tests.unit.monitor.views import AGE, now, view

CASES = yaml.safe_load((Path(__file__).parents[2] / "cases/agent/decide.yml").read_text("utf-8"))


def told(decision: Decision) -> str:
    assert isinstance(decision, Work)
    assert decision.reason, "a decision without a reason"
    return " ".join((decision.kind, decision.service, *decision.concerned))


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"].replace(" ", "_")) for case in CASES])
def test_the_agent_decides(case: dict[str, Any]) -> None:
    moment = now(case.get("now", ""))
    seen = view(moment, case["given"])
    if "age" in case:
        moment = now(case.get("now", ""), AGE + case["age"])
    *begun, wait = decide(seen, moment, Intervals())
    assert [told(decision) for decision in begun] == case["then"]
    assert isinstance(wait, Wait)
    assert wait.seconds == case.get("wait", 30)
    assert wait.reason


def test_names_of_cases_are_told_apart() -> None:
    assert len({case["name"] for case in CASES}) == len(CASES)


def test_the_same_view_gives_the_same_decisions() -> None:
    seen = view(now(), {"written": [{"sequence": 3, "sealed": "2h", "at": []}], "held": [{}]})
    assert decide(seen, now(), Intervals()) == decide(seen, now(), Intervals())


def test_waits_after_failures_double_and_are_bounded_by_an_hour_and_a_quarter_for_pushes() -> None:
    intervals = Intervals()
    assert [intervals.retry_seconds("backup", count) for count in range(1, 9)] == [
        60,
        120,
        240,
        480,
        960,
        1920,
        3600,
        3600,
    ]
    assert [intervals.retry_seconds("push", count) for count in range(1, 7)] == [60, 120, 240, 480, 900, 900]
    assert intervals.retry_seconds("backup", 10**6) == 3600


def test_a_scrub_reads_the_whole_quota_in_four_weeks() -> None:
    seen = view(now(), {"held": [{}], "attempts": {"exchange docs-z": {"ok": "1m"}}})
    scrub = next(decision for decision in decide(seen, now(), Intervals()) if isinstance(decision, Scrub))
    assert 28 * scrub.budget >= 99 * GIB


def test_nothing_due_waits_no_longer_than_a_look_and_says_what_comes() -> None:
    seen = view(now(), {"written": [{"daily": "21:00", "sequence": 3, "sealed": "6h"}]})
    (wait,) = decide(seen, now(), Intervals(look_seconds=5))
    assert isinstance(wait, Wait)
    assert wait == Wait(5, "nothing to do; next is backup docs-a in 8 h")
    assert wait.seconds < DAY


def test_a_decision_survives_the_command_line_of_its_worker() -> None:
    work = Push("docs-a", "generation 2.7 is not yet at « Bé »", ("hermitage", "commune-b"))
    assert from_words(*to_words(work)) == work


def test_new_nodes_spread_their_first_checks_over_the_week() -> None:
    held = {"held": [{"service": name} for name in ("docs-x", "docs-y", "docs-z")]}
    done = {f"{kind} {it['service']}": {"ok": "1m"} for kind in ("exchange", "scrub", "thin") for it in held["held"]}
    first: dict[str, int] = {}
    for day in range(8):
        seen = view(now(age=day * DAY), {**held, "attempts": done})
        checked = {it.service for it in decide(seen, now(age=day * DAY), Intervals()) if isinstance(it, Check)}
        first = {**dict.fromkeys(checked, day), **first}
    assert len(set(first.values())) > 1


def test_a_backup_that_reads_longer_than_its_interval_lets_tidy_and_catalogue_have_their_turns() -> None:
    """Three days of a service that is due every hour and takes 70 minutes, dated by its start; other works take ten."""
    begun = list[str]()
    last: dict[str, dict[str, str]] = {"verify docs-a": {"ok": "1h"}, "drill docs-a": {"ok": "1h"}}
    minute, sequence, sealed, mark = 0, 30, -70, ""
    begun_at = {"tidy docs-a": -25 * 60, "catalogue docs-a": -70, "backup docs-a": 0}
    while minute < 3 * 24 * 60:
        attempts = {name: {"ok": f"{minute - at}m", "mark": mark} for name, at in begun_at.items()}
        newest = {"service": "docs-a", "sequence": sequence, "sealed": f"{minute - sealed}m", "every": 1}
        given = {
            "written": [newest],
            "readable": [{"service": "docs-a", "source": "local", "sequence": sequence}],
            "attempts": {**last, **attempts},
        }
        works = [it for it in decide(view(now(), given), now(), Intervals()) if isinstance(it, Work)]
        work = next((it for it in works if told(it) in begun_at), None)
        if work is None:
            minute += 10
            continue
        begun.append(work.kind)
        mark = f"00002.{sequence:010}.aaaaaaaaaaaaaaaa" if work.kind == "catalogue" else mark
        sealed, sequence = (minute, sequence + 1) if work.kind == "backup" else (sealed, sequence)
        begun_at[told(work)] = minute
        minute += 70 if work.kind == "backup" else 10
    assert begun.count("tidy") >= 3
    assert begun.count("catalogue") >= 24
    assert begun.count("backup") >= 48, "and they do not starve it"
