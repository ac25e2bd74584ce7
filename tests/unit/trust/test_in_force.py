"""Which of several acts are obeyed, and which are told on: a quarantine is taken back by one that ends as it begins."""

from __future__ import annotations

from dataclasses import replace

import pytest

from appliance.trust.act import Act
from appliance.trust.in_force import in_force, to_tell
from appliance.units import DAY
from tests.worlds.documents import HOME, STANDBY, act

NOW = 5000.0
SICK = act("quarantine", HOME, "any")


def again(start: float, end: float, subject: str = HOME, service: str = "any") -> Act:
    return act("quarantine", subject, service, start, end)


LIFTED = again(4500, 4500)
AHEAD, LATER = 4500 + DAY, again(4600, 9000)


def naming(start: float, *acts: Act) -> Act:
    """It takes back just `acts`."""
    return replace(again(start, start), taken_back=frozenset(it.document.line_digest for it in acts))


def found_again(start: float, *acts: Act) -> Act:
    """It takes back just `acts`, which call the node lost."""
    return replace(act("lost", HOME, "any", start, start), taken_back=frozenset(it.document.line_digest for it in acts))


GONE, GONE_AGAIN = act("lost", HOME, "any"), act("lost", HOME, "any", 4600, 9000)


@pytest.mark.parametrize(
    ("acts", "obeyed", "told"),
    [
        pytest.param((SICK,), [0], [0], id="one alone"),
        pytest.param((SICK, LIFTED), [], [1], id="one that ends as it begins takes it back"),
        pytest.param((LIFTED,), [], [], id="of which nothing is told when there is nothing to take back"),
        pytest.param((SICK, again(4500, 4560)), [0], [0], id="one whose end has come"),
        pytest.param((SICK, again(3000, 3000)), [0], [0], id="an earlier one"),
        pytest.param((SICK, again(4000, 4000)), [0], [0], id="of the same second"),
        pytest.param((SICK, again(5001, 5001)), [], [1], id="one that lies ahead of a clock that is behind"),
        pytest.param((again(6000, 9000),), [0], [0], id="signed after what this clock says"),
        pytest.param((again(6000, 9000), again(7000, 7000)), [], [1], id="signed and taken back after it"),
        pytest.param((SICK, again(4500, 4500, STANDBY)), [0], [0], id="of another node"),
        pytest.param((SICK, again(4500, 4500, service="docs-a")), [0], [0], id="about less"),
        pytest.param((act("quarantine", HOME, "docs-a"), LIFTED), [], [1], id="about more"),
        pytest.param((SICK, act("lost", HOME, "any", 4500, 4500)), [0], [0], id="another act"),
        pytest.param((SICK, LIFTED, again(4600, 6000)), [2], [1, 2], id="sick again"),
        pytest.param((SICK, naming(4500, SICK)), [], [1], id="taken back by its name"),
        pytest.param((SICK, naming(3000, SICK)), [], [1], id="by its name, signed by a clock that was behind"),
        pytest.param((SICK, naming(AHEAD, SICK), LATER), [2], [1, 2], id="sick again, the first end was dated ahead"),
        pytest.param((naming(AHEAD, SICK), LATER), [1], [1], id="what is not named"),
        pytest.param((LATER, replace(naming(4700, LATER), subject=STANDBY)), [0], [0], id="named of another node"),
        pytest.param((GONE, found_again(4500, GONE)), [], [1], id="a loss that was taken back"),
        pytest.param((GONE, found_again(3000, GONE)), [], [1], id="a loss, by a clock that was behind"),
        pytest.param((GONE, act("lost", HOME, "any", 4500, 4500)), [0], [0], id="a loss that nothing names"),
        pytest.param((GONE, found_again(4500, GONE), GONE_AGAIN), [2], [1, 2], id="lost again"),
        pytest.param((GONE, naming(4500, GONE)), [0], [0], id="a loss, by a quarantine"),
    ],
)
def test_a_quarantine_is_obeyed_until_it_ends_or_is_taken_back(
    acts: tuple[Act, ...], obeyed: list[int], told: list[int]
) -> None:
    for order in (acts, acts[::-1]):
        assert [acts.index(it) for it in in_force(order, NOW)] == obeyed
        assert sorted(acts.index(it) for it in to_tell(order, NOW)) == told


@pytest.mark.parametrize("kind", ["quarantine", "hold", "freeze"])
def test_what_protects_is_obeyed_on_a_board_that_boots_in_the_past(kind: str) -> None:
    """Its clock's battery died in a power cut: until it hears the time again it serves nothing and prunes nothing."""
    signed = act(kind, HOME, "any", start=10**9, end=10**9 + 1000)
    assert in_force((signed,), NOW) == (signed,)
    assert in_force((signed,), 10**9 + 1000) == ()


@pytest.mark.parametrize("kind", ["promote", "lost", "quota", "rewind", "continue", "unfreeze"])
def test_what_allows_something_is_obeyed_on_no_clock_that_is_behind(kind: str) -> None:
    assert in_force((act(kind, HOME, "any", start=10**9, end=10**9 + 1000),), NOW) == ()


def test_other_acts_are_obeyed_as_long_as_each_says() -> None:
    acts = (act("lost", HOME), act("lost", HOME, start=4500, end=4600), act("promote", STANDBY))
    assert in_force(acts, NOW) == to_tell(acts, NOW) == (acts[0], acts[2])
