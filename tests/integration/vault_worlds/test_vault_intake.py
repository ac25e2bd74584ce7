"""A replica node takes all of a push larger than a day's, and of a town that was cut off, in daily parts."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import pytest

from appliance.backup.vault.maintenance.pruning import prune_replica
from appliance.errors import Postponed
from appliance.node.acts import accept_act
from appliance.trust.grant import Grant
from appliance.units import DAY, KIB, MIB
from tests.worlds.vaults import (
    HOLDER,
    NAMES,
    SERVICE,
    STANDBY,
    Generation,
    VaultWorld,
    assert_whole,
    push,
)

CHANGE = 200 * KIB
DAILY = 5 * CHANGE
"""The bytes that the replica node takes in a day: five evenings."""


@pytest.fixture
def town(vaults: VaultWorld, monkeypatch: pytest.MonkeyPatch) -> Town:
    monkeypatch.setattr("appliance.trust.bundle.GIB", KIB)  # the floor of a day's ingest
    vaults.sign(size_bytes=20 * MIB, change_bytes=CHANGE)
    return Town(vaults)


class Town:
    """An origin that adds a segment each evening, and whose newest generation the holder has, at first."""

    def __init__(self, vaults: VaultWorld) -> None:
        self.vaults = vaults
        self.grant: Grant = vaults.grant()
        self.files: dict[str, bytes] = {}
        self.chain: list[Generation] = []
        self.evening()
        self.push()

    def evening(self, segments: int = 1, *, rewrite: bool = False) -> None:
        """Seal a generation with new segments of CHANGE bytes; `rewrite`: none of the former ones is in it."""
        start = len(self.chain) * 1000
        new = {f"data/{start + n}/{n}": os.urandom(CHANGE) for n in range(segments)}
        self.files = new if rewrite else {**self.files, **new}
        self.chain.append(self.vaults.seal(self.grant, self.files, self.chain[-1] if self.chain else None))

    def push(self) -> str:
        return self.vaults.put(self.chain[-1], self.grant, before=self.chain[:-1])

    def cut_off(self, days: int, clocks: Sequence[str] = NAMES) -> None:
        for _ in range(days):
            for name in clocks:
                self.vaults.clocks[name].advance(DAY)
            self.evening()

    def days_until_whole(self, *, evenings: bool = True) -> int:
        """Push each day, thin in between, and count the days until the newest generation is held."""
        for day in range(200):
            try:
                self.push()
            except Postponed:
                self.vaults.advance(DAY)
                assert not prune_replica(self.vaults.open(HOLDER), SERVICE).skipped
                if evenings:
                    self.evening()
                continue
            return day
        raise AssertionError("it never became whole")

    def taken_bytes(self) -> int:
        return self.vaults.holding(HOLDER).used()[0]


@pytest.mark.parametrize("days", [8, 30, 90])
def test_a_town_that_was_cut_off_for_days_brings_all_of_them_at_once(town: Town, days: int) -> None:
    town.cut_off(days)
    town.push()
    assert assert_whole(town.vaults) == [town.chain[0].name, town.chain[-1].name]


def test_a_holder_that_was_switched_off_takes_the_backlog_in_daily_parts(town: Town) -> None:
    """Its ageing clock stood still, so it allows one day; each evening adds another change meanwhile."""
    town.cut_off(20, [name for name in NAMES if name != HOLDER])
    town.vaults.clocks[HOLDER].advance(DAY)
    with pytest.raises(Postponed, match=r"800 KiB were accepted and .* remain") as caught:
        town.push()
    assert 0 < caught.value.seconds <= DAY
    assert town.days_until_whole() == 4
    assert town.chain[-1].name in assert_whole(town.vaults)


def test_a_second_push_on_the_same_day_takes_nothing_and_is_postponed_again(town: Town) -> None:
    town.cut_off(20, [name for name in NAMES if name != HOLDER])
    town.vaults.clocks[HOLDER].advance(DAY)
    for expected in (r"^800 KiB were accepted", r"^0 B were accepted"):
        with pytest.raises(Postponed, match=expected):
            town.push()


def test_what_came_in_parts_is_kept_until_the_last_one_however_long_it_takes(town: Town) -> None:
    """A compaction writes 150 days' worth again: at four evenings a day net, it takes longer than remains are kept."""
    town.vaults.advance(DAY)
    town.evening(180, rewrite=True)
    assert town.days_until_whole() > 36
    assert assert_whole(town.vaults)[-1] == town.chain[-1].name


def test_a_stolen_origin_brings_a_months_allowance_at_most_after_a_silence(town: Town) -> None:
    town.vaults.advance(90 * DAY)
    town.evening(200)
    before = town.taken_bytes()
    for allowed in (30 * DAILY, DAILY, DAILY):
        with pytest.raises(Postponed):
            town.push()
        came, before = town.taken_bytes() - before, town.taken_bytes()
        assert allowed - CHANGE <= came <= allowed + MIB  # headers and names are counted beside
        town.vaults.advance(DAY)


def test_headers_and_receipts_do_not_renew_the_allowance_of_a_day(town: Town) -> None:
    for _ in range(4):
        town.evening()
        town.push()
    town.evening(3)
    with pytest.raises(Postponed):
        town.push()


def test_an_act_lets_more_in_at_once_until_its_end(town: Town) -> None:
    town.evening(40)
    with pytest.raises(Postponed):
        town.push()
    accept_act(town.vaults.open(HOLDER), town.vaults.act("quota", SERVICE, days=2, daily=50 * CHANGE))
    town.push()
    town.vaults.advance(2 * DAY)
    town.evening(40)
    with pytest.raises(Postponed, match=r"takes 1000 KiB of this service in a day"):
        town.push()


def test_what_a_relay_completes_needs_no_more_days(town: Town) -> None:
    """The other holder had it all: what came in parts is used, and the rest counts for no day."""
    town.cut_off(20, [name for name in NAMES if name != HOLDER])
    with pytest.raises(Postponed):
        town.push()
    vaults, newest = town.vaults, town.chain[-1]
    receipt = vaults.put(newest, town.grant, at=STANDBY, before=town.chain[:-1])
    details = {"receipt": receipt, "age_seconds": vaults.open(STANDBY).ageing.now(), "acts": [], "absences": []}
    assert list(_relayed(town, details))[-1] == newest.name


def _relayed(town: Town, details: dict[str, object]) -> Iterator[str]:
    with town.vaults.session(HOLDER, STANDBY) as channel:
        push(channel, town.chain[-1], [town.grant], town.chain[:-1], verb="put-relayed", details=details)
    yield from assert_whole(town.vaults)
