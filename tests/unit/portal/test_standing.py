"""The state of a share on a page: safe, not yet, late, or not known; an unknown state is never shown as well."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from jinja2 import Environment, FileSystemLoader

import appliance.portal
from appliance.host.layout import NodeLayout
from appliance.portal.base.forms import quoted
from appliance.portal.base.language import Words
from appliance.portal.copies_age import Freshness
from appliance.portal.lookup import Lookup, Standing
from appliance.portal.opened import Opened, load, save
from appliance.portal.shares import Share
from appliance.units import DAY, printable

NOW = 1_800_000_000.0
PARTIAL = Freshness(NOW - DAY, 2, 2, DAY, whole=False, partial=(("/srv/cadastre", NOW - DAY),))
RAW = replace(PARTIAL, databases=True, partial=(("/srv/app/agenda.sqlite", NOW - DAY),))
TEMPLATES = Path(appliance.portal.__file__).parent / "templates"


@pytest.mark.parametrize(
    ("fresh", "says", "never"),
    [
        (Freshness(NOW - DAY, 2, 2, DAY), "En sécurité. Dernière copie sûre : ", "régie"),
        (Freshness(NOW - DAY, 1, 2, DAY), "Pas encore en sécurité. 1 copie sur 2", "En sécurité."),
        (Freshness(None, 0, 2, DAY), "0 copie sur 2", "Dernière copie sûre : l"),
        (Freshness(None, 0, 2, DAY), "Dernière copie sûre : aucune n&#39;est connue.", "En sécurité."),
        (Freshness(NOW - 2 * DAY, 2, 2, DAY), "La dernière copie sûre est ancienne", "En sécurité."),
        (None, "On ne sait pas", "En sécurité."),
        (PARTIAL, "La dernière copie est incomplète : appelez la régie.", "En sécurité."),
        (PARTIAL, "« cadastre » manque, en tout ou en partie, depuis le jeudi 14 janvier 2027.", "/srv"),
        (
            Freshness(None, 2, 2, DAY, whole=False, partial=(("/srv/plans", None),)),
            "« plans » manque, en tout ou en partie.",
            "En sécurité.",
        ),
        (RAW, "« agenda.sqlite » n&#39;a pas pu être copié depuis le jeudi 14 janvier 2027.", "manque"),
        (replace(RAW, partial=(("/srv/a", None),)), "« a » n&#39;a pas pu être copié.", "manque"),
    ],
    ids=[
        "safe",
        "one of two",
        "none",
        "none known",
        "late",
        "not known",
        "partial",
        "what is missing",
        "never had it",
        "a database",
        "a database never copied",
    ],
)
def test_a_share_is_said_to_be(fresh: Freshness | None, says: str, never: str) -> None:
    words = Words("fr", ZoneInfo("Europe/Paris"))
    pages = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True)
    pages.filters.update(quoted=quoted, shown=printable)
    macro = pages.get_template("macros.html")
    text = " ".join(str(macro.module.standing(words, words.text, NOW, Standing(fresh, None, None))).split())  # type: ignore[attr-defined]
    text = text.replace("</span>", "").replace('<span class="state-good">', "").replace('<span class="state-bad">', "")
    assert says in text
    assert never not in text


def test_what_the_worker_opened_is_read_by_the_pages(tmp_path: Path) -> None:
    file = tmp_path / "portal/opened.json"
    assert load(file) == {}
    opened = {
        "docs-a": Opened(tmp_path / "catalogue.db", Freshness(NOW, 2, 2, DAY)),
        "docs-b": Opened(tmp_path / "other.db", rewinds_until=NOW + DAY),
        "docs-c": Opened(tmp_path / "third.db", PARTIAL),
    }
    save(file, opened)
    assert load(file) == opened


def test_a_share_may_be_replaced_whole_while_an_act_says_so_and_no_longer(tmp_path: Path) -> None:
    lookup = Lookup(NodeLayout(tmp_path))
    shares = [Share(name, name, "Commune A", (f"srv/{name}",)) for name in ("docs-a", "docs-b")]
    told = {"docs-a": Opened(tmp_path / "a.db"), "docs-b": Opened(tmp_path / "b.db", rewinds_until=NOW + DAY)}
    save(lookup.paths.opened, told)
    assert lookup.rewinds(shares, NOW) == {"docs-b": NOW + DAY}
    assert lookup.rewinds(shares[:1], NOW) == {}
    assert lookup.rewinds(shares, NOW + DAY) == {}
