"""The alerts of what a node knows are made from its checks: table, texts and rules agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from appliance.monitor.checks import ALERTS, CHECKS, alert_of, page_of
from appliance.monitor.states import ORDER, State
from appliance_lab.pages.alerts import SOURCE, rules
from tests.unit.monitor.status_cases import CASES

ROOT = Path(__file__).parents[3]
WORDS: dict[str, dict[str, Any]] = {
    it["alert"]: it for group in yaml.safe_load(SOURCE.read_text("utf-8")) for it in group["rules"] if "alert" in it
}
REASONS = ("absence", "comparison", "history", "machine", "site")
JUDGED_ELSEWHERE = {"disk-health", "voter", "keys", "pages", "public-certificate", "lock", "lock-probe"}
"""By root's programs and the voter's own care, which have tests of their own; of the lock test_measures has facts."""
EVERY_STATE = [pytest.param(check, state, id=f"{check}-{state}") for check in CHECKS for state in ORDER]


def test_what_is_committed_is_what_the_table_makes() -> None:
    assert (ROOT / "roles/monitoring/files/alerts.rules").read_text("utf-8") == rules(), "make docs"


def test_an_alert_is_made_from_checks_or_says_why_no_check_can_give_it() -> None:
    assert {name for name, it in WORDS.items() if "expr" not in it} == set(ALERTS)
    written = {name: it for name, it in WORDS.items() if "expr" in it}
    assert {name for name, it in written.items() if it.get("because") not in REASONS} == set()
    assert [name for name, it in written.items() if "check_state" in it["expr"]] == []
    assert [name for name, it in WORDS.items() if ("severity" in it) != (name in written)] == []


def test_a_check_names_a_page_where_no_alert_watches_it() -> None:
    watched = {check for it in ALERTS.values() for check in it.checks}
    assert {name for name, it in CHECKS.items() if not it.page} == watched


@pytest.mark.parametrize(("check", "state"), EVERY_STATE)
def test_each_answer_of_a_check_has_a_page(check: str, state: State) -> None:
    assert (ROOT / f"docs/runbooks/{alert_of(check, state)}.md").is_file()


def test_of_two_alerts_about_one_state_the_narrower_one_is_named() -> None:
    assert alert_of("backup-age", "warning") == "SauvegardeEnRetard"
    assert alert_of("backup-age", "failed") == "SauvegardeTresEnRetard"
    assert alert_of("backup-age", "unknown") == "HorlogeFausse"
    assert alert_of("copies", "warning") == page_of("copies") == "CopiesInsuffisantes"


def test_for_each_alert_some_facts_give_the_state_in_which_it_fires() -> None:
    given = {(check, state) for case in CASES for check, state in case.get("checks", {}).items()}
    for name, alert in ALERTS.items():
        for check in set(alert.checks) - JUDGED_ELSEWHERE:
            assert {state for one, state in given if one == check} & set(alert.states), name
