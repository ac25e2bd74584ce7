"""Timers that would let a lease end before its holder has stopped are refused, with what to change."""

from __future__ import annotations

import pytest

from appliance.errors import UsageError
from appliance.failover.fsm.timers import Timers


def test_the_measured_timers_hold_with_room() -> None:
    timers = Timers()
    assert timers.ttl_min == 11.5
    assert timers.demote_at(100.0, 15.0) == 112.5
    assert timers.dead_at(100.0, 15.0) == 114.5


def test_a_granted_lease_that_differs_from_the_one_asked_for_moves_the_deadline() -> None:
    assert Timers().demote_at(100.0, 8.0) == 105.5


def test_a_lease_too_short_for_two_tries_is_refused_with_the_sum() -> None:
    with pytest.raises(UsageError) as refused:
        Timers(ttl=10.0, renew=2.5)
    assert str(refused.value) == (
        "a lease of 10 s is too short for these timers: renew 2.5 + 2 x 1.5 x 2 tries + stop 2 + epsilon 0.5 = 11 s. "
        "Set ttl to 11 s or more, or renew more often."
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"retry": 3.0}, "Set retry below renew"),
        ({"epsilon": 0.0}, "epsilon is 0.0; it must be more than 0"),
        ({"fresh": 4.0}, "answers would expire"),
        ({"tries": 4}, "17.5 s"),
        ({"recover": 29.0}, "Set recover to promote or more"),
        ({"promote": 15.0}, "a node that deposes a lease holder waits"),
    ],
)
def test_what_cannot_work_is_refused(given: dict[str, float], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Timers(**given)  # type: ignore[arg-type]


def test_the_cooldown_doubles_up_to_an_hour() -> None:
    assert [Timers().cooldown_seconds(failures) for failures in range(9)] == [
        0,
        60,
        120,
        240,
        480,
        960,
        1920,
        3600,
        3600,
    ]
    assert Timers().cooldown_seconds(10**6) == 3600


@pytest.mark.parametrize("seconds", [3, 4, 10, 15, 30, 60])
def test_every_lease_that_a_territory_may_have_gives_timers_that_hold(seconds: int) -> None:
    timers = Timers.of_lease(seconds)
    assert timers.ttl == seconds
    assert timers.ttl_min / timers.ttl == pytest.approx(Timers().ttl_min / Timers().ttl)
    assert timers.promote >= Timers().promote


def test_the_usual_lease_has_the_measured_timers() -> None:
    assert Timers.of_lease(15) == Timers()
