"""French and English stand beside each other, and neither has a word that only we use."""

from __future__ import annotations

import re
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from jinja2 import Environment, FileSystemLoader

import appliance.portal
from appliance.portal.base.language import _DAYS, _MONTHS, _SIZES, Words, english
from appliance.portal.dashboard.pages import NAME
from appliance.portal.dashboard.shown import SAID
from appliance.portal.pages.home import OPEN_TO_EVERYBODY, PLACES

PORTAL = Path(appliance.portal.__file__).parent
# \b t("...") and n(count, "one", "many"); a text in single quotes stands inside an attribute.
TEXT = re.compile(r"""\bt\(\s*(?:"([^"]*)"|'([^']*)')""")
COUNTED = re.compile(r"""\bn\([^"]*"([^"]*)",\s*"([^"]*)"\)""")
OURS = re.compile(r"archive|dépôt|snapshot|repository|borg|génération|instantané|backup", re.IGNORECASE)
PARIS = ZoneInfo("Europe/Paris")
NOON = 1795604700.0  # 2026-11-25T11:05:00Z


def said() -> set[str]:
    """Every French text of pages, and those that are put together from words of code."""
    found = {text for pair in (*PLACES, *OPEN_TO_EVERYBODY) for text in pair[1:2]}
    for template in PORTAL.rglob("*.html"):
        text = template.read_text()
        found |= {one or other for one, other in TEXT.findall(text)}
        found |= {it for pair in COUNTED.findall(text) for it in pair}
    return found | {NAME, *SAID} | {*_DAYS, *_MONTHS, *_SIZES, "{day} à {hour}"}


def test_every_french_text_has_its_english_one_and_none_is_left_over() -> None:
    assert said() == set(english())


def test_the_page_for_secretaries_names_what_the_pages_show() -> None:
    page = " ".join((Path(__file__).parents[3] / "docs/fr/retrouver-un-fichier.md").read_text().split())
    named = set(re.findall(r"(?<!\*)\*([^*]+)\*(?!\*)", page)) | set(re.findall(r"- \*\*([^*]+)\*\* :", page))
    assert named - {text.replace("{share}", "…") for text in said()} == set()
    assert {"Voir", "Remettre en place", "Enregistrer une copie"} <= named, "what stands beside each version"


def test_a_button_and_what_only_readers_that_speak_say_of_it_are_one_phrase() -> None:
    """It said "Enregistrer une copie la version du 25 novembre"."""
    macros = Environment(loader=FileSystemLoader(PORTAL / "templates"))
    macros.filters |= {"quoted": str, "shown": str}
    text = (
        '{% from "macros.html" import restore_buttons %}'
        '{{ restore_buttons(t, token, "docs-a", "a.odt", "x", "la version du jour", "de la version du jour") }}'
    )
    page = macros.from_string(text).render(t=str, token=str)
    said = " ".join(re.sub(r"<[^>]*>", " ", page).split())
    assert said == "Remettre en place la version du jour Enregistrer une copie de la version du jour"


def test_braces_are_the_same_in_both() -> None:
    braces = re.compile(r"{\w*}")
    assert [it for it, text in english().items() if set(braces.findall(it)) != set(braces.findall(text))] == []


def test_no_text_has_a_word_that_only_we_use() -> None:
    texts = [*english(), *english().values()]
    assert [text for text in texts if OURS.search(text)] == []


@pytest.mark.parametrize(
    ("language", "moment", "size", "counted"),
    [
        ("fr", "mercredi 25 novembre 2026 à 12\u00a0h\u00a005", "1,5\u00a0Mo", "1\u202f200 fichiers."),
        ("en", "Wednesday 25 November 2026 at 12:05", "1.5\u00a0MB", "1,200 files."),
    ],
)
def test_dates_sizes_and_numbers_read_as_people_write_them(language: str, moment: str, size: str, counted: str) -> None:
    words = Words(language, PARIS)
    assert words.moment(NOON) == moment
    assert words.moment(NOON + 7, exact=True) == moment + ("\u00a0min\u00a007\u00a0s" if language == "fr" else ":07")
    assert words.size(1_500_000) == size
    assert words.size(12) == f"12\u00a0{'o' if language == 'fr' else 'B'}"
    assert words.count(1200, "{n} fichier.", "{n} fichiers.") == counted


def test_nothing_is_one_in_french_and_many_in_english() -> None:
    assert Words("fr", PARIS).count(0, "{n} version", "{n} versions") == "0 version"
    assert Words("en", PARIS).count(0, "{n} version", "{n} versions") == "0 versions"
    assert Words("fr", PARIS).day(1793530800.0) == "dimanche 1er novembre 2026"
