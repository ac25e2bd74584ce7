"""Charts, the map, durations and runbook pages: what is not known is a gap or a word, and nothing leaves its frame."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from appliance.config.load import load
from appliance.portal.base.language import Words
from appliance.portal.dashboard import chart, plan
from appliance.portal.dashboard.chart import draw
from appliance.portal.dashboard.runbooks import Piece, english, parse, pieces, runbook, said_of
from appliance.portal.dashboard.shown import Shown
from appliance.territory.model import Site, Territory
from appliance.units import DAY, HOUR, MINUTE

ROOT = Path(__file__).parents[3]
PAGES = {path.stem for path in (ROOT / "docs/runbooks").glob("[A-Z]*.md")} - {"README"}
FRENCH, ENGLISH = (Shown(Words(it, ZoneInfo("Europe/Paris"))) for it in ("fr", "en"))
MOMENTS = tuple(float(it * DAY) for it in range(8))


def test_a_line_is_broken_where_nothing_was_known_and_a_point_alone_is_seen() -> None:
    drawn = draw(MOMENTS, (1, 2, None, None, 3, None, 1, 1))
    assert drawn is not None
    assert [len(it) for it in drawn.lines] == [2, 1, 2]
    assert draw(MOMENTS, (None,) * 8, promised=5) is None


@pytest.mark.parametrize("values", [(0.0,) * 8, (7.3,) * 8, tuple(map(float, range(8))), (1e12,) * 8, (1e-6,) * 8])
@pytest.mark.parametrize("promised", [None, 5.0])
@pytest.mark.parametrize("of_time", [True, False])
def test_every_point_lies_within_the_frame(values: tuple[float, ...], promised: float | None, of_time: bool) -> None:
    drawn = draw(MOMENTS, values, promised, of_time=of_time)
    assert drawn is not None
    for x, y in (point for line in drawn.lines for point in line):
        assert chart.LEFT <= x <= chart.WIDTH - chart.RIGHT
        assert chart.TOP <= y <= chart.HEIGHT - chart.BOTTOM
    assert drawn.rows[0][1] == 0
    assert promised is None or chart.TOP <= (drawn.promise or 0) <= chart.HEIGHT - chart.BOTTOM


def test_a_grid_of_time_has_hours_and_days_and_not_thousands_of_seconds() -> None:
    drawn = draw(MOMENTS, (20.0 * HOUR,) * 8, float(DAY), of_time=True)
    assert drawn is not None
    assert [FRENCH.duration(value).replace("\u00a0", " ") for _, value in drawn.rows] == [
        "0 s",
        "6 h",
        "12 h",
        "18 h",
        "1 j",
    ]


def test_sites_lie_as_they_do_on_the_ground() -> None:
    territory = load(ROOT / "inventory/example")
    drawn = plan.arrange(territory)
    at = {it.site.name: it for it in drawn.spots}
    assert len(at) == len(territory.sites)
    assert not drawn.is_circle
    assert at["nampcel"].y < at["attichy"].y < at["pierrefonds"].y, "north is up"
    assert at["rethondes"].x < at["attichy"].x < at["autreches"].x, "west is left"
    one, other = at["hermitage"], at["autreches"]
    assert one.site.latitude_microdegrees == other.site.latitude_microdegrees
    assert (one.x - other.x) ** 2 + (one.y - other.y) ** 2 >= (2 * plan.MARKER) ** 2, "neither hides the other"
    left, top, width, height = drawn.frame
    for ring in drawn.rings:
        assert left <= ring.x - ring.radius
        assert ring.x + ring.radius <= left + width
        assert top <= ring.y - ring.radius
        assert ring.y + ring.radius <= top + height
    assert "power-oise" not in {it.zone.name for it in drawn.rings}, "a zone that takes everybody says nothing"


def test_without_coordinates_sites_stand_on_a_circle_and_where_some_have_them_the_others_are_named() -> None:
    territory = load(ROOT / "inventory/demo")
    drawn = plan.arrange(territory)
    assert drawn.is_circle
    assert (len(drawn.spots), drawn.unplaced) == (len(territory.sites), ())
    assert len({(it.x, it.y) for it in drawn.spots}) == len(drawn.spots)
    placed = replace(territory.sites["commune-a"], latitude_microdegrees=49_400_000, longitude_microdegrees=3_000_000)
    some = plan.arrange(replace(territory, sites={**territory.sites, "commune-a": placed}))
    assert [it.site.name for it in some.spots] == ["commune-a"]
    assert len(some.unplaced) == len(territory.sites) - 1


def test_a_territory_of_one_site_or_none_has_a_map() -> None:
    one = Territory("t", "T", sites={"a": Site("a", "A", latitude_microdegrees=49_000_000)})
    assert len(plan.arrange(one).spots) == 1
    assert plan.arrange(Territory("t", "T")).spots == ()


@pytest.mark.parametrize(
    ("seconds", "french", "english"),
    [
        (None, "inconnu", "unknown"),
        (0, "0 s", "0 s"),
        (59.6, "1 min", "1 min"),
        (3 * HOUR + 17, "3 h", "3 h"),
        (90 * MINUTE, "1 h 30 min", "1 h 30 min"),
        (26 * HOUR, "1 j 2 h", "1 d 2 h"),
        (-5, "0 s", "0 s"),
    ],
)
def test_durations_read_as_people_say_them(seconds: float | None, french: str, english: str) -> None:
    assert FRENCH.duration(seconds).replace("\u00a0", " ") == french
    assert ENGLISH.duration(seconds).replace("\u00a0", " ") == english


def test_what_is_not_known_is_a_word_and_never_nought() -> None:
    answers = [FRENCH.answer(question, None) for question in ("age", "copies", "new", "room", "drill")]
    assert {*answers, FRENCH.share(None), FRENCH.measure(None, "W"), FRENCH.count(None)} == {"inconnu"}
    assert FRENCH.share(0.042).replace("\u00a0", " ") == "4,2 %"
    assert ENGLISH.share(0.93) == "93%"


@pytest.mark.parametrize("name", sorted(PAGES))
def test_every_runbook_has_what_a_reason_says_in_both_languages(name: str) -> None:
    for language in ("fr", "en"):
        what, remedy = said_of(name, language)
        assert what, language
        assert remedy, language
    page = runbook(name)
    assert page is not None
    shown = " ".join(it.text for block in page.blocks for line in block.lines for it in line)
    assert not {"**", "](", "`"} & set(shown), "a mark was left over"
    assert "Que faire" in shown


def test_no_english_text_is_left_over() -> None:
    assert set(english()) == PAGES


@pytest.mark.parametrize("name", ["", "README.md", "../README", "Nowhere", "A" * 200, "É", "Site\nInjoignable"])
def test_what_is_no_alert_has_no_page(name: str) -> None:
    assert runbook(name) is None
    assert said_of(name, "fr") == ((), ())


def test_a_page_is_read_as_it_is_written() -> None:
    text = "# Name\n\nWhat **is** wrong.\n\n## Do\n\n1. Type `a b`\n   and see [Other](Other.md).\n"
    text += "2. Read [how](../how.md).\n\n- one\n- two\n"
    assert [(it.kind, len(it.lines)) for it in parse(text)] == [
        ("paragraph", 1),
        ("heading", 1),
        ("steps", 2),
        ("list", 2),
    ]
    steps = list(parse(text))[2].lines
    assert [it.kind for it in steps[0]] == ["text", "code", "text", "link", "text"]
    assert steps[0][3] == Piece("link", "Other", "Other")
    assert [it.kind for it in steps[1]] == ["text", "text", "text"], "what is not beside it on a node is no link"
    assert pieces("<b> & [x](https://elsewhere.example)")[-1].target == ""
