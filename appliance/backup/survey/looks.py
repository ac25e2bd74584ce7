"""The memory of a survey from day to day: a few numbers of each look, and no name of a file.

A look is added whole or not at all, so an end in the middle of one loses that look and no earlier one. The file is
named after the folders and what is excluded: looks at other files say nothing of these.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from appliance.backup.survey.walk import Scope, Seen
from appliance.clock import SKEW_SECONDS_MAX, utc_seconds, utc_text
from appliance.errors import IntegrityError
from appliance.host.files import locked
from appliance.host.records import Record
from appliance.units import DAY, HOUR, as_typed, printable

INTERVAL_SECONDS_MIN = 20 * HOUR
"""A second look on one day would count what changes hourly twice."""
INTERVAL_SECONDS_MAX = 4 * DAY
"""A PC is off for a long weekend. After more, what changed daily would count once for all those days."""
LOOKS_MAX = 35


@dataclass(frozen=True)
class Look:
    """`changed_bytes` since the look of `since`; that is "" for a look that follows none. Times are UTC."""

    at: str
    since: str
    files: int
    bytes: int
    changed_bytes: int
    undated: int
    unreadable: int

    @property
    def days(self) -> float:
        """The days that it covers, since the look before it."""
        return (utc_seconds(self.at) - utc_seconds(self.since)) / DAY if self.since else 0.0


@dataclass(frozen=True)
class Looks:
    """The oldest look first."""

    folders: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    looks: tuple[Look, ...] = ()


RECORD = Record(Looks, format=1, unreadable="these looks of a survey cannot be read")


def file_of(scope: Scope, environment: Mapping[str, str]) -> Path:
    """Where looks at `scope` are kept: below XDG_STATE_HOME, or its default."""
    home = environment.get("XDG_STATE_HOME", "")
    base = Path(home) if home.startswith("/") else Path.home() / ".local/state"
    named = "\0".join((*scope.folders, "", *scope.exclude))
    digest = hashlib.sha256(os.fsencode(named)).hexdigest()
    return base / "appliance" / f"survey-{digest[:12]}.json"


def read(file: Path) -> tuple[Look, ...]:
    """The looks kept in `file`; raise IntegrityError for what is none of ours."""
    remedy = f"The survey starts over when you remove it: {as_typed('rm', str(file))}"
    try:
        found = RECORD.load(file)
        looks = found.looks if found else ()
        for it in looks:
            _ = it.days, utc_seconds(it.at)
    except IntegrityError as error:
        raise IntegrityError(error.what, where=error.where, remedy=remedy) from error
    except ValueError as error:
        raise IntegrityError(f"{RECORD.unreadable}: {error}.", where=str(file), remedy=remedy) from error
    return looks


def alone(file: Path) -> AbstractContextManager[None]:
    """Let one look at a time be added to `file`; raise Busy for another one."""
    return locked(file.with_suffix(".lock"), what="this survey")


def is_due(looks: Sequence[Look], now: float) -> bool:
    """Whether a look at `now` may be added: a day after the last, or at once when the clock went back behind that."""
    if not looks:
        return True
    since = now - utc_seconds(looks[-1].at)
    return since >= INTERVAL_SECONDS_MIN or since < -SKEW_SECONDS_MAX


def base_of(looks: Sequence[Look], now: float) -> Look | None:
    """The look that one at `now` follows; None where it begins a new row: the last is too old, or the clock went
    back."""
    last = looks[-1] if looks else None
    return last if last and 0 < now - utc_seconds(last.at) <= INTERVAL_SECONDS_MAX else None


def add(file: Path, scope: Scope, looks: Sequence[Look], base: Look | None, seen: Seen) -> tuple[Look, ...]:
    """Keep what was `seen` since the look `base`; return all looks.

    Files with an old time that were put there make the whole grow; renamed ones, or ones with another mode, do not.
    """
    grown = max(0, seen.bytes - base.bytes) if base else 0
    new = Look(
        at=utc_text(seen.at),
        since=base.at if base else "",
        files=seen.files,
        bytes=seen.bytes,
        changed_bytes=seen.changed + min(seen.arrived, grown) if base else 0,
        undated=seen.undated,
        unreadable=seen.unreadable_count,
    )
    kept = (*looks, new)[-LOOKS_MAX:]
    RECORD.save(file, Looks(_shown(scope.folders), _shown(scope.exclude), kept))
    return kept


def _shown(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(map(printable, words))
