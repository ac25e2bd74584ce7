"""The needs of a voter at a moment, and which copies of its store stay."""

from __future__ import annotations

from dataclasses import replace

import pytest

from appliance.units import DAY, HOUR, MIB, MINUTE
from appliance.voter.maintenance_rules import KEPT_BYTES_MAX, Due, EtcdLease, MemberStatus, Seen, due, outlived

MEMBERS = {"commune-a": 1, "hermitage": 2, "commune-b": 3}
FOLLOWS, LEADER = MemberStatus(1, 2, MIB, 9), MemberStatus(1, 1, MIB, 9)
WELL = Seen(FOLLOWS, MEMBERS, "hermitage", 0.0, since_snapshot=60.0)
LEADS = replace(WELL, status=LEADER, leads=60.0)
WASTEFUL = replace(FOLLOWS, size_bytes=40 * MIB, used_bytes=10 * MIB)

CASES = {
    "nothing": (WELL, Due()),
    "no copy yet": (replace(WELL, since_snapshot=None), Due(snapshot=True)),
    "an old copy": (replace(WELL, since_snapshot=float(HOUR)), Due(snapshot=True)),
    "it leads and another should": (LEADS, Due(hand_over=2)),
    "it leads since a moment ago and another should": (replace(LEADS, leads=20.0), Due()),
    "who should lead would not, a minute ago": (replace(LEADS, since_hand_over=60.0), Due()),
    "who should lead would not, ten minutes ago": (
        replace(LEADS, since_hand_over=10.0 * MINUTE),
        Due(hand_over=2),
    ),
    "it leads and should": (replace(LEADS, preferred="commune-a"), Due()),
    "nobody is known who should": (replace(LEADS, preferred=""), Due()),
    "half of its file is of no use": (replace(WELL, status=WASTEFUL), Due(defragment=True)),
    "so it is, in the turn of another": (replace(WELL, status=WASTEFUL, wall=10.0 * MINUTE), Due()),
    "so it is, of who leads": (
        replace(WELL, status=replace(WASTEFUL, leader=1), preferred="commune-a"),
        Due(),
    ),
    "so it is, of who leads and is half full": (
        replace(WELL, status=MemberStatus(1, 1, 130 * MIB, 9, 10 * MIB), preferred="commune-a"),
        Due(defragment=True),
    ),
    "most of its file is of use": (replace(WELL, status=replace(WASTEFUL, used_bytes=30 * MIB)), Due()),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_due(name: str) -> None:
    seen, expected = CASES[name]
    assert due(seen) == expected


@pytest.mark.parametrize(
    ("left", "granted", "young"),
    [(15, 15, True), (11, 15, True), (10, 15, False), (0, 15, False), (3, 5, True), (2, 5, False), (-1, 0, True)],
)
def test_a_lease_is_young_while_it_is_renewed_each_fifth_of_it_and_what_has_ended_keeps_nobody_waiting(
    left: int, granted: int, young: bool
) -> None:
    assert EtcdLease(left, granted).is_young is young


def test_each_voter_has_a_turn_of_its_own_to_make_its_file_smaller() -> None:
    for wall in range(0, DAY, 5 * MINUTE):
        seen = replace(WELL, wall=float(wall))
        wasteful = (replace(seen, status=replace(WASTEFUL, member=it, leader=9)) for it in (1, 2, 3))
        at_once = [it for it in wasteful if due(it).defragment]
        assert len(at_once) == 1


def test_a_day_of_hours_stays_and_one_copy_of_each_day_of_a_week() -> None:
    hourly = {float(it * HOUR): MIB for it in range(24 * 30)}
    stays = sorted(set(hourly) - outlived(hourly))
    assert stays[-24:] == sorted(hourly)[-24:]
    assert len(stays) == 31
    assert {it % DAY for it in stays[:-24]} == {23.0 * HOUR}, "the newest of each day"
    assert outlived({it: hourly[it] for it in stays}) == frozenset(), "what stays, stays"


def test_what_is_too_much_goes_oldest_first_and_never_the_newest() -> None:
    half = KEPT_BYTES_MAX // 2
    assert outlived({1.0: half, 2.0: half, 3.0: half}) == {1.0}
    assert outlived({1.0: 2 * KEPT_BYTES_MAX}) == frozenset()
    assert outlived({1.0: 1, 2.0: 2 * KEPT_BYTES_MAX}) == {1.0}
