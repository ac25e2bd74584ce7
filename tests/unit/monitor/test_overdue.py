"""An alert that was acknowledged and still lasts calls again: the persons, the moment, and the words."""

from __future__ import annotations

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from appliance.clock import utc_seconds
from appliance.monitor.duty.addressed import CALLED, addressed
from appliance.monitor.duty.alertmanager import AlertSites, Firing
from appliance.monitor.duty.call_again import notification
from appliance.monitor.duty.calling import Acknowledgement, CalledAgain, DutyPlan, OnCall
from appliance.monitor.duty.overdue import Again, due, said
from appliance.monitor.letter import write
from appliance.territory.duty import Roster
from appliance.units import DAY, HOUR, MINUTE

BEGAN = utc_seconds("2026-12-01T10:00:00Z")  # Tuesday of the week 49
MARK = "0" * 16
ALERT = Firing(MARK, "DisqueMalade", "attichy", "critical", "le disque", BEGAN, "Il écrit mal.", "https://x/y.md")
NAMES = ("alice", "bob", "carol")
ROSTER = Roster(rotation=NAMES, since="2026-W49")
PERSONS = {it: OnCall(it, (f"{it}-mail",), (), it.title()) for it in NAMES}
PLAN = DutyPlan(ROSTER, PERSONS, ZoneInfo("Europe/Paris"), {}, {"maire": "Le maire", "bob": "Bob Petit"})
BY = Acknowledgement(MARK, "bob", BEGAN + MINUTE, BEGAN + MINUTE + DAY)
END = BY.until
WAIT = ROSTER.urgent_after_seconds


def calls(
    now: float,
    *called: CalledAgain,
    firing: tuple[Firing, ...] = (ALERT,),
    plan: DutyPlan = PLAN,
    by: Acknowledgement = BY,
) -> list[tuple[int, tuple[str, ...]]]:
    return [(it.step, it.persons) for it in due(firing, (by,), called, now, plan)]


def noted(step: int, at: float, *persons: str) -> CalledAgain:
    return CalledAgain(MARK, step, persons, at)


def test_it_begins_with_who_is_on_duty_and_who_had_it_and_goes_on_after_the_usual_wait() -> None:
    assert calls(END - 1) == []
    assert calls(END) == [(1, ("alice", "bob"))]
    first = noted(1, END + 5, "alice", "bob")
    assert calls(END + WAIT, first) == []
    assert calls(END + 5 + WAIT, first) == [(2, ("carol",))]
    assert calls(END + 9 * WAIT, first, noted(2, END + 2 * WAIT, "carol")) == [], "there is nobody further"


def test_after_days_without_power_one_step_is_due_and_not_all_of_them() -> None:
    assert calls(END + 3 * DAY) == [(1, ("alice", "bob"))]


def test_the_person_on_duty_is_that_of_the_week_in_which_the_acknowledgement_ended() -> None:
    sunday = utc_seconds("2026-12-06T10:00:00Z")
    by = replace(BY, person="carol", at=sunday, until=sunday + DAY)
    assert calls(sunday + DAY, by=by) == [(1, ("bob", "carol"))]


def test_somebody_without_a_week_who_had_it_is_not_called() -> None:
    assert calls(END, by=replace(BY, person="maire")) == [(1, ("alice",))]


def test_a_hole_in_the_roster_calls_everybody_once() -> None:
    hole = replace(PLAN, roster=Roster(weeks={"2026-W52": NAMES}))
    assert hole.roster.on_duty("2026-W49") == ()
    assert calls(END, plan=hole) == [(1, NAMES)]
    assert calls(END + DAY, noted(1, END, *NAMES), plan=hole) == []


@pytest.mark.parametrize(
    ("firing", "known"),
    [
        pytest.param((), (BY,), id="it ended"),
        pytest.param((replace(ALERT, began=END - 60),), (BY,), id="it ended and began again"),
        pytest.param((replace(ALERT, suppressed=True),), (BY,), id="a silence, or a stronger alert, holds it back"),
        pytest.param((ALERT,), (BY, replace(BY, at=END - 60, until=END + DAY)), id="somebody took it over"),
        pytest.param((ALERT,), (), id="nobody acknowledged it"),
    ],
)
def test_nothing_else_calls_again(firing: tuple[Firing, ...], known: tuple[Acknowledgement, ...]) -> None:
    assert due(firing, known, (), END, PLAN) == ()


def test_a_second_acknowledgement_that_ends_begins_a_second_round() -> None:
    second = replace(BY, at=END + HOUR, until=END + HOUR + DAY)
    [found] = due((ALERT,), (BY, second), (noted(1, END, "alice", "bob"),), second.until, PLAN)
    assert (found.step, found.persons) == (1, ("alice", "bob"))


def test_the_second_site_waits_for_the_first() -> None:
    assert due((ALERT,), (BY,), (), END + 60, PLAN, patience_seconds=120) == ()
    assert len(due((ALERT,), (BY,), (), END + 120, PLAN, patience_seconds=120)) == 1
    first, second = (AlertSites((own, "https://a", "https://b")) for own in ("https://a", "https://b"))
    assert (first.rank, second.rank, AlertSites(()).rank) == (0, 1, 0)


def test_alerts_of_one_name_that_were_acknowledged_together_are_one_call() -> None:
    other = replace(ALERT, fingerprint="1" * 16, place="bitry")
    known = (BY, replace(BY, fingerprint=other.fingerprint))
    [found] = due((ALERT, other, replace(ALERT, alert="Else", fingerprint="2" * 16)), known, (), END, PLAN)
    assert (found.alerts, found.incident.place) == ((ALERT, other), "")


def letter(again: Again, name: str) -> str:
    return write({**notification(again, END), CALLED: said(name, again, PLAN)}).text


def test_the_letter_says_who_had_it_and_who_comes_next() -> None:
    [again] = due((ALERT,), (BY,), (), END, PLAN)
    text = letter(again, "alice")
    assert "Bob Petit s'occupait de l'alerte depuis 2026-12-01T10:01:00Z ; elle dure encore après 24 h." in text
    assert "Pour Alice, d'astreinte en semaine 49." in text
    assert "Dans 30 min, la personne suivante est appelée" in text
    assert "Que faire : https://x/y.md" in text
    [last] = due((ALERT,), (BY,), (noted(1, END, "alice", "bob"),), END + DAY, PLAN)
    assert "la personne suivante" not in letter(last, "carol")


def test_who_was_called_again_learns_of_the_end_once() -> None:
    """Bob was called in the first round, too, whose step tells him of the end; Carol was not."""
    alert = {
        "status": "resolved",
        "labels": {"alertname": ALERT.alert, "severity": "critical", "node": "attichy"},
        "annotations": {},
        "startsAt": "2026-12-01T10:00:00Z",
        "endsAt": "2026-12-03T10:00:00Z",
        "fingerprint": MARK,
    }
    told = {"status": "resolved", "alerts": [alert]}
    by = replace(BY, at=BEGAN + WAIT + 60, until=BEGAN + WAIT + 60 + DAY)
    called = (noted(1, by.until, "alice"), noted(2, by.until + WAIT, "bob"), noted(3, by.until + 2 * WAIT, "carol"))
    steps = {
        receiver: [it.addressees for it in addressed({}, PLAN, receiver, told, by.until + DAY, (by,), called)]
        for receiver in ("astreinte", "astreinte-2", "astreinte-3")
    }
    assert steps == {
        "astreinte": [("alice-mail",), ("carol-mail",)],
        "astreinte-2": [("bob-mail",)],
        "astreinte-3": [()],
    }
    before = [noted(1, BEGAN - DAY, "carol")]
    assert len(addressed({}, PLAN, "astreinte", told, by.until + DAY, (by,), before)) == 1, "of the time before"
