"""The archives that a writer keeps: the same as `borg prune` where clocks are right, and nothing is lost where they are
not."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.backup.writer.keep import Candidate, Drop, Keep, keep
from appliance.backup.writer.manifest import Aged
from appliance.borg.names import archive_name
from appliance.clock import utc_text
from appliance.errors import UsageError
from appliance.territory.model import Retention
from appliance.units import DAY, HOUR

START = datetime(2025, 10, 1, 21, tzinfo=UTC).timestamp()
YEAR = 365 * DAY
BUILD_DATE = datetime(2025, 6, 1, 18, tzinfo=UTC).timestamp()
"""Where Debian's systemd starts a clock without battery."""


def archive(number: int, time: float, *, whole: bool = True, epoch: int = 2, aged: Aged | None = None) -> Candidate:
    return Candidate(archive_name("docs-a", f"{epoch}.{number}", utc_text(time), number), time, whole, aged)


def kept(archives: Iterable[Candidate], retention: Retention, pinned: Iterable[str] = ()) -> list[Candidate]:
    """Those left once it is carried out."""
    archives = list(archives)
    names = {it.name for it in keep(archives, retention, tuple(pinned), UTC) if isinstance(it, Keep)}
    return [it for it in archives if it.name in names]


def tidied(times: Iterable[float], retention: Retention) -> list[Candidate]:
    """Return what is left of runs at `times`, pruned after each."""
    left: list[Candidate] = []
    for number, time in enumerate(times, 1):
        left = kept([*left, archive(number, time)], retention)
    return left


LABELS = {
    "hourly": "%Y-%m-%d %H",
    "daily": "%Y-%m-%d",
    "weekly": "%G-%V",
    "monthly": "%Y-%m",
    "yearly": "%Y",
}


def pruned(times: Sequence[float], retention: Retention) -> set[float]:
    """Return what `borg prune` 1.4 keeps of archives at `times`: its own few lines, by date alone."""
    result: set[float] = set()
    for rule, label in LABELS.items():
        count, taken, last = getattr(retention, rule), 0, ""
        for time in sorted(times, reverse=True) if count else ():
            period = datetime.fromtimestamp(time, UTC).strftime(label)
            if period != last:
                last = period
                if time not in result:
                    result.add(time)
                    taken += 1
                    if taken == count:
                        break
        if count and taken < count and times:
            result.add(min(times))
    return result


few = st.integers(0, 5)
retentions = st.builds(Retention, few, few, few, few, few).filter(lambda it: any(vars(it).values()))
steps = st.lists(st.sampled_from([600, HOUR, 5 * HOUR, DAY, 3 * DAY, 20 * DAY, 40 * DAY, 400 * DAY]), max_size=40)


def moments(gaps: Iterable[int]) -> list[float]:
    times = [START]
    for gap in gaps:
        times.append(times[-1] + gap)
    return times


@given(retentions, steps)
def test_with_a_right_clock_it_keeps_what_borg_prune_would(retention: Retention, gaps: list[int]) -> None:
    times = moments(gaps)
    left = {it.time for it in kept([archive(number, it) for number, it in enumerate(times, 1)], retention)}
    assert left == pruned(times, retention) | {times[-1]}


@pytest.mark.parametrize("every", [DAY, HOUR])
def test_over_ten_years_it_keeps_what_borg_prune_would_of_each_day(every: int) -> None:
    years = 10 if every == DAY else 1
    left: list[Candidate] = []
    for number in range(1, years * YEAR // every + 1):
        left.append(archive(number, START + number * every))
        if number % 50 == 0:
            expected = pruned([it.time for it in left], Retention(24, 14, 8, 12, 3))
            left = kept(left, Retention(24, 14, 8, 12, 3))
            assert {it.time for it in left} == expected


SMALL = Retention(2, 5, 3, 12, 0)
"""Fewer hours and days than the default, so that few archives show it."""
CLOCKS: dict[str, Callable[[int], float]] = {
    "behind": lambda evening: BUILD_DATE + evening * DAY,
    "ahead": lambda evening: START + 430 * DAY + YEAR + evening * DAY,
}


@pytest.mark.parametrize("clock", CLOCKS)
@pytest.mark.parametrize("days", [1, 12, 60, 200, 420])
def test_evenings_with_a_wrong_clock_are_all_kept_though_tidied_each_night(days: int, clock: str) -> None:
    """L1: `borg prune` took the evenings after a blackout for the oldest archives and forgot each the same night."""
    service = [START + day * DAY for day in range(days)]
    evenings = [CLOCKS[clock](evening) for evening in range(5)]
    assert {*evenings} <= {it.time for it in tidied([*service, *evenings], SMALL)}


@pytest.mark.parametrize("clock", CLOCKS)
def test_what_is_made_once_the_clock_is_right_again_is_kept_beside_them(clock: str) -> None:
    service = [START + day * DAY for day in range(400)]
    evenings = [CLOCKS[clock](evening) for evening in range(2)]
    after = [START + (403 + day) * DAY for day in range(3)]
    left = {it.time for it in tidied([*service, *evenings, *after], SMALL)}
    assert {*evenings, *after} <= left


@pytest.mark.parametrize("clock", CLOCKS)
def test_evenings_with_a_wrong_clock_cost_no_month(clock: str) -> None:
    service = [START + day * DAY for day in range(400)]
    after = [START + (405 + day) * DAY for day in range(30)]
    wrong = [CLOCKS[clock](evening) for evening in range(5)]
    without, with_them = tidied([*service, *after], SMALL), tidied([*service, *wrong, *after], SMALL)
    months = {datetime.fromtimestamp(it.time, UTC).strftime("%Y-%m") for it in without}
    assert months <= {datetime.fromtimestamp(it.time, UTC).strftime("%Y-%m") for it in with_them}


def test_evenings_that_all_begin_at_the_same_date_are_told_apart_by_the_ageing_clock() -> None:
    """A flat battery: the box is switched on for two hours each evening, and its clock starts at the same date."""
    left = [archive(1, START, aged=Aged(1000, "box", "boot-0"))]
    for evening in range(1, 6):
        aged = Aged(1000 + evening * 2 * HOUR, "box", f"boot-{evening}")
        left = kept([*left, archive(1 + evening, BUILD_DATE + evening, aged=aged)], Retention(0, 14, 8, 12, 0))
    assert len(left) == 6


@given(
    st.lists(
        st.tuples(
            st.sampled_from([HOUR, DAY, 3 * DAY, 40 * DAY]),
            st.sampled_from([0.0, 0.0, 0.0, -500 * DAY, YEAR, 50 * YEAR, -8 * HOUR]),
            st.booleans(),
        ),
        min_size=1,
        max_size=60,
    ),
    retentions,
)
def test_whatever_the_clock_said_the_newest_the_newest_whole_and_the_pinned_are_kept(
    runs: list[tuple[int, float, bool]], retention: Retention
) -> None:
    time, left, pinned = START, list[Candidate](), list[str]()
    for number, (gap, error, whole) in enumerate(runs, 1):
        time += gap
        left.append(archive(number, time + error, whole=whole))
        if number % 7 == 3:
            pinned.append(left[-1].name)
        before, left = left, kept(reversed(left), retention, pinned)[::-1]
        assert before[-1] in left
        assert [it for it in before if it.whole][-1:] == [it for it in left if it.whole][-1:]
        assert {it.name for it in left} >= {*pinned}
        assert len(left) <= 2 * sum(vars(retention).values()) + 7 + len(pinned)
        assert kept(left, retention, pinned) == left or len(kept(left, retention, pinned)) < len(left)


class Life:
    """A service in simulated time. The machine does not know `now`, only what its clock says: for some days after a
    blackout that is behind or ahead, or begins at the same date at each start. Some runs are partial, and some months
    nobody is there."""

    def __init__(self, seed: int, every: int) -> None:
        self.draw, self.every = random.Random(seed), every
        self.now, self.until, self.number, self.up, self.boots = START, START, 0, 0, 0
        self.error: float | None = 0.0
        self.truth: dict[str, float] = {}

    def run(self) -> Candidate:
        self.now += self.every
        if self.now >= self.until:
            self._pass_a_quiet_or_an_eventful_time()
        self.number, self.up = self.number + 1, self.up + min(self.every, 2 * HOUR)
        self.boots += self.every == DAY
        time = BUILD_DATE + self.draw.random() * 60 if self.error is None else self.now + self.error
        aged = Aged(self.up, "box", str(self.boots))
        made = archive(self.number, time, whole=self.draw.random() > 0.1, aged=aged)
        self.truth[made.name] = self.now
        return made

    def _pass_a_quiet_or_an_eventful_time(self) -> None:
        self.error, chance = 0.0, self.draw.random() * 400 * DAY / self.every
        if chance < 1:
            self.now += self.draw.randrange(5, 70) * DAY
        elif chance < 3:
            self.error = self.draw.choice([BUILD_DATE - self.now, YEAR, -30 * DAY, 10 * YEAR, None])
            self.until = self.now + self.draw.randrange(1, 12) * DAY
            self.boots += 1

    def periods(self, archives: Iterable[Candidate], label: str) -> list[str]:
        """The true days or months in which one of `archives` was made, in order."""
        times = sorted(self.truth[it.name] for it in archives if it.whole)
        return list(dict.fromkeys(datetime.fromtimestamp(it, UTC).strftime(label) for it in times))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("every", [DAY, HOUR])
def test_in_years_of_wrong_clocks_no_day_of_the_last_and_no_two_months_lose_their_archives(
    seed: int, every: int
) -> None:
    """Against the truth: of the newest 14 days with a whole archive, each still has one; of the last eleven months with
    any, no two have none left. Ten years of daily runs, eight months of hourly ones."""
    life = Life(seed, every)
    left: list[Candidate] = []
    months: list[str] = []
    while life.now < START + (10 * YEAR if every == DAY else 240 * DAY):
        left += [life.run() for _ in range(DAY // every)]
        days, months = life.periods(left, "%F"), [*months, *life.periods(left[-1:], "%Y-%m")]
        left = kept(left, Retention())
        assert days[-14:] == life.periods(left, "%F")[-14:]
        recent = list(dict.fromkeys(months))[-11:]
        assert len({*recent} - {*life.periods(left, "%Y-%m")}) <= 1
        assert len(left) <= 2 * 58 + 2


@pytest.mark.parametrize("seed", range(6))
def test_a_clock_that_is_wrong_after_each_of_forty_starts_costs_no_two_months(seed: int) -> None:
    """Found by the soak of lives: each wrong date was a month that never was, and took the place of one that was."""
    draw = random.Random(seed)
    left: list[Candidate] = []
    day = 0
    made: dict[str, int] = {}
    for boot in range(40):
        errors = [draw.choice([-10.0, -1.2, -0.1, 0.1, 1.0]) * YEAR] * draw.choice([1, 1, 3, 5, 15])
        for error in [*errors, 0.0]:
            day += 1
            aged = Aged(day * DAY, "box", str(boot))
            left.append(archive(day, START + day * DAY + error, aged=aged))
            made[left[-1].name] = day
            left = kept(left, Retention())
            days = [0, *(made[it.name] for it in left)]
            assert all(later - earlier <= 62 for earlier, later in pairwise(days) if day - earlier < 11 * 28)


def test_the_date_of_who_asks_changes_nothing() -> None:
    """A clock that jumps in mid-tidy: what is forgotten depends on the archives alone."""
    archives = [archive(number, START + number * DAY) for number in range(1, 40)]
    assert keep(archives, Retention(), zone=UTC) == keep(tuple(reversed(archives)), Retention(), zone=UTC)


def test_a_whole_archive_goes_before_a_partial_one_of_the_same_day() -> None:
    whole, partial = archive(1, START), archive(2, START + HOUR, whole=False)
    later = [archive(3 + day, START + (1 + day) * DAY) for day in range(3)]
    left = kept([whole, partial, *later], Retention(0, 14, 0, 0, 0))
    assert whole in left
    assert partial not in left


def test_forty_partial_nights_do_not_displace_the_last_whole_archive() -> None:
    """L3: the last whole backup was pruned in favour of one without the second path."""
    whole = [archive(number, START + number * DAY) for number in range(1, 11)]
    partial = [archive(10 + number, START + (10 + number) * DAY, whole=False) for number in range(1, 41)]
    left = kept([*whole, *partial], Retention(2, 3, 0, 0, 0))
    assert whole[-1] in left
    assert partial[-1] in left


def test_an_archive_of_a_later_epoch_is_newer_whatever_its_date() -> None:
    first, second = archive(9, START + DAY, epoch=2), archive(1, START - 500 * DAY, epoch=3)
    decisions = keep([second, first], Retention(0, 0, 0, 0, 1), zone=UTC)
    assert [it.name for it in decisions] == [first.name, second.name]
    assert isinstance(decisions[-1], Keep)


def test_each_decision_says_why() -> None:
    archives = [archive(number, START + number * HOUR) for number in range(1, 8)]
    decisions = keep(archives, Retention(0, 1, 0, 0, 0), [archives[2].name], UTC)
    assert [(type(it), it.reason) for it in decisions[1:4]] == [
        (Drop, "no rule of the retention keeps it"),
        (Keep, "an unfinished restore needs it"),
        (Drop, "no rule of the retention keeps it"),
    ]
    assert decisions[-1].reason == "the last of its period, daily"


def test_a_retention_of_nothing_but_zeros_is_refused() -> None:
    with pytest.raises(UsageError, match="keeps no archive"):
        keep([], Retention(0, 0, 0, 0, 0))
    assert keep([], replace(Retention(), daily=1)) == ()
