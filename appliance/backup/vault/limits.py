"""The limits of one service at a replica node, decided from what is used, asked and free. Pure.

An attacker with all of an origin's credentials can at most fill its quota. Part of it stays for the next epoch, so that
the replacement of a ransomed node still finds room:

    ceiling(epoch) = base + 0.7 * (limit - base), base = what was used when this epoch began

That holds for bytes, for names (files and folders: inodes run out too) and for headers, which pruning leaves. A
generation that another replica node hands on already passed these limits there, so it may fill the whole limit and
counts for no day.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from appliance.errors import NoSpace, Postponed
from appliance.units import DAY, MIB, format_bytes, format_duration

CURRENT_EPOCH_QUOTA = 0.7
LISTING_BYTES_MAX = 16 * MIB
"""About 180,000 files. The memory of a vault must stay small on a small machine."""
HEADERS_PER_PUSH_MAX = 20_000
HEADERS_MAX = 200_000
NAMES_MIN = 100_000
DISK_NAMES_FLOOR = 10_000
RAISE_QUOTA = "Raise quota in territory.yml and sign a new bundle."


@dataclass(frozen=True)
class Amount:
    """Bytes, names (files and folders) and headers: what a holding uses, or what a push would add."""

    bytes: int = 0
    names: int = 0
    headers: int = 0


@dataclass(frozen=True)
class Limits:
    """Declared in the signed bundle, or raised by an act, in bytes.

    `seed` is what the first seeding may bring in a day, apart from `daily`, of which at most `days_max` days add up
    (`ledger.py`)."""

    quota: int
    daily: int
    seed: int
    free_bytes_min: int
    days_max: int = 1

    @property
    def quota_for(self) -> Amount:
        return Amount(self.quota, NAMES_MIN + self.quota // MIB, HEADERS_MAX)


@dataclass(frozen=True)
class Usage:
    """The use that is known before the first byte of a push is taken. `taken_today` counts by the ageing clock: towards
    the first seeding while nothing is held, towards the daily ingest afterwards, to which earlier days add what is
    `carried`. `disk_names_free` is None where names are not limited."""

    used: Amount
    base: Amount
    taken_today: int
    seeding: bool
    disk_free: int
    disk_names_free: int | None
    carried: int = 0


def check_room(limits: Limits, usage: Usage, incoming: Amount, *, relayed: bool = False) -> None:
    """Raise NoSpace, with what is missing and who can act, unless `incoming` fits the quota and the disk on top of what
    is used. How much of it is taken today, `allowance` says."""
    _check_quota(limits, usage, incoming, relayed)
    _check_disk(limits, usage, incoming)


def _check_quota(limits: Limits, usage: Usage, incoming: Amount, relayed: bool) -> None:
    quota = limits.quota_for
    allowed = ceiling(quota.bytes, usage.base.bytes, relayed)
    if usage.used.bytes + incoming.bytes > allowed:
        raise NoSpace(
            f"the quota at this peer is full: {format_bytes(usage.used.bytes)} used, {format_bytes(incoming.bytes)} "
            f"requested, {format_bytes(allowed)} allowed in this epoch of a quota of {format_bytes(limits.quota)}.",
            remedy=f"{RAISE_QUOTA} History older than the lock is pruned, one generation a day, as far as allowed; "
            "nothing younger is removed.",
        )
    for what, used, base, asked, limit in (
        ("files and folders", usage.used.names, usage.base.names, incoming.names, quota.names),
        ("headers", usage.used.headers, usage.base.headers, incoming.headers, quota.headers),
    ):
        if used + asked > ceiling(limit, base, relayed):
            raise NoSpace(
                f"{used} {what} are here and {asked} more were requested: more than a regular service makes.",
                remedy="Look for ransomware at the origin; nothing of the replica is removed.",
            )


def ceiling(limit: int, base: int, relayed: bool) -> float:
    """The part of `limit` that an epoch may fill which began with `base` in use; that may be above a limit that was
    lowered."""
    return limit if relayed else min(limit, base + CURRENT_EPOCH_QUOTA * (limit - base))


def allowance(limits: Limits, usage: Usage) -> int:
    """The bytes that a writer may still bring today."""
    if usage.seeding:
        return max(0, max(limits.seed, limits.daily) - usage.taken_today)
    return max(0, limits.daily + usage.carried - usage.taken_today)


def part_of(costs: Sequence[int], allowed: int) -> int:
    """How many of `costs`, from the first on, fit into `allowed` bytes together."""
    return bisect.bisect_right(tuple(itertools.accumulate(costs)), allowed)


def postponed(limits: Limits, age_seconds: int, taken: int, rest: int, seeding: bool) -> Postponed:
    """Return the answer to the writer when `taken` bytes came now and `rest` come on later days."""
    daily = max(limits.seed, limits.daily) if seeding else limits.daily
    seconds = int(DAY) - age_seconds % int(DAY)
    whole = seconds + (max(1, -(-rest // max(1, daily))) - 1) * int(DAY)
    return Postponed(
        f"{format_bytes(taken)} were accepted and {format_bytes(rest)} remain: this peer takes {format_bytes(daily)} "
        f"of this service in a day, and the next part in {format_duration(seconds)}.",
        remedy="Nothing to do: the agent sends the rest. If not that much was changed at the origin, look there for "
        "ransomware. An act `quota` with --per-day admits more at once.",
        seconds=seconds,
        whole_seconds=whole,
    )


def _check_disk(limits: Limits, usage: Usage, incoming: Amount) -> None:
    short = usage.disk_free - incoming.bytes < limits.free_bytes_min
    names = usage.disk_names_free
    if short or (names is not None and names - incoming.names < DISK_NAMES_FLOOR):
        raise NoSpace(
            f"the peer's disk has {format_bytes(usage.disk_free)} free and keeps {format_bytes(limits.free_bytes_min)} "
            f"and {DISK_NAMES_FLOOR} names for its own services.",
            remedy="Add a disk at the peer or move a service away (`appliance territory plan`).",
        )


def day_of(age_seconds: int) -> int:
    """The day of the ageing clock that the ingest cap counts in."""
    return age_seconds // int(DAY)
