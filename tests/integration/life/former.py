"""What the product did before a defect was mended, one function each: put back, the model must find it.

Each is written from what commit a0cc4881 did, as plainly as it can be said.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from appliance.backup.shrunken import Sizes
from appliance.territory.model import Retention
from appliance.trust.generation import GenerationId
from appliance.units import DAY
from tests.integration.life.world import Content, Holder, Saved

PERIODS = {"hourly": "%Y-%m-%d %H", "daily": "%Y-%m-%d", "weekly": "%G-%V", "monthly": "%Y-%m", "yearly": "%Y"}


def prune_by_dates(archives: Sequence[Saved], retention: Retention, pinned: Collection[str]) -> frozenset[str]:
    """borg's own prune: newest first by the date that a clock gave, whole or not, pinned or not (L1, L3)."""
    kept: set[str] = set()
    newest_first = sorted(archives, key=lambda it: it.wall, reverse=True)
    for rule, pattern in PERIODS.items():
        wanted, last = getattr(retention, rule), ""
        for saved in newest_first:
            if not wanted:
                break
            period = datetime.fromtimestamp(saved.wall, UTC).strftime(pattern)
            if period != last:
                last = period
                if saved.name not in kept:
                    kept.add(saved.name)
                    wanted -= 1
    return frozenset(kept)


def five_times_one_day(holder: Holder, age: float, change_per_day: int, lock: int, asked: int) -> int:
    """All or nothing, of five times *one* day's change however long nobody came (L2)."""
    seeding = not holder.held
    return asked if seeding or asked <= 5 * change_per_day else 0


def quota_without_tiers(size: int, change_per_day: int, lock_seconds: int, retention: Retention) -> int:
    """The size, what changes while generations are locked, and the reserve: neither retention is in it (L5)."""
    return (size + change_per_day * lock_seconds // int(DAY)) * 100 // 70


def always_whole(saved: Saved) -> bool:
    """Nobody but the run itself knew that a path was missing (L3)."""
    return True


def as_it_was_saved(archives: Sequence[Saved], saved: Saved) -> tuple[Content | None, ...]:
    """A restore brings what the archive has, and not a word of what it lacks (L3)."""
    return saved.content


def never_shrunken(sizes: Sizes, saved: Saved) -> Sizes:
    """An empty mount point is a service like any other (L4)."""
    return sizes


def any_receipt(has: Collection[str], here: str, to: str) -> bool:
    """A planned move counts as synced once any holder has the last generation (outside-review-2, 2)."""
    return bool(has)


def any_newest(required: GenerationId, offered: GenerationId) -> bool:
    """The node that takes over goes on from the newest that is offered."""
    return True


def job_by_archive_name(asked: str, archive: Saved, archives: Sequence[Saved]) -> Saved | None:
    """A job is found again by the archive's name, and "newest" names another one the day after (L6)."""
    found = archives[-1] if asked == "newest" else archive
    return found if found in archives else None
