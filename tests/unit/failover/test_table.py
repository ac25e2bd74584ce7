"""Each row of the table by its name (tests/cases/failover/table.yml), and what must hold of the table as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from appliance.failover.fsm.model import MEANINGS, STOPPING, Action, State
from appliance.failover.fsm.row import LEASED, WAITING, WRITING, Row
from appliance.failover.fsm.table import TABLE, decide, rows_of
from tests.unit.failover.looks import NOW, look

CASES = yaml.safe_load((Path(__file__).parents[2] / "cases/failover/table.yml").read_text("utf-8"))
ROWS = {row.id: row for row in TABLE}


def each() -> list[Any]:
    """A test for each case and state, named by row, state and its place in the file."""
    found = []
    for number, case in enumerate(CASES, 1):
        states = ROWS[case["row"]].states if case["in"] == "every" else [State(name) for name in case["in"]]
        found += [pytest.param(case, state, id=f"{case['row']}-in-{state}-{number}") for state in states]
    return found


@pytest.mark.parametrize(("case", "state"), each())
def test_the_table_says(case: dict[str, Any], state: State) -> None:
    row = ROWS[case["row"]]
    decision = decide(*look(state, case["given"]))
    assert decision.row == row.id, decision.reason
    assert decision.actions == row.actions
    expected = case.get("next", state)
    assert decision.standing.state == expected
    assert row.next is None or row.next == expected
    if expected != state:
        assert decision.standing.since == NOW
    assert row.why in decision.reason


def test_each_row_has_a_case_of_its_name_in_each_of_its_states_or_in_one() -> None:
    assert {case["row"] for case in CASES} == set(ROWS)


def test_each_row_has_a_name_of_its_own() -> None:
    assert len(ROWS) == len(TABLE)


@pytest.mark.parametrize("state", State)
def test_the_last_row_of_each_state_always_holds_and_none_after_it_is_dead(state: State) -> None:
    rows = rows_of(state)
    always = [row.id for row in rows if row.when == "otherwise"]
    assert always in ([rows[-1].id], [])
    assert always or state in (State.FENCED,), "a node could find no row"


def test_in_fenced_one_row_holds_whatever_is_seen() -> None:
    """Its rows ask for the quarantine and for newer epochs, and its last for the absence of both."""
    for quarantined in (True, False):
        for known in (0, 3, 5):
            for tail in (True, False):
                given = {"quarantined": quarantined, "known": known, "unreplicated": tail}
                assert decide(*look(State.FENCED, given)).row.startswith("fenced.")


def test_each_state_is_reached_and_left() -> None:
    reached = {row.next for row in TABLE if row.next} | {State.BOOT}
    left = {state for row in TABLE if row.next for state in row.states}
    assert reached == left == set(State)


def test_each_action_has_its_meaning_and_is_asked_for() -> None:
    assert set(MEANINGS) == set(Action)
    assert {action for row in TABLE for action in row.actions} == set(Action)


def rows_that(action: Action) -> list[Row]:
    return [row for row in TABLE if action in row.actions]


def test_nobody_starts_to_write_but_where_it_was_proven_or_the_home_is_alone() -> None:
    assert {state for row in rows_that(Action.START) for state in row.states} == {State.PROMOTING, State.ISOLATED_RW}


def test_only_who_waits_takes_over_and_only_by_the_voters_transaction() -> None:
    assert {state for row in rows_that(Action.TAKE_OVER) for state in row.states} <= set(WAITING)
    assert {row.id for row in TABLE if row.next is State.PROMOTING} == {
        "waiting.won",
        "active.down",
        "ro-isolated.resume",
    }


def test_who_may_have_been_open_for_writing_leaves_only_by_stopping() -> None:
    """From a state that writes to one that does not: through DEMOTING or FENCED, or by a release of what is down."""
    for row in TABLE:
        if row.next is None or row.next in WRITING or not set(row.states) & set(WRITING):
            continue
        assert row.next in (State.DEMOTING, State.FENCED) or row.id == "draining.release", row.id
        assert row.actions[:3] == STOPPING or row.id == "draining.release", row.id


def test_what_stops_comes_before_what_serves() -> None:
    for state in LEASED:
        stops = [number for number, row in enumerate(rows_of(state)) if row.id in ("refused", "superseded", "deadline")]
        assert max(stops) < 7


def test_a_lease_is_let_go_only_where_nothing_can_be_written() -> None:
    for row in rows_that(Action.RELEASE):
        for state in row.states:
            before = rows_of(state)[: rows_of(state).index(row)]
            assert any("writes are still possible" in it.when for it in before), row.id


def test_nothing_is_pulled_over_what_only_this_disk_has() -> None:
    for row in rows_that(Action.PULL):
        for state in row.states:
            before = [it.id for it in rows_of(state)[: rows_of(state).index(row)]]
            assert "waiting.diverged" in before, row.id


def test_a_failure_doubles_the_cooldown_and_is_forgiven_after_an_hour() -> None:
    standing = decide(*look(State.PROMOTING, {"since": 30})).standing
    assert (standing.failures, standing.failed_at) == (1, NOW)
    assert decide(*look(State.PROMOTING, {"since": 30, "failures": 1, "failed": 600})).standing.failures == 2
    assert decide(*look(State.PROMOTING, {"since": 30, "failures": 5, "failed": 3600})).standing.failures == 1


def test_a_hand_over_that_fails_is_counted_apart_and_stops_nobody_from_serving() -> None:
    standing = decide(*look(State.DRAINING, {"since": 60, "synced": False})).standing
    assert (standing.failures, standing.failed_handovers, standing.last_failed_handover_at) == (0, 1, NOW)
    again = {"since": 60, "synced": False, "failed_handovers": 1, "handover_failed_ago": 600}
    assert decide(*look(State.DRAINING, again)).standing.failed_handovers == 2


def test_a_home_that_goes_on_alone_has_no_deadline_and_everybody_else_has() -> None:
    home = {"policy": "local-first", "origin": True}
    assert decide(*look(State.ACTIVE, home)).deadline is None
    assert decide(*look(State.ACTIVE, {})).deadline == NOW - 1 + 12.5
    assert decide(*look(State.ACTIVE, {**home, "policy": "exclusive"})).deadline == NOW - 1 + 12.5
    assert decide(*look(State.PROMOTING, {**home, "own": 1, "known": 3, "proof_epoch": 3})).deadline == NOW - 1 + 12.5


def test_a_new_epoch_must_be_above_everything_that_was_seen() -> None:
    given = {"since": 1, "known": 9, "refused": 11, "done": {"take over": 2}}
    assert decide(*look(State.GRACE, given)).above == 11


def test_a_release_names_for_whom_it_is_meant() -> None:
    down = {"since": 1, "local": "down"}
    assert decide(*look(State.DRAINING, down)).to == "other"
    assert decide(*look(State.DRAINING, {**down, "move_to": "", "leaving": True})).to == ""


def test_the_same_look_gives_the_same_decision() -> None:
    assert decide(*look(State.ACTIVE, {})) == decide(*look(State.ACTIVE, {}))
