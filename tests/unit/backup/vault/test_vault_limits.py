"""The limits of a quota, by tables: bytes, names and headers, per epoch, per day, and what the disk keeps for its
host."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from appliance.backup.vault.limits import (
    DISK_NAMES_FLOOR,
    HEADERS_MAX,
    Amount,
    Limits,
    Usage,
    allowance,
    check_room,
    day_of,
    part_of,
    postponed,
)
from appliance.errors import NoSpace
from appliance.units import DAY, GIB, HOUR

LIMITS = Limits(quota=10 * GIB, daily=GIB, seed=4 * GIB, free_bytes_min=GIB)
HELD = Usage(
    used=Amount(4 * GIB, 100, 10),
    base=Amount(),
    taken_today=0,
    seeding=False,
    disk_free=100 * GIB,
    disk_names_free=10**6,
)
NOTHING_YET = replace(HELD, used=Amount(), seeding=True)
FULL = "the quota at this peer is full"
DISK = "the peer's disk has"
HONEST = "more than a regular service makes"

# (what is so, what is asked, the refusal or "")
CASES: dict[str, tuple[Usage, Amount, str]] = {
    "a usual day": (HELD, Amount(GIB), ""),
    "more than a day, of which a part is taken": (HELD, Amount(2 * GIB), ""),
    "a first seeding": (NOTHING_YET, Amount(4 * GIB), ""),
    "70 % of the quota": (replace(HELD, used=Amount(6 * GIB)), Amount(GIB), ""),
    "a byte into the reserve": (replace(HELD, used=Amount(6 * GIB)), Amount(GIB + 1), FULL),
    "the reserve, in a newer epoch": (replace(HELD, used=Amount(7 * GIB), base=Amount(7 * GIB)), Amount(GIB), ""),
    "a reserve is left for the next epoch too": (
        replace(HELD, used=Amount(9 * GIB), base=Amount(7 * GIB)),
        Amount(GIB // 2),
        FULL,
    ),
    "a quota that was lowered": (replace(HELD, used=Amount(12 * GIB)), Amount(1), FULL),
    "a quota below what was held as the epoch began, over it": (
        replace(HELD, used=Amount(9 * GIB), base=Amount(14 * GIB)),
        Amount(GIB + 1),
        FULL,
    ),
    "a quota below what was held as the epoch began, within it": (
        replace(HELD, used=Amount(9 * GIB), base=Amount(14 * GIB)),
        Amount(GIB),
        "",
    ),
    "the host's own free space": (replace(HELD, disk_free=GIB + 5), Amount(6), DISK),
    "all but that": (replace(HELD, disk_free=GIB + 5), Amount(5), ""),
    "the host's own inodes": (replace(HELD, disk_names_free=DISK_NAMES_FLOOR + 2), Amount(1, 3), DISK),
    "a disk without a count of inodes": (replace(HELD, disk_names_free=None), Amount(1, 3), ""),
    "a flood of names": (replace(HELD, used=Amount(GIB, 70_000)), Amount(1, 8_000), HONEST),
    "as many names as an honest history": (replace(HELD, used=Amount(GIB, 70_000)), Amount(1, 7_000), ""),
    "a flood of headers": (
        replace(HELD, used=Amount(GIB, 10, int(HEADERS_MAX * 0.7))),
        Amount(1, 1, 1),
        HONEST,
    ),
    "headers of a newer epoch": (
        replace(HELD, used=Amount(GIB, 10, 140_000), base=Amount(GIB, 10, 140_000)),
        Amount(1, 1, 720),
        "",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_push_fits_or_is_refused(name: str) -> None:
    usage, incoming, refusal = CASES[name]
    if not refusal:
        check_room(LIMITS, usage, incoming)
        return
    with pytest.raises(NoSpace, match=re.escape(refusal)) as caught:
        check_room(LIMITS, usage, incoming)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("usage", "incoming", "refusal"),
    [
        (replace(HELD, used=Amount(6 * GIB)), Amount(4 * GIB), ""),
        (replace(HELD, used=Amount(6 * GIB)), Amount(4 * GIB + 1), FULL),
        (replace(HELD, disk_free=2 * GIB), Amount(2 * GIB), DISK),
    ],
)
def test_what_another_holder_already_took_may_fill_the_share_on_any_day(
    usage: Usage, incoming: Amount, refusal: str
) -> None:
    if not refusal:
        check_room(LIMITS, usage, incoming, relayed=True)
        return
    with pytest.raises(NoSpace, match=refusal):
        check_room(LIMITS, usage, incoming, relayed=True)


@pytest.mark.parametrize(("age", "day"), [(0, 0), (DAY - 1, 0), (DAY, 1), (400 * DAY + 5, 400)])
def test_days_are_counted_by_the_ageing_clock(age: int, day: int) -> None:
    assert day_of(age) == day


@pytest.mark.parametrize(
    ("usage", "left"),
    [
        (HELD, GIB),
        (replace(HELD, taken_today=GIB - 5), 5),
        (replace(HELD, taken_today=2 * GIB), 0),
        (replace(HELD, carried=7 * GIB, taken_today=GIB), 7 * GIB),
        (NOTHING_YET, 4 * GIB),
        (replace(NOTHING_YET, taken_today=3 * GIB), GIB),
    ],
)
def test_a_day_allows_what_earlier_days_and_its_own_pushes_left(usage: Usage, left: int) -> None:
    assert allowance(LIMITS, usage) == left


@pytest.mark.parametrize(("allowed", "count"), [(0, 0), (4, 0), (5, 1), (11, 1), (12, 2), (100, 3)])
def test_the_part_of_a_day_is_the_first_blobs_that_fit_whole(allowed: int, count: int) -> None:
    assert part_of((5, 7, 1), allowed) == count


def test_a_postponement_says_what_came_what_follows_and_when() -> None:
    said = postponed(LIMITS, age_seconds=400 * DAY + 6 * HOUR, taken=GIB, rest=3 * GIB, seeding=False)
    assert said.what == (
        "1 GiB were accepted and 3 GiB remain: this peer takes 1 GiB of this service in a day, and the next part in "
        "18 h."
    )
    assert (said.seconds, said.whole_seconds) == (18 * HOUR, 18 * HOUR + 2 * DAY)
    assert said.remedy.startswith("Nothing to do: the agent sends the rest.")


def test_a_refusal_names_numbers_and_who_can_act() -> None:
    with pytest.raises(NoSpace) as caught:
        check_room(LIMITS, replace(HELD, used=Amount(7 * GIB)), Amount(5 * GIB))
    told: dict[str, Any] = vars(caught.value)
    assert told["what"] == (
        "the quota at this peer is full: 7 GiB used, 5 GiB requested, 7 GiB allowed in this epoch of a quota of 10 GiB."
    )
    assert "territory.yml" in told["remedy"]
