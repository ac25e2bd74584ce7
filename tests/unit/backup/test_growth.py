"""The growth of a share in ten years, by the real rules of writer and replica node, and that a quota was right
beforehand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC
from pathlib import Path

import pytest

from appliance.backup.chain.growth import day_of_early_pruning, day_of_refusal, default_quota, quota_that_lasts, refuses
from appliance.backup.chain.retention import Generation, Keep, prune, prune_early
from appliance.backup.vault.maintenance.early_pruning import HEADROOM_DAYS, HEADROOM_SHARE, short_from
from appliance.backup.writer.keep import Candidate, keep
from appliance.backup.writer.keep import Keep as KeptArchive
from appliance.config.load import load
from appliance.territory.model import Retention, Schedule, Service
from appliance.trust.generation import NO_PARENT, GenerationId
from appliance.units import DAY, GIB, MIB
from tests.worlds.small import service as plan_service

EXAMPLE = Path(__file__).parents[3] / "inventory/example"
USABLE = 0.7
STEP = 7
"""Days between two backups of the simulation. What was changed in between comes at once; a week is the finest in which
ten years take seconds."""
WEEKLY = Retention(hourly=0, daily=0, weekly=8, monthly=12)
BEGAN = 1_700_000_000


@dataclass
class Share:
    """One service at one holder. The service has `size` bytes, of which the oldest are replaced, `change` each day: the
    worst that can be, since nothing that was changed is changed again. An archive is the span of days whose bytes it
    has; what several archives have is kept once."""

    service: Service
    change: int
    room: float
    day: int = 0
    archives: list[int] = field(default_factory=list)
    generations: dict[int, tuple[int, ...]] = field(default_factory=dict)
    """The archives in each generation that is held, by the day it came."""
    headers: list[Generation] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    pruned_early: list[int] = field(default_factory=list)

    def bytes_of(self, archives: Iterable[int]) -> int:
        """The union of what the archives made on these days have."""
        span, end, total = self.service.size_bytes / self.change, float("-inf"), 0.0
        for made in sorted(archives):
            total += made - max(end, made - span)
            end = made
        return round(total * self.change)

    def used(self, more: Iterable[int] = ()) -> int:
        return self.bytes_of({made for held in self.generations.values() for made in held} | set(more))

    def evening(self) -> None:
        self.archives.append(self.day)
        kept = keep([Candidate(f"docs-2.{it + 1}-x", BEGAN + it * DAY) for it in self.archives], WEEKLY, zone=UTC)
        names = {it.name for it in kept if isinstance(it, KeptArchive)}
        self.archives = [it for it in self.archives if f"docs-2.{it + 1}-x" in names]
        if self.used(self.archives) > self.room:
            self.refused.append(self.day)
        else:
            self.generations[self.day] = tuple(self.archives)
            self.headers.append(self._header())
        self._thin()
        self.day += STEP

    def _header(self) -> Generation:
        parent = self.headers[-1].id.digest if self.headers else NO_PARENT
        return Generation(GenerationId(2, self.day + 1, f"{self.day:064x}"), parent, self.day * DAY)

    def _known(self) -> list[Generation]:
        return [replace(it, held=it.id.sequence - 1 in self.generations) for it in self.headers]

    def _thin(self) -> None:
        now, lock = self.day * DAY, self.service.lock_seconds
        left = {it.id.sequence - 1 for it in prune(self._known(), now, lock) if isinstance(it, Keep)}
        self.generations = {day: it for day, it in self.generations.items() if day in left}
        for _ in range(STEP):  # a pass a day
            headroom = min(HEADROOM_DAYS * self.service.change_bytes_per_day, HEADROOM_SHARE * self.room)
            if self.used() <= self.room - headroom:
                return
            if found := prune_early(self._known(), now, lock):
                del self.generations[found.id.sequence - 1]
                self.pruned_early.append(self.day)

    def live(self, days: int) -> Share:
        while self.day < days and not self.refused:
            self.evening()
        return self


def service(size: int, change: int, quota: int = 0) -> Service:
    made = replace(plan_service("docs", "a"), size_bytes=size, change_bytes_per_day=change, lock_seconds=30 * DAY)
    made = replace(made, retention=WEEKLY, schedule=Schedule(every_hours=24 * STEP), quota_bytes=quota)
    return made if quota else replace(made, quota_bytes=_default(made))


def _default(it: Service) -> int:
    return default_quota(it.size_bytes, it.change_bytes_per_day, it.lock_seconds, it.retention, it.schedule)


SIZES = [(200 * GIB, GIB), (100 * GIB, 2 * GIB), (20 * GIB, GIB // 10), (300 * GIB, 2 * GIB), (2 * GIB, GIB)]


@pytest.mark.long
@pytest.mark.parametrize(("size", "change"), SIZES)
def test_a_default_quota_refuses_nothing_in_ten_years_at_the_declared_change(size: int, change: int) -> None:
    it = service(size, change)
    assert Share(it, change, USABLE * it.quota_bytes).live(3650).refused == []


@pytest.mark.long
@pytest.mark.parametrize(("size", "change"), SIZES[:4])
def test_at_twice_the_declared_change_a_share_is_pruned_early_and_stays_within(size: int, change: int) -> None:
    it = service(size, change)
    share = Share(it, 2 * change, USABLE * it.quota_bytes).live(3650)
    assert share.refused == []
    assert share.pruned_early, "and its holder warns"
    assert share.used() <= USABLE * it.quota_bytes


@pytest.mark.long
@pytest.mark.parametrize(("size", "change"), SIZES)
@pytest.mark.parametrize("times", [1, 2])
def test_a_share_of_the_default_quota_is_never_told_to_be_nearly_full(size: int, change: int, times: int) -> None:
    """Retention fills it as laid out, to 97 % at most: a warning for years would hide the share that will not last."""
    it = service(size, change)
    share = Share(it, times * change, USABLE * it.quota_bytes)
    while share.day < 3650:
        share.evening()
        assert share.used() < short_from(share.room, change), share.day


def test_a_share_that_will_refuse_is_told_weeks_before() -> None:
    whole = service(200 * GIB, GIB)
    it = replace(whole, quota_bytes=round(0.75 * quota_that_lasts(whole)))
    share, told = Share(it, GIB, USABLE * it.quota_bytes), None
    while not share.refused:
        share.evening()
        if told is None and share.used() >= short_from(share.room, GIB):
            told = share.day
    assert told is not None
    assert share.refused[0] - told >= 28


@pytest.mark.parametrize(("size", "change"), SIZES[:4])
def test_the_default_quota_of_former_versions_refused_within_months_and_check_says_so(size: int, change: int) -> None:
    """(size + change x lock) / 0.7, as it was: full "on day 29 to 128", in all towns about together."""
    it = service(size, change, quota=round((size + 30 * change) / USABLE))
    (refused,) = Share(it, change, USABLE * it.quota_bytes).live(3650).refused
    told = day_of_refusal(it)
    assert told is not None
    assert told <= refused <= told + 2 * STEP + 7, "a week of headroom and the step"


@pytest.mark.parametrize("share_of_what_lasts", [0.4, 0.5, 0.75])
def test_check_says_the_day_before_a_smaller_quota_is_full(share_of_what_lasts: float) -> None:
    whole = service(200 * GIB, GIB)
    it = replace(whole, quota_bytes=round(share_of_what_lasts * quota_that_lasts(whole)))
    (refused,) = Share(it, GIB, USABLE * it.quota_bytes).live(3650).refused
    told = day_of_refusal(it)
    assert told is not None
    assert 0.7 * refused <= told <= refused + STEP, "the oldest archives go a little later than they could"


def test_what_lasts_lasts_and_check_says_nothing() -> None:
    it = service(200 * GIB, GIB)
    enough = replace(it, quota_bytes=quota_that_lasts(it))
    assert day_of_refusal(enough) is None
    day = day_of_early_pruning(enough)
    assert day is not None
    assert day < 3650
    assert day_of_early_pruning(replace(it, quota_bytes=10**15)) is None


def test_small_changes_of_a_small_service_add_no_more_than_its_size_each_time() -> None:
    """A service that changes wholly each day: an archive adds its size, however long ago the one before it was."""
    assert quota_that_lasts(service(10 * MIB, 10 * MIB)) < 0.8 * quota_that_lasts(service(GIB, 10 * MIB))


@pytest.mark.long
def test_every_service_of_the_example_lasts_ten_years_at_the_declared_change() -> None:
    territory = load(EXAMPLE)
    assert refuses(territory) == {}
    figures = {(it.size_bytes, it.change_bytes_per_day, it.quota_bytes) for it in territory.services.values()}
    by_turnover = sorted(figures, key=lambda it: it[0] / it[1])
    assert len(by_turnover) > 15
    for size, change, quota in (*by_turnover[::6], by_turnover[-1]):
        share = Share(service(size, change, quota), change, USABLE * quota).live(3650)
        assert share.refused == [], (size, change, quota)
