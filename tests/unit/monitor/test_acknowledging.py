"""A request to take care of alerts is accepted, found taken by somebody already, or refused with a reason."""

from __future__ import annotations

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from appliance.monitor.duty.acknowledging import LASTS_SECONDS, TOKEN_SECONDS_MAX, Verdict, judge, overdue, taken_by
from appliance.monitor.duty.alertmanager import Firing
from appliance.monitor.duty.calling import Acknowledgement, DutyPlan
from appliance.monitor.duty.tokens import Asked
from appliance.territory.duty import Roster
from appliance.units import DAY, HOUR

BEGAN = 1_796_299_800.0
NOW = BEGAN + HOUR
ALERT = Firing("0" * 16, "DisqueMalade", "attichy", "warning", "le disque", BEGAN)
OTHER = replace(ALERT, fingerprint="1" * 16)
PLAN = DutyPlan(Roster(), {}, ZoneInfo("Europe/Paris"), {}, {"alice": "Alice Martin", "bob": "Bob Petit"})
ASKED = Asked("alice", (ALERT.fingerprint,), BEGAN + 60)


def given(by: str = "alice", at: float = NOW - 60, of: Firing = ALERT) -> Acknowledgement:
    return Acknowledgement(of.fingerprint, by, at, at + LASTS_SECONDS)


def test_what_fires_and_nobody_has_is_open() -> None:
    assert judge(ASKED, (ALERT, OTHER), (), NOW, PLAN) == Verdict("", (ALERT,))


def test_what_somebody_has_stays_theirs_and_the_rest_is_open() -> None:
    both = replace(ASKED, fingerprints=(ALERT.fingerprint, OTHER.fingerprint))
    known = (given("bob"),)
    assert judge(both, (ALERT, OTHER), known, NOW, PLAN) == Verdict("", (OTHER,), ((ALERT, known[0]),))


def test_the_same_link_twice_changes_nothing() -> None:
    known = (given(),)
    assert judge(ASKED, (ALERT,), known, NOW, PLAN) == Verdict("", (), ((ALERT, known[0]),))


@pytest.mark.parametrize(
    ("asked", "firing", "known", "now", "reason"),
    [
        pytest.param(replace(ASKED, person="mallory"), (ALERT,), (), NOW, "unknown", id="nobody of people"),
        pytest.param(ASKED, (), (), NOW, "over", id="it ended"),
        pytest.param(ASKED, (OTHER,), (), NOW, "over", id="another one fires"),
        pytest.param(ASKED, (replace(ALERT, began=NOW - 60),), (), NOW, "over", id="it began again"),
        pytest.param(ASKED, (ALERT,), (), BEGAN + TOKEN_SECONDS_MAX + HOUR, "over", id="a letter of last week"),
        pytest.param(ASKED, (ALERT,), (given(),), NOW + DAY, "used", id="used, and a day has passed"),
    ],
)
def test_a_request_is_refused_with_its_reason(
    asked: Asked, firing: tuple[Firing, ...], known: tuple[Acknowledgement, ...], now: float, reason: str
) -> None:
    assert judge(asked, firing, known, now, PLAN) == Verdict(reason)  # type: ignore[arg-type]


def test_a_link_of_another_person_or_a_later_letter_works_after_a_day() -> None:
    now, known = NOW + DAY, (given(),)
    assert judge(replace(ASKED, person="bob"), (ALERT,), known, now, PLAN).open == (ALERT,)
    assert judge(replace(ASKED, at=now - 60), (ALERT,), known, now, PLAN).open == (ALERT,)


def test_an_acknowledgement_lasts_a_day_and_is_then_overdue_while_the_alert_lasts() -> None:
    known = (given(),)
    assert taken_by(ALERT, known, NOW) == known[0]
    assert overdue(ALERT, known, NOW) is None
    assert (taken_by(ALERT, known, NOW + DAY), overdue(ALERT, known, NOW + DAY)) == (None, known[0])


def test_one_that_was_renewed_is_not_overdue_and_one_of_the_time_before_is_none_at_all() -> None:
    known = (given(), given("bob", NOW + DAY))
    assert overdue(ALERT, known, NOW + DAY + HOUR) is None
    again = replace(ALERT, began=NOW)
    assert (taken_by(again, (given(),), NOW), overdue(again, (given(),), NOW + DAY)) == (None, None)
