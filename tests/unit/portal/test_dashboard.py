"""How the dashboard judges: the table tests/cases/portal/dashboard.yml, and what holds for every row of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from appliance.config.load import load
from appliance.monitor.states import ORDER
from appliance.portal.dashboard import observations
from appliance.portal.dashboard.observations import NOTHING, LastAnswer, Observations, WatchedNode
from appliance.portal.dashboard.overview import Overview, judge
from appliance.portal.dashboard.readings import Reading
from appliance.portal.dashboard.runbooks import runbook
from appliance.portal.dashboard.watch import watts
from tests.unit.portal.dashboard_cases import NOW, observed, whole
from tests.unit.portal.dashboard_cases import watched as seen_of

ROOT = Path(__file__).parents[3]
CASES = yaml.safe_load((ROOT / "tests/cases/portal/dashboard.yml").read_text("utf-8"))
TERRITORY = load(ROOT / "inventory/demo")
EVERY_CASE = [pytest.param(case, id=case["name"].replace(" ", "_")) for case in CASES]


def look(case: Mapping[str, Any]) -> Observations:
    return observed(changed(whole(TERRITORY), case.get("given", {})))


def changed(words: Any, change: Any) -> Any:
    """`words` with those of `change` in their place; null takes one away."""
    if not isinstance(words, dict) or not isinstance(change, dict):
        return change
    both = {**words, **{name: changed(words.get(name), it) for name, it in change.items()}}
    return {name: it for name, it in both.items() if it is not None}


def judged(case: Mapping[str, Any]) -> Overview:
    return judge(TERRITORY, look(case), NOW)


@pytest.mark.parametrize("case", EVERY_CASE)
def test_the_dashboard_judges(case: dict[str, Any]) -> None:
    overview, then = judged(case), case["then"]
    towns = [row.site.name for row in overview.rows]
    assert towns[: len(then.get("towns", ()))] == then.get("towns", [])
    for town, state in then.get("states", {}).items():
        assert (town, row_of(overview, town).state) == (town, state)
    for town, reasons in then.get("reasons", {}).items():
        assert [f"{it.state} {it.alert} {it.subject}" for it in row_of(overview, town).reasons] == reasons
    for town, count in then.get("alerts", {}).items():
        assert row_of(overview, town).alerts == count
    (service,) = overview.services
    for column, (state, value) in then.get("columns", {}).items():
        reading: Reading = getattr(service, column)
        assert (column, reading.state, reading.value) == (column, state, value)
    assert [it.alert for it in overview.elsewhere] == then.get("elsewhere", [])


@pytest.mark.parametrize("case", EVERY_CASE)
def test_the_worst_comes_first_and_each_reason_has_a_page_that_says_what_to_do(case: dict[str, Any]) -> None:
    overview = judged(case)
    states = [ORDER.index(row.state) for row in overview.rows]
    assert states == sorted(states)
    assert {row.site.name for row in overview.rows} == set(TERRITORY.sites)
    for row in overview.rows:
        assert (row.state == "ok") == (not row.reasons)
        assert [ORDER.index(it.state) for it in row.reasons] == sorted(ORDER.index(it.state) for it in row.reasons)
        for it in row.reasons:
            page = runbook(it.alert)
            assert page is not None, it.alert
            assert page.lead, it.alert
            assert page.first_step, it.alert


@pytest.mark.parametrize("case", EVERY_CASE)
def test_what_was_seen_is_read_as_it_was_written_down(case: dict[str, Any], tmp_path: Path) -> None:
    made = look(case)
    observations.save(tmp_path / "portal/seen.json", made)
    assert observations.load(tmp_path / "portal/seen.json") == made


def test_before_the_first_look_everything_is_unknown_and_nothing_is_a_number(tmp_path: Path) -> None:
    assert observations.load(tmp_path / "seen.json") == NOTHING
    for row in judge(TERRITORY, NOTHING, NOW).rows:
        assert (row.state, row.power.value, row.heat.value, row.alerts) == ("unknown", None, None, None)
    (service,) = judge(TERRITORY, NOTHING, NOW).services
    for reading in (service.safe, service.copies, service.drill, service.check, service.room, service.burst):
        assert (reading.state, reading.value) == ("unknown", None)


def test_power_and_heat_that_nobody_measures_are_unknown_and_never_nought() -> None:
    plain = changed(whole(TERRITORY), {"nodes": {"commune-b": {"machine": None}}})
    row = row_of(judge(TERRITORY, observed(plain), NOW), "commune-b")
    assert (row.power.value, row.heat.value) == (None, None)
    row = row_of(judge(TERRITORY, observed(whole(TERRITORY)), NOW), "commune-b")
    assert (row.power.value, row.heat.value) == (12, 41)


def test_a_plug_knows_more_than_the_ups_behind_it() -> None:
    both = changed(whole(TERRITORY), {"nodes": {"commune-b": {"machine": {"ups": 12, "plug": 21.5}}}})
    assert row_of(judge(TERRITORY, observed(both), NOW), "commune-b").power.value == 21.5


def test_the_power_of_a_town_of_which_one_machine_does_not_tell_is_at_least_that_of_the_others() -> None:
    node = TERRITORY.nodes["commune-b"]
    two = replace(TERRITORY, nodes={**TERRITORY.nodes, "commune-b2": replace(node, name="commune-b2")})
    words = whole(TERRITORY)
    words["nodes"]["commune-b2"] = {"machine": {"ups": 8}}
    power = row_of(judge(two, observed(words), NOW), "commune-b").power
    assert (power.value, power.at_least) == (20, False)
    words["nodes"]["commune-b2"] = {"machine": {"celsius": 40}}
    power = row_of(judge(two, observed(words), NOW), "commune-b").power
    assert (power.value, power.at_least) == (12, True)


@pytest.mark.parametrize(
    ("column", "readings", "shown"),
    [
        ("burst", (Reading(), Reading("ok", 0.9)), Reading("ok", 0.9)),
        ("drill", (Reading(), Reading("warning", 900.0)), Reading("warning", 900.0)),
        ("drill", (Reading(), Reading("ok", 90.0)), Reading()),
        ("room", (Reading(), Reading("failed", 1.1)), Reading("failed", 1.1)),
    ],
)
def test_what_a_service_does_not_tell_hides_nothing_bad_of_another(
    column: str, readings: tuple[Reading, ...], shown: Reading
) -> None:
    row = row_of(judge(TERRITORY, observed(whole(TERRITORY)), NOW), "commune-a")
    seen_now = row.services[0]
    services = tuple(replace(seen_now, **{column: it}) for it in readings)
    assert replace(row, services=services).worst(column)[1] == shown


def test_what_processors_took_is_counted_between_two_answers() -> None:
    before, now = (seen_of("a", {"machine": {"joules": joules}}, at) for joules, at in ((1000, NOW), (1600, NOW + 30)))
    assert watts(before, now) == 20.0
    restarted = seen_of("a", {"machine": {"joules": 5}}, NOW + 30)
    assert watts(before, restarted) is None
    assert watts(WatchedNode(LastAnswer(), LastAnswer()), now) is None
    assert watts(before, seen_of("a", {"machine": {"celsius": 40}}, NOW + 30)) is None


def row_of(overview: Overview, town: str) -> Any:
    found = overview.row(town)
    assert found is not None
    return found
