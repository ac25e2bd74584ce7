"""Names of archives. borg orders archives by the clock of who made them, and a clock can be a year off; so the number
of the generation that an archive is made for stands in its name, and that orders them."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"-(\d{1,5})\.(\d{1,10})-\d{4}-")


def archive_name(service: str, number: str, time: str, unique: int) -> str:
    """ "docs-a-2.7-2026-11-25T08:00:00Z-123456". A run that was cut made one of the same number: `unique` differs."""
    return f"{service}-{number}-{time}-{unique % 10**6:06d}"


def number_of(archive: str) -> tuple[int, int]:
    """The (epoch, sequence) in the name of an archive; (0, 0), before all others, for one that we did not name."""
    found = _NUMBER.search(archive)
    return (int(found[1]), int(found[2])) if found else (0, 0)
