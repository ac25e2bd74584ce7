"""How much the copies of a service become at one holder, and when a quota is full. Pure.

A holder keeps generations, each of them holds the archives that its writer kept then, so what a holder has reaches as
far back as both retentions together. Each archive adds to the one before it at most what was changed between them, and
never more than its own size:

    bytes = size + the sum of min(size, change * gap) over the gaps between archives

That holds however the changes fall: on files that are changed daily, on new ones, or evenly. Nothing is taken off for
compression, which cannot be known beforehand. `tests/unit/backup/test_growth.py` compares it with ten simulated years
of `keep`, `prune` and `prune_early`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import pairwise
from math import ceil

from appliance.backup.chain.retention import FLOOR_MONTHS, MONTH, TIERS
from appliance.backup.vault.limits import CURRENT_EPOCH_QUOTA
from appliance.backup.vault.maintenance.early_pruning import HEADROOM_DAYS
from appliance.territory.model import Retention, Schedule, Service, Territory
from appliance.units import DAY

YEARS = 10
CHANGE_MARGIN = 2
"""A default quota holds twice the declared change: declared figures are estimates, and compaction writes some again."""
_DAYS = {"hourly": 1 / 24, "daily": 1, "weekly": 7, "monthly": 31, "yearly": 366}


def default_quota(size: int, change_per_day: int, lock_seconds: int, retention: Retention, schedule: Schedule) -> int:
    """The quota that lasts at CHANGE_MARGIN times the declared change."""
    ages = _ages(lock_seconds, retention, _interval_days(schedule), early=True)
    return _lasting(size, CHANGE_MARGIN * change_per_day, ages, HEADROOM_DAYS * change_per_day)


def default_quota_of(it: Service) -> int:
    """The quota that `it` has without a line of its own."""
    return default_quota(it.size_bytes, it.change_bytes_per_day, it.lock_seconds, it.retention, it.schedule)


def refuses(territory: Territory) -> Mapping[str, int]:
    """The services whose holders will have to refuse at the declared change, with the day after the first backup."""
    days = {service.name: day_of_refusal(service) for service in territory.services.values()}
    return {name: day for name, day in days.items() if day is not None}


def early_pruning_days(territory: Territory) -> Mapping[str, int]:
    """The services whose quotas let history older than the lock go earlier one day, with that day."""
    days = {service.name: day_of_early_pruning(service) for service in territory.services.values()}
    return {name: day for name, day in days.items() if day is not None}


def quota_that_lasts(service: Service) -> int:
    """The least quota that never has to refuse at the declared change."""
    change = service.change_bytes_per_day
    return _lasting(service.size_bytes, change, _ages_of(service, early=True), HEADROOM_DAYS * change)


def _lasting(size: int, change_per_day: int, ages: Iterable[int], free: int) -> int:
    """The bytes held once the replica was pruned early as far as it may, with what early pruning keeps `free` and the
    reserve of the next epoch."""
    gaps = sum(min(size, change_per_day * (older - younger)) for younger, older in pairwise(ages))
    return ceil((size + gaps + free) / CURRENT_EPOCH_QUOTA) + 1


def day_of_refusal(service: Service) -> int | None:
    """The day, from the first backup on, on which the declared quota refuses at the declared change; None
    when it never does."""
    day = _day_when_full(service, _ages_of(service, early=True))
    if day is None and service.quota_bytes < quota_that_lasts(service):
        return _ages_of(service, early=True)[-1]  # less than early pruning keeps free
    return day


def day_of_early_pruning(service: Service) -> int | None:
    """The day on which early pruning of history older than the lock begins; None when ten years fit."""
    return _day_when_full(service, _ages_of(service, early=False))


def _day_when_full(service: Service, ages: Iterable[int]) -> int | None:
    """Archives older than `day` are not there yet on it, so the first of them that does not fit says the day."""
    room, total = CURRENT_EPOCH_QUOTA * service.quota_bytes, service.size_bytes
    if total > room:
        return 0
    for younger, older in pairwise(ages):
        total += min(service.size_bytes, service.change_bytes_per_day * (older - younger))
        if total > room:
            return older
    return None


def _ages_of(service: Service, *, early: bool) -> tuple[int, ...]:
    return _ages(service.lock_seconds, service.retention, _interval_days(service.schedule), early=early)


@lru_cache(maxsize=256)
def _ages(lock_seconds: int, retention: Retention, interval_days: float, *, early: bool) -> tuple[int, ...]:
    """The ages, in whole days, of all archives in the generations that a holder keeps after ten years."""
    writers = tuple(_ages_at_the_writer(retention, interval_days))
    replica_nodes = set(_ages_at_a_replica_node(ceil(lock_seconds / DAY), early=early))
    return tuple(sorted({holder + writer for holder in replica_nodes for writer in writers}))


def _ages_at_the_writer(retention: Retention, interval_days: float) -> Iterator[int]:
    """Each rule goes on where the one before it ends, in steps of its period, or of a schedule that is longer; and as
    periods do not begin together, up to one period later."""
    age = 0.0
    yield 0
    for name, days in _DAYS.items():
        count = getattr(retention, name)
        for _ in range(count + 1 if count else 0):
            age += max(days, interval_days)
            yield ceil(age)


def _ages_at_a_replica_node(lock_days: int, *, early: bool) -> Iterator[int]:
    """All within the lock; then the first and last of each period of each tier, or one of each month of the floor."""
    yield from range(lock_days + 1)
    if early:
        month = MONTH // int(DAY)
        yield from range(lock_days, lock_days + FLOOR_MONTHS * month + 1, month)
        return
    for tier in TIERS:
        period, end = ceil(tier.period_seconds / DAY), lock_days + ceil(tier.seconds / DAY)
        for first in range(0, end + 1, period):
            yield from (age for age in (first, first + period - 1) if lock_days <= age <= end)


def _interval_days(schedule: Schedule) -> float:
    return schedule.span_seconds / DAY if schedule.span_seconds else 1.0
