"""Which archives the writer's own repository keeps. Pure.

`retention` says how many: the last archive of each hour, day, week, month and year in which there is one, as
`borg prune` counts them (an archive that a shorter rule keeps already takes no place of a longer one; the oldest is
kept while a rule has places left). But borg sorts by date, and a clock can be a year off: archives that were made while
it was behind would be the oldest of all, and be forgotten the same night. So here archives stand in the order of the
numbers in their names, and dates only say where one period ends and the next begins:

1. The longest series of archives whose dates fit together is *dated*: a period ends between two of them where their
   dates say so. A gap takes no places, so a clock that is ahead does no harm by itself.
2. Each of the others is in an hour and a day of its own. It begins no week and no month between two dated ones; among
   themselves their dates say it where they fit together, and where not, a day for each or what the ageing clock says.
3. A period that begins at one of those may be none. It takes no place, up to as many as the rule has: too much is kept
   rather than too little.

4. Where dates contradict each other, the last whole archive of each of so many months by the ageing clock is kept, too:
   a clock that is set again and again makes months that never were, which take the places of those that were.

In each period a whole archive goes before a partial one. The newest, the newest whole one and those that an unended
restore needs are always kept.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from itertools import pairwise

from appliance.backup.chain.retention import MONTH
from appliance.backup.writer.manifest import Aged
from appliance.borg.names import number_of
from appliance.clock import SKEW_SECONDS_MAX
from appliance.errors import UsageError
from appliance.territory.model import Retention
from appliance.units import DAY, HOUR


@dataclass(frozen=True)
class Candidate:
    """An archive: `time` is UTC seconds by the clock of the machine that made it, `aged` what its ageing clock said."""

    name: str
    time: float
    whole: bool = True
    aged: Aged | None = None


@dataclass(frozen=True)
class Keep:
    name: str
    reason: str


@dataclass(frozen=True)
class Drop:
    name: str
    reason: str


@dataclass(frozen=True)
class Rule:
    """`label` is the same for two moments of one period."""

    name: str
    label: Callable[[datetime], object]
    seconds: int


RULES = (
    Rule("hourly", lambda moment: (moment.date(), moment.hour), HOUR),
    Rule("daily", datetime.date, DAY),
    Rule("weekly", lambda moment: moment.isocalendar()[:2], 7 * DAY),
    Rule("monthly", lambda moment: (moment.year, moment.month), 30 * DAY),
    Rule("yearly", lambda moment: moment.year, 365 * DAY),
)


@dataclass(frozen=True)
class Period:
    """The archives of one period in the order of their numbers; not `sure` when it may be one with the period after."""

    archives: tuple[Candidate, ...]
    sure: bool

    @property
    def best(self) -> str:
        last = self.archives[-1]
        return last.name if last.whole else _last_whole(self.archives) or last.name


def keep(
    archives: Iterable[Candidate], retention: Retention, pinned: Collection[str] = (), zone: tzinfo | None = None
) -> tuple[Keep | Drop, ...]:
    """Decide on each of `archives`, in the order of their numbers; raise UsageError when `retention` is empty.

    `pinned` are names that an unended restore still needs. Days begin at midnight in `zone`, the machine's own if None.
    """
    check_retention(retention)
    ordered = sorted(archives, key=lambda it: (number_of(it.name), it.time, it.name))
    moments = [datetime.fromtimestamp(it.time, zone) for it in ordered]
    dated = _dated(ordered)
    kept: dict[str, str] = {}
    for rule in RULES:
        count = getattr(retention, rule.name)
        _apply(rule, count, _periods(rule, ordered, moments, dated), kept)
    if not all(dated):
        _apply_aged(retention.monthly, ordered, kept)
    for name, reason in _always(ordered, pinned):
        kept.setdefault(name, reason)
    return tuple(
        Keep(it.name, kept[it.name]) if it.name in kept else Drop(it.name, "no rule of the retention keeps it")
        for it in ordered
    )


def check_retention(retention: Retention) -> None:
    """Raise UsageError for one that keeps nothing: no mistake of a configuration may empty a repository."""
    if not any(vars(retention).values()):
        raise UsageError("this retention keeps no archive.", remedy="Set daily, for example, to 14.")


def _always(ordered: Sequence[Candidate], pinned: Collection[str]) -> Iterable[tuple[str, str]]:
    if ordered:
        yield ordered[-1].name, "the newest"
    if whole := _last_whole(ordered):
        yield whole, "the newest whole one"
    for it in ordered:
        if it.name in pinned:
            yield it.name, "an unfinished restore needs it"


def _last_whole(archives: Sequence[Candidate]) -> str | None:
    return next((it.name for it in reversed(archives) if it.whole), None)


def _apply(rule: Rule, count: int, periods: Iterable[Period], kept: dict[str, str]) -> None:
    """Add to `kept` the best archive of each of the newest `count` periods, as far as no earlier rule keeps it."""
    taken = free = 0
    oldest = None
    for period in periods if count else ():
        oldest = period.archives[0].name
        best = period.best
        if best in kept:
            continue
        kept[best] = f"the last of its period, {rule.name}"
        if period.sure or free == count:
            taken += 1
        else:
            free += 1
        if taken == count:
            return
    if oldest is not None:
        kept.setdefault(oldest, f"the oldest, while {rule.name} is not full")


def _apply_aged(count: int, ordered: Sequence[Candidate], kept: dict[str, str]) -> None:
    for archives in _aged_months(ordered)[-count:] if count else ():
        kept.setdefault(Period(archives, sure=True).best, "the last of its month by the ageing clock")


def _aged_months(ordered: Sequence[Candidate]) -> list[tuple[Candidate, ...]]:
    """Months by the ageing clock: one ends where any clock that was read in it comes to its next.

    How long it was between readings of two machines nobody knows, so a change of the machine alone ends none.
    """
    months: list[list[Candidate]] = [[]]
    read: dict[str, int] = {}
    for it in ordered:
        month = it.aged.seconds // MONTH if it.aged else 0
        if it.aged and read.setdefault(it.aged.clock, month) != month:
            months.append([])
            read = {it.aged.clock: month}
        months[-1].append(it)
    return [tuple(month) for month in months if month]


def _periods(
    rule: Rule, ordered: Sequence[Candidate], moments: Sequence[datetime], dated: Sequence[bool]
) -> Iterable[Period]:
    """The periods of `rule`, newest first."""
    labels = [rule.label(moment) for moment in moments]
    is_short = rule.seconds <= DAY
    first = dated.index(True) if any(dated) else 0
    end, is_sure, passed = len(ordered), True, 0.0
    label: object = None
    for index in range(len(ordered) - 1, 0, -1):
        older = index - 1
        label = labels[index] if dated[index] else label
        if dated[older]:
            by_date = dated[index] or (label is not None and not is_short)
            ends = not by_date or labels[older] != label
        elif dated[index]:
            by_date, ends = False, is_short or older < first
        else:
            gap = _gap(ordered[older], ordered[index])
            passed += gap or 0
            by_date, ends = False, labels[older] != labels[index] if gap is None else is_short or passed >= rule.seconds
        if ends:
            yield Period(tuple(ordered[index:end]), is_sure)
            end, is_sure, passed = index, by_date, 0.0
    if ordered:
        yield Period(tuple(ordered[:end]), is_sure)


def _dated(ordered: Sequence[Candidate]) -> list[bool]:
    """Which archives are of the longest series in which each date fits to the one before."""
    if all(_gap(before, after) is None for before, after in pairwise(ordered)):
        return [True] * len(ordered)
    longest, origins = list[tuple[int, int]](), [-1] * len(ordered)  # (-length, end) of the series so far
    for index, after in enumerate(ordered):
        fitting = ((length, end) for length, end in longest if _gap(ordered[end], after) is None)
        length, origins[index] = next(fitting, (0, -1))
        insort(longest, (length - 1, index))
    series, at = set[int](), longest[0][1]
    while at >= 0:
        series.add(at)
        at = origins[at]
    return [index in series for index in range(len(ordered))]


def _gap(before: Candidate, after: Candidate) -> float | None:
    """The least seconds between two archives where their dates contradict each other; None where they fit together.

    Where the machine was started in between, nobody knows how long it was off: it counts as a day.
    """
    passed = after.time - before.time
    if before.aged is None or after.aged is None or before.aged.clock != after.aged.clock:
        return None if passed >= -SKEW_SECONDS_MAX else DAY
    aged = max(0, after.aged.seconds - before.aged.seconds)
    if passed < aged - SKEW_SECONDS_MAX:
        return aged if before.aged.boot == after.aged.boot else max(aged, DAY)
    return aged if before.aged.boot == after.aged.boot and passed > aged + DAY else None
