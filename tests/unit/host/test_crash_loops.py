"""A unit that ends as often as it starts, told from one that runs, rests, or was started again once."""

from __future__ import annotations

import pytest

from appliance.host import crash_loops as looked
from appliance.host.crash_loops import crash_loops, looping

NOW = 1000.0


def shown(restarts: str, changed: float, unit: str = "a.service") -> str:
    return f"Id={unit}\nNRestarts={restarts}\nStateChangeTimestampMonotonic={int(changed * 1_000_000)}\n"


@pytest.mark.parametrize(
    ("restarts", "changed", "loops"),
    [("3", 995.0, True), ("400", 941.0, True), ("2", 999.0, False), ("3", 939.0, False), ("0", 0.0, False)],
    ids=["just-now", "within-the-minute", "twice", "has-run-since", "never-started"],
)
def test_a_unit_loops_that_was_restarted_thrice_and_has_not_been_steady_for_a_minute(
    restarts: str, changed: float, loops: bool
) -> None:
    assert looping(shown(restarts, changed), NOW) == ("a.service",) * loops


def test_each_unit_is_judged_by_its_own_block() -> None:
    both = "\n".join((shown("0", 10.0), shown("9", 999.0, "b.service"), shown("9", 10.0, "c.service")))
    assert looping(both, NOW) == ("b.service",)


@pytest.mark.parametrize("said", ["", "\n\n", "Id=a.service\n", shown("many", 999.0)])
def test_an_answer_that_says_nothing_of_restarts_is_no_loop(said: str) -> None:
    assert looping(said, NOW) == ()


def test_nothing_is_said_where_systemd_cannot_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looked, "_ASKING", ("no-such-program",))
    assert crash_loops(["a.service"]) == ()
