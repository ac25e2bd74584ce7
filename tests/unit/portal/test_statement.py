"""The declaration of accessibility names the territory, its date, and the address to write to, as the law has it."""

from __future__ import annotations

import html
import json
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

import appliance.portal
from appliance.config.load import load
from appliance.portal.base.forms import Fields
from appliance.portal.base.language import Words
from appliance.portal.base.templates import Templates
from appliance.portal.base.web_app import Visit
from appliance.territory import codec
from tests.worlds.demo import INVENTORY


def statement(language: str, contact: str) -> str:
    templates = Templates(
        Path(appliance.portal.__file__).parent / "templates",
        territory="Pays <du> Lavoir",
        node="lavoir",
        contact=contact,
    )
    visit = Visit("/accessibilite", Fields(), Fields(), Words(language, ZoneInfo("Europe/Paris")), 0.0, "")
    return html.unescape(templates.render(visit, "accessibility.html"))


@pytest.mark.parametrize(
    ("language", "says"),
    [
        ("fr", ("Pays <du> Lavoir s'engage", "boîtier lavoir", "établie le jeudi 26 novembre 2026", "aucun audit")),
        ("en", ("Pays <du> Lavoir undertakes", "box lavoir", "made on Thursday 26 November 2026", "no audit")),
    ],
)
def test_it_says_who_answers_for_it_since_when_and_that_no_person_has_audited_it(
    language: str, says: tuple[str, ...]
) -> None:
    page = statement(language, "regie@lavoir.example")
    assert [it for it in (*says, "regie@lavoir.example", "Défenseur des droits", "axe-core") if it not in page] == []


def test_where_nobody_is_named_it_sends_people_to_their_town_hall() -> None:
    assert "dites-le à votre mairie ou à la régie" in statement("fr", "")


def test_whom_to_write_to_is_signed_with_the_territory_and_may_be_missing() -> None:
    territory = load(INVENTORY)
    plain = codec.to_json(territory)
    assert codec.from_json(json.loads(json.dumps(plain))).contact == territory.contact == "la régie, 03 00 00 00 00"
    del plain["contact"]
    assert codec.from_json(plain).contact == "", "an older bundle"
