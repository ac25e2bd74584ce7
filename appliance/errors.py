"""Every expected failure has a class here; its exit code is the documented one (`docs/reference/exit-codes.md`).

    ApplianceError            4   a precondition does not hold
    ├── UsageError            2   the command line or a file of the user's is wrong
    ├── NotFound              3   what was named does not exist
    ├── Busy                  4   somebody else holds the lock
    ├── NoSpace               4   a disk, a quota or a reserve is full
    ├── Postponed             4   a peer takes the rest of a push later, and nobody has to do anything
    ├── IntegrityError        5   a hash, a signature, a chain or a format does not hold
    ├── Forbidden             6   the operating system or a peer denies it to this caller
    ├── Unreachable           7   a peer did not answer
    ├── Refused               8   a rule of the territory says no (grant, epoch, retention, four eyes)
    └── Unsupported           9   this machine cannot do it: a kernel feature is absent; nothing was done

A command that worked but must tell something (a file that could not be read) ends with WARNINGS.
"""

from __future__ import annotations

OK = 0
WARNINGS = 1
INTERRUPTED = 130


class ApplianceError(Exception):
    """One clear sentence: what happened, where, and what to type next."""

    exit_code = 4

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        remedy = f" {self.remedy}" if self.remedy else ""
        return f"{place}{self.what}{remedy}"


class UsageError(ApplianceError):
    exit_code = 2


class NotFound(ApplianceError):
    exit_code = 3


class Busy(ApplianceError):
    exit_code = 4


class NoSpace(ApplianceError):
    exit_code = 4


class Postponed(ApplianceError):
    """`seconds` until the next part is taken; `whole_seconds`, at least, until the last one is."""

    exit_code = 4

    def __init__(
        self, what: str, *, where: str = "", remedy: str = "", seconds: int = 0, whole_seconds: int = 0
    ) -> None:
        super().__init__(what, where=where, remedy=remedy)
        self.seconds = seconds
        self.whole_seconds = whole_seconds


class IntegrityError(ApplianceError):
    exit_code = 5


class Forbidden(ApplianceError):
    exit_code = 6


class Unreachable(ApplianceError):
    exit_code = 7


class Refused(ApplianceError):
    exit_code = 8


class Unsupported(ApplianceError):
    exit_code = 9
