"""Former defects of the product, one function each: put back, the model must find it.

Each is written from what commit a0cc4881 did, as plainly as it can be said.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from appliance.backup.chain.retention import Drop, Generation, Keep, prune
from appliance.backup.vault.limits import Limits, ceiling
from appliance.backup.vault.maintenance.early_pruning import room_of
from appliance.backup.vault.maintenance.former_replica import CheckedReceipt
from appliance.backup.writer.shrunken import Sizes
from appliance.config.collected import Collected
from appliance.config.confirming import Confirming
from appliance.config.remember import Next, follow
from appliance.restore.job import Job
from appliance.territory.model import Retention, Territory
from appliance.territory.renaming import with_first_names
from appliance.trust.bundle import Bundle
from appliance.trust.former_voters import FormerVoters
from appliance.trust.generation import GenerationId
from appliance.units import DAY
from tests.integration.life.restoring import Line
from tests.integration.life.rules import in_the_way, next_early_pruned
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


def five_times_one_day(holder: Holder, limits: Limits, age: float, asked: int) -> int:
    """All or nothing, of five times *one* day's change however long nobody came (L2)."""
    seeding = not holder.held
    return asked if seeding or asked <= limits.daily else 0


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


def nothing_confirmed(
    before: Bundle, shown: Mapping[str, Collected], earlier: Sequence[Bundle], now: float
) -> Confirming:
    """A bundle with other voters kept no former grant good: new boxes believed none of a service (A1)."""
    return Confirming(before.confirmed, {}, {}, ())


def thinned_as_if_it_went_on(
    headers: Iterable[Generation], age: int, lock: int, goes_on: bool
) -> Sequence[Keep | Drop]:
    """Holders kept the newest of a service that left for ever."""
    return prune(headers, age, lock)


def drilled_newest(archives: Sequence[Saved]) -> str:
    """A drill restored the newest, partial or not (L3)."""
    return archives[-1].name


def no_doubt(before: Bundle, found: Confirming, term: int) -> Mapping[str, tuple[int, ...]]:
    """After a bundle signed `--unconfirmed`, brokers signed above the newest grant that they believed (A1)."""
    return {}


def forgotten_voters(before: Bundle, term: int, issued: str) -> FormerVoters | None:
    """The last grants of the voters of the term before were believed only where they were confirmed (A1)."""
    return None


def job_by_archive_name(jobs: Sequence[Job], line: Line, archive: str) -> Job | None:
    """A job is found again by the archive's name, and "newest" names another one the day after (L6)."""
    wanted = (archive, line.paths, line.target)
    return next((job for job in jobs if (job.archive, job.paths, job.target) == wanted), None)


def never_in_the_way(others: Sequence[Job], line: Line, begun: Job | None) -> Job | None:
    """Two restores into one folder made a mixture of both."""
    return None


def goes_on_whoever_is_there(others: Sequence[Job], line: Line, begun: Job | None) -> Job | None:
    """A restore that had begun went on, also among the files of one that had begun later."""
    return None if begun else in_the_way(others, line, None)


def nothing_pinned(jobs: Sequence[Job]) -> Collection[str]:
    """A night's tidying forgot the archive that a restore had begun with (L6)."""
    return ()


def named_as_written(before: Bundle, file: Territory, was: Mapping[str, str], now: float) -> Next:
    """A service that was called otherwise was another service, and the first one had left."""
    return follow(before, file, now=now)


def named_while_it_is_said(before: Bundle, file: Territory, was: Mapping[str, str], now: float) -> Next:
    """A later name was forgotten with the first bundle that was signed without `was`."""
    services = {name: replace(it, called="") for name, it in before.territory.services.items()}
    forgot = replace(before, territory=replace(before.territory, services=services))
    return follow(forgot, with_first_names(file, was), now=now)


def pruned_below_what_is_held(
    holder: Holder, limits: Limits, age: float, change_per_day: int, lock: int
) -> GenerationId | None:
    """A quota that was set too small by mistake took a generation each day."""
    allowed = ceiling(limits.quota, holder.base, relayed=False)
    if age - holder.early_pruned_age < DAY or holder.used <= room_of(allowed, change_per_day):
        return None
    return next_early_pruned(holder, age, lock)


def nothing_given_up(
    held: Collection[str], present: Collection[str], receipts: Mapping[str, CheckedReceipt], lock_seconds: int
) -> set[str]:
    """A node that held a service once kept its copy for ever."""
    return set()


def given_up_by_the_plan(
    held: Collection[str], present: Collection[str], receipts: Mapping[str, CheckedReceipt], lock_seconds: int
) -> set[str]:
    """A node that holds the service no more by the plan gave its copy up, whatever the others have."""
    return set(held) if present else set()
