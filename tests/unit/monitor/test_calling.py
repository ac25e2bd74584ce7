"""The persons who are called for an alert: the table of cases, and that nobody is ever left out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from appliance.monitor.duty.calling import (
    STEPS_MAX,
    Acknowledgement,
    Cause,
    DutyPlan,
    Incident,
    OnCall,
    call_order,
    who_is_called,
)
from appliance.territory.duty import Roster, weeks_from
from appliance.units import HOUR

CASES = yaml.safe_load((Path(__file__).parents[2] / "cases/monitor/called.yml").read_text("utf-8"))
BEGAN = ("began", "also")
PARIS = ZoneInfo("Europe/Paris")
TURNS = ("alice", "bob", "carol")
WEEKS = {week: (TURNS[index % 3],) for index, week in enumerate(weeks_from("2026-W49", "2026-W52"))}
PLAN = DutyPlan(
    Roster(weeks=WEEKS),
    {
        "alice": OnCall("alice", ("alice-mail",)),
        "bob": OnCall("bob", ("bob-mail",), ("bitry", "attichy")),
        "carol": OnCall("carol", ("carol-mail",)),
    },
    PARIS,
    {"bitry-1": "bitry", "attichy": "mairie", "jaulzy": "jaulzy"},
)


def seconds(local: Any) -> float:
    return datetime.fromisoformat(str(local)).replace(tzinfo=PARIS).timestamp()


def incident(given: Mapping[str, Any]) -> Incident:
    causes = tuple(Cause(f"{number:016x}", seconds(given[it])) for number, it in enumerate(BEGAN) if it in given)
    return Incident("SiteInjoignable", given["node"], given.get("urgent", True), given.get("firing", True), causes)


def acknowledged(given: Mapping[str, Any]) -> tuple[Acknowledgement, ...]:
    return tuple(
        Acknowledgement(f"{it.get('of', 0):016x}", it["by"], seconds(it["at"]), seconds(it["at"]) + 24 * HOUR)
        for it in given.get("acknowledged", ())
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"].replace(" ", "_"))
def test_the_table_says_who_is_called_and_why(case: Mapping[str, Any]) -> None:
    given = case["given"]
    known = acknowledged(given) if given.get("known", True) else None
    found = who_is_called(incident(given), given["step"], seconds(given["now"]), PLAN, known)
    assert list(found.persons) == case["then"]["called"]
    assert case["then"]["because"] in found.reason


def test_a_person_of_one_node_can_touch_what_is_about_its_site() -> None:
    assert [PLAN.can_touch("bob", it) for it in ("mairie", "bitry-1", "bitry", "attichy")] == [True] * 4
    assert [PLAN.can_touch("bob", it) for it in ("jaulzy", "a-node-that-nobody-knows")] == [False] * 2


@pytest.mark.parametrize("week", [*WEEKS, "2026-W53", "2030-W01"])
@pytest.mark.parametrize("node", ["", "jaulzy", "attichy", "a-node-that-nobody-knows"])
def test_everybody_is_in_the_order_once_whatever_the_week_and_the_box(node: str, week: str) -> None:
    assert sorted(call_order(node, week, PLAN)) == sorted(TURNS)


def test_a_roster_of_a_hundred_persons_calls_a_bounded_number() -> None:
    names = tuple(f"person-{number}" for number in range(100))
    many = DutyPlan(
        Roster(rotation=names, since="2026-W01"), {it: OnCall(it, (it,)) for it in names}, PARIS, PLAN.sites
    )
    assert call_order("jaulzy", "2026-W02", many) == names[1 : STEPS_MAX + 1]
