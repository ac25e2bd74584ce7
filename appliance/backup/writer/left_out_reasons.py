"""Which of the things that a backup left out a restore will lack."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from appliance.units import as_typed, format_count

SOCKET = "socket"
TYPED_MAX = 3
PASSWORDS = "the passwords of the roles, which this user may not read"
"""A user that had better be no superuser dumps the database; its roles come back without passwords."""


MAPPINGS = "the options of user mappings, which this user may not read: "
WARNED = "pg_dump warned: "
_NOTES = (MAPPINGS, WARNED)
"""These name what only a superuser dumps: a restore lacks it, and no right that a backup should have would change that.
So they make nothing partial, stop no move and alarm nobody; runs, status and drills show them."""


def matters(reason: str) -> bool:
    """Whether a restore will lack what was left out for `reason`, and somebody should do something about it. A socket
    holds nothing, and the program that listens there makes it again."""
    return reason != SOCKET and not reason.startswith(_NOTES)


def noted(reasons: Iterable[str]) -> str:
    """The note in a manifest on a dump that is whole: without names of what is in it, for everybody here can read
    that."""
    notes = [it for it in reasons if it.startswith(_NOTES)]
    warnings = sum(it.startswith(WARNED) for it in notes)
    told = [it for it in notes if not it.startswith(WARNED)]
    return "; ".join(told + ([f"pg_dump warned, {format_count(warnings, 'time')}"] if warnings else []))


def is_missing(reason: str) -> bool:
    """Whether an archive lacks for `reason` what it should have. A file that vanished while borg read is gone at its
    source, too, and one that was written meanwhile is there, of a moment in between."""
    if reason == PASSWORDS or "[Errno 2]" in reason or reason.startswith("file changed while"):
        return False
    return matters(reason)


def how_to_accept(service: str, names: Sequence[str]) -> str:
    """Return the command, typed where the service is written, that accepts `names`; a placeholder where there are
    many."""
    words = [word for name in names for word in ("--left-out", name)] if len(names) <= TYPED_MAX else []
    typed = as_typed("appliance", "backup", "confirm", service, *words)
    return typed if words else f"{typed} --left-out PATH"
