"""Two branches of one history do not meet in the range of a grant: ten years, hundreds of boots, thaws, without borg.

The model knows of a run what counts here: who answered before it, who took it, and which counters it used.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, product

import pytest

from appliance.borg.lanes import (
    ALL,
    ALONE,
    DRAWN_OF_SIGNED,
    ECONOMY,
    STRETCH,
    lane_of,
    start_of,
)
from appliance.borg.nonce import NONCE_BURN, NONCE_RANGE, NONCE_RESERVE, check_nonce, floor_of

EPOCH = 6
FLOOR = floor_of(EPOCH)
END = FLOOR + NONCE_RANGE
HOURS_OF_TEN_YEARS = 10 * 365 * 24 + 48
RUN_BLOCKS = 2**18  # 4 MiB an hour: a town hall that changes 100 MB a day
LARGE_RUN_BLOCKS = 2**28  # 4 GiB


def answers(count: int) -> list[tuple[bool, ...]]:
    return list(product((True, False), repeat=count))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_up_to_three_holders_have_a_lane_for_each_answer_that_overlaps_no_other(count: int) -> None:
    lanes = sorted((lane_of(each) for each in answers(count)), key=lambda lane: lane.start)
    assert len(set(lanes)) == 2**count
    assert all(one.start + one.size <= next_.start for one, next_ in pairwise(lanes))
    assert lanes[-1].start + lanes[-1].size <= STRETCH


def test_of_more_holders_one_that_is_silent_takes_the_run_out_of_the_lane_of_all() -> None:
    for each in answers(5):
        assert (lane_of(each) == ALL) == all(each)
        assert (lane_of(each) == ALONE) == (not any(each))


def test_a_service_without_holders_has_the_lane_of_all() -> None:
    """Nobody could have taken anything."""
    assert lane_of(()) == ALL


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("answered", [*answers(1), *answers(2), *answers(3)])
def test_a_run_of_three_processes_and_four_gibibytes_begins_above_what_was_used_and_stays_in_its_lane(
    answered: tuple[bool, ...], signed: bool
) -> None:
    draw, lane = random.Random(str((answered, signed))), lane_of(answered)
    for _ in range(2000):
        value = FLOOR + draw.randrange(NONCE_RANGE - ECONOMY)
        start = start_of(value, EPOCH, lane, signed=signed, draw=draw.randrange)
        place = (start - FLOOR) % STRETCH
        assert value <= start
        assert start + LARGE_RUN_BLOCKS + NONCE_RESERVE <= END
        assert lane.start <= place
        assert place + 2 * NONCE_BURN + LARGE_RUN_BLOCKS <= lane.start + lane.size


@pytest.mark.parametrize("value", [0, FLOOR - 1, END - ECONOMY + 1, END - 1, END, END + 1])
def test_the_last_quarter_and_what_is_outside_the_grant_is_left_as_it_is(value: int) -> None:
    assert start_of(value, EPOCH, ALONE, signed=True, draw=lambda below: below - 1) == value


def test_a_run_that_all_answer_goes_on_where_the_last_one_ended() -> None:
    assert start_of(FLOOR, EPOCH, ALL, signed=False, draw=_no_draw) == FLOOR
    assert start_of(FLOOR + 12345, EPOCH, ALL, signed=False, draw=_no_draw) == FLOOR + 12345


def test_a_run_that_all_answer_draws_its_place_where_a_sign_says_that_the_machine_was_put_back() -> None:
    """A holder may hide what it took of the branch before; 2^38 places are left then."""
    draw = random.Random(1)
    starts = sorted(start_of(FLOOR, EPOCH, ALL, signed=True, draw=draw.randrange) for _ in range(100))
    assert all(next_ - one > RUN_BLOCKS for one, next_ in pairwise(starts))
    assert start_of(FLOOR, EPOCH, ALL, signed=True, draw=lambda below: below - 1) - FLOOR > 2**6 * STRETCH


def _no_draw(below: int) -> int:
    raise AssertionError("nothing is drawn where all answer and no sign is there")


def spent(runs: Sequence[tuple[tuple[bool, ...], bool]], draw: random.Random, processes: int = 2) -> int:
    """The next counter after `runs` (who answered, whether a sign was there), each of which a fresh grant allowed."""
    value = FLOOR
    for answered, signed in runs:
        value = start_of(value, EPOCH, lane_of(answered), signed=signed, draw=draw.randrange)
        check_nonce(value, EPOCH)
        value += processes * NONCE_BURN + RUN_BLOCKS
    return value


@pytest.mark.parametrize("silent_of_hundred", [0, 1, 5, 20, 100])
def test_one_grant_lasts_for_ten_years_of_hours_however_often_a_holder_is_silent(silent_of_hundred: int) -> None:
    draw = random.Random(silent_of_hundred)
    runs = [((draw.randrange(100) >= silent_of_hundred, True), False) for _ in range(HOURS_OF_TEN_YEARS)]
    check_nonce(spent(runs, draw), EPOCH)


def test_one_grant_lasts_for_ten_years_of_hours_with_a_boot_each_week() -> None:
    draw = random.Random(1)
    runs = [((True, True), hour % (7 * 24) == 0) for hour in range(HOURS_OF_TEN_YEARS)]
    check_nonce(spent(runs, draw), EPOCH)


@pytest.mark.parametrize("seed", range(10))
def test_two_hundred_boots_alone_with_five_runs_each_leave_the_draw_wide(seed: int) -> None:
    """No line to anybody, and each boot is a sign: more than the last quarter remains, in which nothing is drawn."""
    draw = random.Random(seed)
    alone = (False, False)
    runs = [(alone, number % 5 == 0) for number in range(1000)]
    assert END - spent(runs, draw) > ECONOMY


@dataclass(frozen=True)
class Machine:
    """A machine, and what it sealed: of each run the counters, and a number that no other run has."""

    value: int = FLOOR
    sealed: tuple[tuple[int, int, int], ...] = ()


def run(machine: Machine, vaults: dict[str, Machine], up: dict[str, bool], took: list[str], number: int) -> Machine:
    """A run of the writer, which those take who `took`; refused where a holder that is up knows what it does not.

    The draw is made as bad as can be: always 0. No sign is given, so nothing tells a thaw.
    """
    held = [vaults[name].sealed for name, is_up in up.items() if is_up]
    if any(it != machine.sealed[: len(it)] for it in held):
        return machine
    lane = lane_of([up[name] for name in sorted(up)])
    start = start_of(machine.value, EPOCH, lane, signed=False, draw=lambda _: 0)
    after = Machine(start + RUN_BLOCKS + NONCE_BURN, (*machine.sealed, (start, start + RUN_BLOCKS, number)))
    vaults.update(dict.fromkeys(took, after))
    return after


@pytest.mark.parametrize("holders", [1, 2, 3])
def test_a_machine_put_back_or_thawed_whole_shares_no_counter_while_anybody_answers_each_run(holders: int) -> None:
    """All neighbours of one sequence: who is silent, who fails at the push, and to when the machine is put back."""
    names = [f"holder-{name}" for name in range(holders)]
    forks = 0
    for seed in range(1000):
        draw = random.Random(seed)
        machine, vaults = Machine(), dict.fromkeys(names, Machine())
        past = [machine]
        for number in range(12):
            if draw.random() < 0.3:
                machine = draw.choice(past)
            up = {name: draw.random() < 0.6 for name in names}
            if there := [name for name in names if up[name]]:
                machine = run(machine, vaults, up, draw.sample(there, draw.randint(1, len(there))), number)
                past.append(machine)
        ranges = {it for vault in vaults.values() for it in vault.sealed}
        forks += len({vault.sealed[:1] for vault in vaults.values()}) > 1
        assert not met(ranges), f"seed {seed}"
    assert holders == 1 or forks > 30, "the histories of the holders did part"


def met(ranges: set[tuple[int, int, int]]) -> bool:
    ordered = sorted(ranges)
    return any(before[1] > after[0] for before, after in pairwise(ordered))


LONELY = [
    # which sign, the counters among which the place is drawn, as the record says
    pytest.param(True, NONCE_RANGE // DRAWN_OF_SIGNED // STRETCH * ALONE.drawn, id="boot"),
    pytest.param(False, ALONE.drawn, id="thaw-without-sign"),
]


@pytest.mark.parametrize(("signed", "places"), LONELY)
def test_two_branches_that_nobody_answered_meet_as_seldom_as_the_record_says(signed: bool, places: int) -> None:
    """With runs so large that they meet often, the chance is measured; it is in proportion to their size."""
    draw, cases = random.Random(1), 5_000
    blocks = places // 100
    starts = [
        [start_of(FLOOR, EPOCH, ALONE, signed=signed, draw=draw.randrange) for _ in range(2)] for _ in range(cases)
    ]
    share = sum(met_at(one, other, blocks, signed) for one, other in starts) / cases
    assert share <= 2 * 2 * blocks / places


def met_at(one: int, other: int, blocks: int, signed: bool) -> bool:
    """Whether two runs meet; of a wide draw, only where they are in the lane counts, so large runs are not cut."""
    return abs(_in_lane(one) - _in_lane(other)) < blocks if signed else abs(one - other) < blocks


def _in_lane(start: int) -> int:
    stretch, place = divmod(start - FLOOR, STRETCH)
    return stretch * (ALONE.drawn) + place - ALONE.start
