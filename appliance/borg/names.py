"""Names of archives. borg orders archives by the clock of who made them, and a clock can be a year off; so the number
of the generation that an archive is made for stands in its name, and that orders them."""

from __future__ import annotations

import re

from appliance.clock import utc_seconds
from appliance.errors import UsageError

_NUMBER = re.compile(r"-(\d{1,5})\.(\d{1,10})-\d{4}-")
_COMPANION = re.compile(r"MANIFEST\.(.+)\.(\d{1,5}\.\d{1,10})\.(\d{4}-.+)")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_BRANCH = re.compile(r"\.branch-(\d{1,5})-\d{4}-")
_CHECKPOINT = re.compile(r"\.checkpoint(\.\d+)?$")


def archive_name(service: str, number: str, time: str, unique: int) -> str:
    """ "docs-a-2.7-2026-11-25T08:00:00Z-123456". A run that was cut made one of the same number: `unique` differs."""
    return f"{service}-{number}-{time}-{unique % 10**6:06d}"


def number_of(archive: str) -> tuple[int, int]:
    """The (epoch, sequence) in the name of an archive; (0, 0), before all others, for one that we did not name."""
    found = _NUMBER.search(archive)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def is_numbered(archive: str, service: str) -> bool:
    """Whether a run of `service` named this archive, as `archive_name` does."""
    return archive.startswith(f"{service}-") and _NUMBER.match(archive, len(service)) is not None


def time_of(archive: str) -> float:
    """The clock of its writer, UTC seconds, by the name of an archive; 0 for one that we did not name."""
    found = _TIME.search(archive)
    return utc_seconds(found[0]) if found else 0.0


def branch_name(service: str, epoch: int, time: str) -> str:
    """ "docs-a.branch-2-2026-11-25T08:00:00Z": what was written under `epoch` while another wrote. No service has a dot
    in its name, so that nothing which names a service's archives means these."""
    return f"{service}.branch-{epoch}-{time}"


def companion_name(archive: str) -> str:
    """ "MANIFEST.docs-a.2.7.2026-11-25T08:00:00Z-123456": the small archive that says what `archive` lacks.

    The name has no number as `number_of` reads it, and sorts before all services: a former version, and a person who
    takes the last line of a sorted list, never take it for the newest archive.
    """
    service, number, rest = _parts(archive)
    return f"MANIFEST.{service}.{number}.{rest}"


def companion_of(archive: str) -> str | None:
    """The archive of which this one says what it lacks; None for one that says nothing of another."""
    found = _COMPANION.fullmatch(archive)
    return f"{found[1]}-{found[2]}-{found[3]}" if found else None


def _parts(archive: str) -> tuple[str, str, str]:
    """The service, the number and what follows in a name that `archive_name` made; raise UsageError for another."""
    found = _NUMBER.search(archive)
    if not found:
        raise UsageError(f'"{archive}" is not the archive of a backup run.')
    return archive[: found.start()], f"{found[1]}.{found[2]}", archive[found.end(2) + 1 :]


def is_checkpoint(archive: str) -> bool:
    """Whether borg named it so: what an archive that was never finished had stored by then."""
    return _CHECKPOINT.search(archive) is not None


def branch_of(archive: str) -> int | None:
    """The epoch of the branch that `archive` holds; None for one of the service's own."""
    found = _BRANCH.search(archive)
    return int(found[1]) if found else None
