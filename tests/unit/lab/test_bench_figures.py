"""A figure is judged by the median of its own pairs, and a page says all that a reader needs to doubt it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from appliance_lab.bench.bench import in_turns
from appliance_lab.bench.figures import MET, MISSED, TOLD, Figure, Goal, Spread
from appliance_lab.bench.report import Result, number, render

RESULTS = Path(__file__).parents[3] / "docs/results"
ROW = re.compile(r"^\|.* / .* / .*\| (?:met|missed|told) \|$", re.MULTILINE)
LINKED = re.compile(r"\(data/([\w-]+\.json)\)")


def test_a_ratio_is_made_pair_by_pair_and_not_of_medians() -> None:
    figure = Figure("x", "x", "s", ours=(1.0, 10.0, 3.0), against=(2.0, 10.0, 12.0), goal=Goal(0.5))
    assert figure.values == (0.5, 1.0, 0.25)
    assert figure.spread == Spread(0.25, 0.5, 1.0)
    assert figure.verdict == MET


@pytest.mark.parametrize(
    ("ours", "goal", "verdict"),
    [
        ((1.0, 2.0, 9.0), Goal(2.0), MET),
        ((1.0, 2.1, 2.2), Goal(2.0), MISSED),
        ((1.0, 2.0, 9.0), Goal(2.0, each=9.0), MET),
        ((1.0, 2.0, 9.1), Goal(2.0, each=9.0), MISSED),
        ((0.7, 0.8, 0.9), Goal(0.8, at_least=True), MET),
        ((0.7, 0.79, 0.9), Goal(0.8, at_least=True), MISSED),
        ((1.0,), None, TOLD),
    ],
)
def test_the_median_is_judged(ours: tuple[float, ...], goal: Goal | None, verdict: str) -> None:
    assert Figure("x", "x", "s", ours, goal=goal).verdict == verdict


def test_pairs_that_do_not_match_are_an_error() -> None:
    with pytest.raises(ValueError, match="shorter"):
        _ = Figure("x", "x", "s", ours=(1.0, 2.0), against=(1.0,)).values


def test_the_page_shows_spread_goal_verdict_and_notes() -> None:
    figure = Figure("cut", "sent again", "MiB", (0.5, 0.25, 1.5), goal=Goal(1.0), notes=("over loopback",))
    page = render(Result("2026-11-25", {"machine": "two cores"}, (figure,)))
    assert "| sent again |  | 0.5 MiB |  | 0.25 / 0.5 / 1.5 | ≤ 1 | met |" in page
    assert "- cut: over loopback." in page
    assert "- machine: two cores" in page


BENCHED = [page for page in sorted(RESULTS.glob("*.md")) if ROW.search(page.read_text())]


@pytest.mark.parametrize("page", BENCHED, ids=lambda page: page.stem)
def test_each_row_of_a_page_is_a_row_of_the_values_that_it_links(page: Path) -> None:
    text = page.read_text()
    measured = {row for linked in LINKED.findall(text) for row in ROW.findall(rendered(RESULTS / "data" / linked))}
    assert set(ROW.findall(text)) - measured == set()


def test_the_pages_show_the_newest_values_of_the_benchmark() -> None:
    linked = {name for page in BENCHED for name in LINKED.findall(page.read_text())}
    benched = {path.name for path in RESULTS.glob("data/*.json") if "figures" in json.loads(path.read_text())}
    assert len(benched) > 5
    assert benched - linked == set()


def rendered(values: Path) -> str:
    content = json.loads(values.read_text())
    figures = [figure_of(dict(figure)) for figure in content["figures"]]
    return render(Result(content["date"], content["conditions"], figures))


def figure_of(told: dict[str, Any]) -> Figure:
    sign, _, limits = told["goal"].partition(" ")
    limit, _, each = limits.partition(", each ≤ ")
    goal = Goal(float(limit), at_least=sign == "≥", each=float(each) if each else None) if sign else None
    measured = {name: tuple(told[name]) for name in ("ours", "against", "notes")}
    return Figure(told["name"], told["title"], told["unit"], rival=told["rival"], goal=goal, **measured)


@pytest.mark.parametrize(("value", "shown"), [(0.6123, "0.612"), (19.96, "20"), (1234.5, "1234"), (0.0, "0")])
def test_a_number_has_three_digits(value: float, shown: str) -> None:
    assert number(value) == shown


def test_each_round_begins_with_another_leg() -> None:
    order: list[str] = []
    legs = {name: lambda name=name: order.append(name) for name in "abc"}
    for number_ in range(3):
        list(in_turns(number_, legs))
    assert "".join(order) == "abcbcacab"
