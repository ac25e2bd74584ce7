"""The catalogue's evidence of an attack: the archive to go back to, how much was hit, and which files."""

from __future__ import annotations

import os
import sqlite3
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import pairwise

from appliance.restore.browse import Moment
from appliance.restore.burst import Burst, Observed, bursts
from appliance.restore.catalogue import MICROSECONDS
from appliance.restore.model import Version
from appliance.restore.schema import OPEN
from appliance.restore.scope import Folders, condition
from appliance.restore.search import LIMIT
from appliance.units import MINUTE

ENDING_LENGTH_MAX = 20


@dataclass(frozen=True)
class Attack:
    """`safe` is the last archive that shows nothing of it. `ending`: what most new names end with, "" for none."""

    burst: Burst
    safe: Moment
    hit: int
    """How many files of `safe` the last archive of the burst has no more as they were."""
    ending: str = ""


def attacks(connection: sqlite3.Connection, *, folders: Folders = None) -> tuple[Attack, ...]:
    """Every change burst in `folders` (None: everywhere), the latest first. None is no proof that nothing happened."""
    return tuple(_attack(connection, burst, folders) for burst in bursts(observe(connection, folders=folders)))


def observe(connection: sqlite3.Connection, *, folders: Folders = None) -> tuple[Observed, ...]:
    """Return the changes of each kept archive but the first against the one before it, in the order in which they were
    seen."""
    kept = connection.execute("SELECT number, name, start FROM archive WHERE kept ORDER BY number").fetchall()
    numbers = [number for number, _, _ in kept]
    changed, written = _written(connection, numbers, folders)
    gone = _gone(connection, numbers, folders)
    return tuple(
        Observed(
            archive=name,
            start_seconds=start,
            before=before,
            before_seconds=since,
            changed=changed[number],
            gone=gone[number],
            written={it: count for it, count in written[number].items() if since - MINUTE < it * MINUTE <= start},
        )
        for (_, before, since), (number, name, start) in pairwise(kept)
    )


def hit_files(
    connection: sqlite3.Connection, attack: Attack, *, folders: Folders = None, limit: int = LIMIT, offset: int = 0
) -> tuple[Version, ...]:
    """The files that the attack changed or took, in the order of paths, each as the safe archive has it."""
    below, values = condition(folders)
    rows = connection.execute(
        f"SELECT path.path, ver.kind, ver.size, ver.mtime, oldest.start {_HIT} AND {below}"
        " ORDER BY path.path LIMIT :limit OFFSET :offset",
        {**values, **_bounds(connection, attack.burst, attack.safe), "limit": limit, "offset": offset},
    )
    safe = attack.safe
    return tuple(
        Version(os.fsdecode(path), kind, size, mtime / MICROSECONDS, safe.archive, first, safe.start_seconds, False)
        for path, kind, size, mtime, first in rows
    )


_HIT = """
FROM ver JOIN path ON path.id = ver.path_id JOIN archive AS oldest ON oldest.number = ver.first
WHERE ver.kind = 'file' AND ver.first <= :safe AND ver.last >= :safe AND ver.last < :end
"""


def _bounds(connection: sqlite3.Connection, burst: Burst, safe: Moment) -> dict[str, int]:
    query = "SELECT number FROM archive WHERE name = ? AND kept"
    names = {"safe": safe.archive, "end": burst.archives[-1]}
    return {key: connection.execute(query, (name,)).fetchone()[0] for key, name in names.items()}


def _attack(connection: sqlite3.Connection, burst: Burst, folders: Folders) -> Attack:
    ending = _ending(connection, burst, folders)
    safe = Moment(burst.safe, burst.safe_seconds)
    safe = (ending and _before_first(connection, ending, safe, folders)) or safe
    below, values = condition(folders)
    bounds = _bounds(connection, burst, safe)
    hit = connection.execute(f"SELECT count(*) {_HIT} AND {below}", {**values, **bounds}).fetchone()[0]
    return Attack(burst, safe, hit, ending)


def _ending(connection: sqlite3.Connection, burst: Burst, folders: Folders) -> str:
    """Return the ending of at least half of the burst's new names, when no file of the archive before it ended so."""
    below, values = condition(folders)
    bounds = _bounds(connection, burst, Moment(burst.safe, burst.safe_seconds))
    query = (
        f"SELECT path.norm FROM ver JOIN path ON path.id = ver.path_id WHERE ver.kind = 'file' AND {below}"
        " AND ver.first > :safe AND ver.first <= :end"
        " AND NOT EXISTS (SELECT 1 FROM ver AS older WHERE older.path_id = ver.path_id AND older.first < ver.first)"
    )
    endings = Counter(_suffix(norm) for (norm,) in connection.execute(query, {**values, **bounds}))
    ending, count = next(iter(endings.most_common(1)), ("", 0))
    if not ending or 2 * count < endings.total() or 2 * count < burst.gone:
        return ""
    usual = connection.execute(
        f"SELECT count(*) FROM ver JOIN path ON path.id = ver.path_id WHERE {below} AND substr(path.norm, :from) = :end"
        " AND :safe BETWEEN ver.first AND ver.last",
        {**values, "from": -len(ending), "end": ending, "safe": bounds["safe"]},
    ).fetchone()[0]
    return ending if usual * 10 < count else ""


def _before_first(connection: sqlite3.Connection, ending: str, safe: Moment, folders: Folders) -> Moment | None:
    """The archive before the first that has a name of this ending: an attack begins with few files."""
    below, values = condition(folders)
    row = connection.execute(
        "SELECT name, start FROM archive WHERE kept AND number <"
        f" (SELECT min(ver.first) FROM ver JOIN path ON path.id = ver.path_id WHERE {below}"
        " AND substr(path.norm, :from) = :ending)"
        " AND start <= :until ORDER BY number DESC LIMIT 1",
        {**values, "from": -len(ending), "ending": ending, "until": safe.start_seconds},
    ).fetchone()
    return Moment(*row) if row else None


def _suffix(norm: str) -> str:
    name = norm.rpartition("/")[2]
    stem, dot, suffix = name.rpartition(".")
    return f".{suffix}" if stem and dot and 0 < len(suffix) <= ENDING_LENGTH_MAX else ""


def _written(
    connection: sqlite3.Connection, numbers: list[int], folders: Folders
) -> tuple[Counter[int], defaultdict[int, Counter[int]]]:
    """By archive: how many files that were known changed, and the minutes at which new versions were written."""
    below, values = condition(folders)
    changed: Counter[int] = Counter()
    written: defaultdict[int, Counter[int]] = defaultdict(Counter)
    query = (
        "SELECT ver.first, ver.mtime / :minute, count(*), sum(EXISTS"
        " (SELECT 1 FROM ver AS older WHERE older.path_id = ver.path_id AND older.first < ver.first))"
        f" FROM ver JOIN path ON path.id = ver.path_id WHERE ver.first > :oldest AND ver.kind = 'file' AND {below}"
        " GROUP BY 1, 2"
    )
    oldest = numbers[0] if numbers else OPEN
    for first, minute, count, known in connection.execute(
        query, {**values, "minute": MINUTE * MICROSECONDS, "oldest": oldest}
    ):
        at = bisect_left(numbers, first)  # a pruned archive's changes show in the next that is kept
        if at < len(numbers):
            changed[numbers[at]] += known
            written[numbers[at]][minute] += count
    return changed, written


def _gone(connection: sqlite3.Connection, numbers: list[int], folders: Folders) -> Counter[int]:
    below, values = condition(folders)
    gone: Counter[int] = Counter()
    query = (
        "SELECT ver.last, count(*) FROM ver JOIN path ON path.id = ver.path_id"
        f" WHERE ver.last < {OPEN} AND ver.kind = 'file' AND {below} AND NOT EXISTS"
        " (SELECT 1 FROM ver AS next WHERE next.path_id = ver.path_id AND next.first = ver.last + 1) GROUP BY 1"
    )
    for last, count in connection.execute(query, values):
        at = bisect_right(numbers, last)
        if at < len(numbers):
            gone[numbers[at]] += count
    return gone
