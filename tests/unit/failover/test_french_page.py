"""The page for the mayors says what the table says: under each paragraph stand the rows, of one node, that it tells."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from appliance.failover.fsm.model import State
from appliance.failover.fsm.row import Row
from appliance.failover.fsm.table import TABLE
from appliance.failover.fsm.timers import Timers

PAGE = Path(__file__).parents[3] / "docs/fr/que-se-passe-t-il-quand.md"
ROWS = {row.id: row for row in TABLE}
TEXT = PAGE.read_text()
PATHS = re.findall(r"^<!-- (mairie|secours): (.+) -->$", TEXT, re.MULTILINE)


def after(row: Row, before: set[State]) -> set[State]:
    """In which states a node can be that did what `row` says, coming from one of `before`."""
    return {row.next} if row.next else before & set(row.states)


@pytest.mark.parametrize("path", [path for _, path in PATHS])
def test_each_path_of_the_page_leads_through_the_table(path: str) -> None:
    states = set(ROWS[path.split()[0]].states)
    for name in path.split():
        assert states & set(ROWS[name].states), f"{name} does not follow"
        states = after(ROWS[name], states)


def test_every_state_comes_up_on_the_page() -> None:
    told = {state for _, path in PATHS for name in path.split() for state in after(ROWS[name], set(ROWS[name].states))}
    assert told == set(State)


def test_every_paragraph_about_a_case_has_its_rows() -> None:
    cases = re.findall(r"^\*\*[^*]+\*\*.*?(?=^$|\Z)", TEXT.split("## Les dossiers")[1].split("\n---")[0], re.M | re.S)
    assert [case for case in cases if "<!--" not in case and "Une horloge" not in case] == []


def test_the_figures_of_the_page_are_those_of_the_timers() -> None:
    timers = Timers()
    assert timers.demote_at(0, timers.ttl) == 12.5
    assert "12,5 secondes après sa dernière confirmation" in TEXT.replace("\n", " ")
    assert timers.ttl == 15
    assert "Après 15 secondes" in TEXT
    assert (timers.promote, timers.cooldown, timers.settle, timers.boot, timers.drain) == (30, 60, 300, 10, 60)


def test_the_page_says_what_does_not_move_yet() -> None:
    assert "Le reste demeure sur son boîtier" in TEXT
    assert "Si ce boîtier est éteint, le lecteur ne répond plus." in TEXT
    assert "All else stays at its box." in TEXT
