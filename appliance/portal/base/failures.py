"""Failures as a page shows them: in plain words. The sentences of our own failures name files and commands."""

from __future__ import annotations

from appliance.errors import ApplianceError, Busy, Forbidden, NoSpace, NotFound, Refused, Unreachable, UsageError

_STATUS: tuple[tuple[type[ApplianceError], int], ...] = (
    (NotFound, 404),
    (UsageError, 400),
    (Busy, 409),
    (NoSpace, 507),
    (Forbidden, 403),
    (Refused, 403),
    (Unreachable, 504),
)


class PageFailure(Exception):
    """An answer that is no page: `status` of HTTP, and `why` when the status does not say it all."""

    def __init__(self, status: int, why: str = "") -> None:
        super().__init__(f"{status} {why}".rstrip())
        self.status = status
        self.why = why


def failure_of(error: Exception) -> PageFailure:
    """The answer to what was raised while a page was made."""
    if isinstance(error, PageFailure):
        return error
    return next((PageFailure(status) for kind, status in _STATUS if isinstance(error, kind)), PageFailure(500))
