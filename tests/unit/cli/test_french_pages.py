"""The French pages of the maintenance team type the very commands of the English ones, in their order."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[3] / "docs"
TYPED = re.compile(r"^ *((?:ansible|ansible-playbook|appliance|apt-get|git|make) .*)$", re.MULTILINE)
BLOCK = re.compile(r"^ *```sh\n(.*?)^ *```|^((?:(?: {4,}\S.*)\n)+)", re.MULTILINE | re.DOTALL)
SECTION = re.compile(r"^(?=## )", re.MULTILINE)
PAGES = {
    "installer-un-boitier": ("join", ()),
    "mettre-a-jour": ("upgrade", ()),
    "remplacer-un-boitier": ("replace-a-node", ("A new machine, typed", "Fetch, ask, go on")),
    "revoquer-un-boitier": ("revoke", ()),
    "le-mois-de-la-regie": ("month", ()),
}
"""The English page of each, and its sections without a playbook, which the French page leaves to it."""


def commands(page: Path, without: tuple[str, ...] = ()) -> list[str]:
    sections = [
        it for it in SECTION.split(page.read_text("utf-8")) if not it.startswith(tuple(f"## {n}" for n in without))
    ]
    blocks = (one or other for one, other in BLOCK.findall("".join(sections)))
    return [line for block in blocks for line in TYPED.findall(block)]


@pytest.mark.parametrize("french", PAGES)
def test_both_languages_type_the_same(french: str) -> None:
    english, without = PAGES[french]
    typed = commands(DOCS / f"how-to/{english}.md", without)
    assert len(typed) >= 5
    assert commands(DOCS / f"fr/{french}.md") == typed


@pytest.mark.parametrize("french", PAGES)
def test_a_french_page_leads_to_the_english_one_and_is_one_page_long(french: str) -> None:
    text = (DOCS / f"fr/{french}.md").read_text("utf-8")
    assert f"](../how-to/{PAGES[french][0]}.md)" in text
    assert text.count("\n") < 100
    assert not re.search(r"\b(tu|ton|tes|toi)\b", text)
    assert f"(fr/{french}.md)" in (DOCS / "README.md").read_text("utf-8")
