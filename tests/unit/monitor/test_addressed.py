"""A notification finds its addressees by the roster, and by the settings alone where there is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from appliance.config.load import parse
from appliance.errors import UsageError
from appliance.monitor.duty.addressed import addressed, incident_of
from appliance.monitor.duty.alertmanager import AlertSites
from appliance.monitor.duty.calling import Acknowledgement
from appliance.monitor.duty.plan import plan_json, read_plan
from appliance.monitor.duty.service import Acknowledgements
from appliance.monitor.duty.tokens import ALERTS_MAX, KEY_BYTES, Asked, read_token
from appliance.monitor.letter import write
from appliance.monitor.outbox_server import read_settings
from tests.unit.monitor.notifications import notification

GOOD = (Path(__file__).parents[2] / "cases/territory/good.yml").read_text("utf-8")
PEOPLE = """people:
  alice: {title: Alice Martin, addressees: [alice-mail, sms]}
  bob: {title: Bob Petit, addressees: [bob-mail, sms]}
duty:
  rotation: [alice, bob]
  since: 2026-W49
"""
BEFORE, AFTER = GOOD.partition("people:\n")[0], GOOD[GOOD.index("external:\n") :]
TERRITORY = parse((BEFORE + PEOPLE + AFTER).encode(), name="territory.yml")
VALUES = json.loads(json.dumps(plan_json(TERRITORY)))
PLAN = read_plan(VALUES)
SETTINGS: dict[str, Any] = {
    "receivers": {"regie": ["team"], "astreinte": ["team", "sms"], "recapitulatif": ["team"]},
    "addressees": {it: {"url": "http://x"} for it in ("team", "sms", "alice-mail", "bob-mail")},
    "duty": VALUES,
}
NOW = 1_796_299_800.0  # Thursday of the week 49
FIRED = notification(("firing", "critical", "docs : rien chez b"))
FIRED["alerts"][0] |= {"startsAt": "2026-12-03T11:00:00.123456789Z"}
FIRED["alerts"][0]["labels"]["node"] = "attichy"
FIRED["alerts"][0]["fingerprint"] = MARK = "0123456789abcdef"


def told(receiver: str, sent: dict[str, Any] = FIRED, *acknowledged: Acknowledgement) -> list[tuple[str, ...]]:
    return [it.addressees for it in addressed(SETTINGS, PLAN, receiver, sent, NOW, acknowledged)]


def test_the_plan_of_a_territory_comes_back_as_it_was() -> None:
    assert PLAN is not None
    assert PLAN.roster == TERRITORY.duty
    assert PLAN.persons["bob"].addressees == ("bob-mail", "sms")
    assert (PLAN.sites["attichy"], VALUES["steps"]) == ("attichy", 2)


def test_each_step_has_its_person() -> None:
    assert told("astreinte") == [("alice-mail", "sms")]
    assert told("astreinte-2") == [("bob-mail", "sms")]
    assert told("regie-3") == [()]


def test_the_weekly_digest_is_for_its_own_receiver_and_an_unknown_one_is_refused() -> None:
    assert told("recapitulatif") == [("team",)]
    for receiver in ("moon", "astreinte-1", "astreinte-10", "regie-2/x"):
        with pytest.raises(UsageError, match="there is no receiver"):
            told(receiver)


def test_without_a_roster_everything_is_as_before() -> None:
    settings = {name: value for name, value in SETTINGS.items() if name != "duty"}
    assert plan_json(parse(GOOD.encode(), name="territory.yml")) == {}
    assert read_plan({}) is None
    [it] = addressed(settings, None, "astreinte", FIRED, NOW)
    assert (it.addressees, it.notification) == (("team", "sms"), FIRED)
    with pytest.raises(UsageError, match='no receiver "astreinte-2"'):
        addressed(settings, None, "astreinte-2", FIRED, NOW)


def test_a_roster_of_which_nobody_can_be_reached_leaves_the_addressees_of_before() -> None:
    nobody = read_plan({**VALUES, "persons": []})
    assert [it.addressees for it in addressed(SETTINGS, nobody, "regie", FIRED, NOW)] == [("team",)]


def test_what_has_no_readable_beginning_is_told_all_the_same() -> None:
    for start in (None, "yesterday", "2026-12-03T11:00:00", 3):
        sent = {**FIRED, "alerts": [{**FIRED["alerts"][0], "startsAt": start}]}
        acknowledged = Acknowledgement(MARK, "alice", NOW - 60, NOW + 60)
        assert told("astreinte-2", sent, acknowledged) == [("bob-mail", "sms")], start


def test_what_was_acknowledged_reaches_nobody_further() -> None:
    acknowledged = Acknowledgement(MARK, "alice", NOW - 60, NOW + 60)
    assert told("astreinte-2", FIRED, acknowledged) == [()]
    assert told("astreinte", FIRED, acknowledged) == [("alice-mail", "sms")]


def test_an_alert_of_a_whole_site_is_about_that_site_and_one_of_several_nodes_about_none() -> None:
    alert = FIRED["alerts"][0]
    of_site = {**alert, "labels": {"alertname": "MairieInjoignable", "site": "attichy"}}
    elsewhere = {**alert, "labels": {**alert["labels"], "node": "tracy"}}
    assert incident_of({**FIRED, "alerts": [of_site]}, NOW, urgent=True).place == "attichy"
    assert incident_of({**FIRED, "alerts": [alert, elsewhere]}, NOW, urgent=True).place == ""


def test_in_a_hole_everybody_is_told_once_at_each_of_their_addressees() -> None:
    hole = read_plan({**VALUES, "rotation": [], "since": "", "weeks": {"2026-W40": ["alice"], "2026-W41": ["bob"]}})
    found = addressed(SETTINGS, hole, "astreinte", FIRED, NOW)
    assert [it.addressees for it in found] == [("alice-mail", "sms"), ("bob-mail",)]
    assert "Personne n'est d'astreinte en semaine 49 : tout le tour" in write(found[0].notification).text


def test_a_letter_names_its_person_and_says_when_the_next_person_is_called() -> None:
    [first] = addressed(SETTINGS, PLAN, "astreinte", FIRED, NOW)
    text = write(first.notification).text
    assert "Pour Alice Martin, d'astreinte en semaine 49.\n" in text
    assert "Dans 30 min, la personne suivante est appelée si l'alerte dure encore.\n" in text
    [last] = addressed(SETTINGS, PLAN, "astreinte-2", FIRED, NOW)
    text = write(last.notification).text
    assert "Pour Bob Petit : l'alerte dure depuis plus de 30 min.\n" in text
    assert "la personne suivante" not in text, "there is none"


def test_a_letter_has_the_link_of_its_person_and_the_command_and_the_end_of_an_alert_has_neither() -> None:
    assert PLAN is not None
    service = Acknowledgements(PLAN, AlertSites(()), bytes(KEY_BYTES), "https://site.example")
    [first] = addressed(SETTINGS, PLAN, "astreinte", FIRED, NOW)
    text = write(service.with_link(first, NOW).notification).text
    token = text.partition("Je m'en occupe : https://site.example/prise-en-charge/")[2].partition("\n")[0]
    assert read_token(bytes(KEY_BYTES), token) == Asked("alice", (MARK,), int(NOW))
    assert f"appliance monitor acknowledge {MARK} --operator alice --key CLEF\n" in text
    assert "est appelée si l'alerte dure encore, sauf si quelqu'un dit qu'il s'en occupe.\n" in text
    ended = {**FIRED, "status": "resolved", "alerts": [{**FIRED["alerts"][0], "status": "resolved"}]}
    [last] = addressed(SETTINGS, PLAN, "astreinte", ended, NOW)
    assert "occupe" not in write(service.with_link(last, NOW).notification).text


def test_without_pages_or_with_too_many_alerts_a_letter_has_no_link() -> None:
    assert PLAN is not None
    many = {**FIRED, "alerts": FIRED["alerts"] * (ALERTS_MAX + 1)}
    for pages, sent in (("", FIRED), ("https://site.example", many)):
        [it] = addressed(SETTINGS, PLAN, "astreinte", sent, NOW)
        letter = Acknowledgements(PLAN, AlertSites(()), bytes(KEY_BYTES), pages).with_link(it, NOW)
        assert "Je m'en occupe" not in write(letter.notification).text


def test_the_end_of_an_alert_calls_nobody_further() -> None:
    ended = {**FIRED, "status": "resolved", "alerts": [{**FIRED["alerts"][0], "status": "resolved"}]}
    [it] = addressed(SETTINGS, PLAN, "astreinte", ended, NOW)
    assert write(it.notification).text.endswith("Pour Alice Martin, d'astreinte en semaine 49.\n")


def test_settings_that_do_not_say_how_a_person_is_reached_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "settings"
    addressees = {it: value for it, value in SETTINGS["addressees"].items() if it != "bob-mail"}
    file.write_text(json.dumps({**SETTINGS, "addressees": addressees}))
    with pytest.raises(UsageError, match="bob is reached by bob-mail, not described"):
        read_settings(file)
    file.write_text(json.dumps({**SETTINGS, "duty": {"rotation": ["alice"]}}))
    with pytest.raises(UsageError, match="the roster of the queue cannot be read"):
        read_settings(file)
