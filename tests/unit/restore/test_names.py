"""People know a part of a name, without its accents."""

from __future__ import annotations

import pytest

from appliance.restore.names import match_expression, normal_form, words_of

FORMS = [
    ("Délibération n°12.ODT", "deliberation n°12.odt"),
    ("ÉTÉ", "ete"),
    ("e\u0301te\u0301", "ete"),
    ("Œuvre d’art", "oeuvre d'art"),
    ("STRASSE Straße", "strasse strasse"),
    ("bad\udcff", "bad\ufffd"),
    ("ﬁche", "fiche"),
]


@pytest.mark.parametrize(("text", "form"), FORMS)
def test_accents_and_case_are_left_aside(text: str, form: str) -> None:
    assert normal_form(text) == form


def test_a_term_is_its_words() -> None:
    assert words_of("  Budget\t2026 ") == ("budget", "2026")
    assert words_of(" ") == ()


@pytest.mark.parametrize(
    ("words", "expression"),
    [
        (("budget",), '"bud" AND "dge" AND "get" AND "udg"'),
        (("de", "a1b"), '"a1b"'),
        (("de", "la"), ""),
        (('a"b',), '"a""b"'),
    ],
)
def test_words_become_groups_of_three_letters(words: tuple[str, ...], expression: str) -> None:
    assert match_expression(words) == expression
