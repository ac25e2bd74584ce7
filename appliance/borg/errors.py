"""borg's exit codes as named errors.

Modern codes are exact for a repository on this machine, the only kind we open (borg 1.4.0 mixed them up over SSH). Two
are not enough: 1 of `check` means damage, not a warning; 2 is any error that borg did not foresee (a full disk, a
denied file), of which the log holds the operating system's own words.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from appliance.errors import ApplianceError, Busy, Forbidden, IntegrityError, NoSpace, NotFound, Refused
from appliance.host.command import Result


class BorgFailed(ApplianceError):
    """borg ended otherwise than foreseen, or was killed."""


class BorgKilled(BorgFailed):
    """It says nothing of what borg was asked for."""


class RepositoryMissing(NotFound): ...


class RepositoryExists(Refused): ...


class RepositoryLocked(Busy): ...


class WrongPassphrase(Forbidden): ...


class AccessDenied(Forbidden): ...


class KeyMissing(NotFound): ...


class KeyDamaged(IntegrityError): ...


class RepositoryDamaged(IntegrityError): ...


class ReplayRefused(Refused): ...


class FormatUnknown(Refused): ...


class ArchiveMissing(NotFound): ...


class ArchiveExists(Refused): ...


class PathMissing(NotFound): ...


class DiskFull(NoSpace): ...


WARNING_CODES = frozenset({1, *range(100, 128)})

_REMEDIES: dict[type[ApplianceError], str] = {
    RepositoryMissing: "Check the folder, or adopt a generation.",
    RepositoryLocked: "Try again when it has ended.",
    WrongPassphrase: "Check the passphrase that goes with this repository's key.",
    AccessDenied: "Run as the account that owns the repository.",
    KeyMissing: "Put the keyfile back from an envelope or from paper.",
    KeyDamaged: "Put the keyfile back from an envelope or from paper.",
    RepositoryDamaged: "Do not repair it: adopt the newest generation that verifies.",
    ReplayRefused: "This copy is older than one seen with the same base folder: open it with a new base folder.",
    FormatUnknown: "Install a newer borg 1.4.",
    ArchiveMissing: "List the archives to see the names.",
    ArchiveExists: "Choose another name.",
    DiskFull: "Free space on this disk, then run the command again: committed data is not lost.",
    BorgKilled: "Run the command again.",
    BorgFailed: "Run the command again; if it fails again, see borg's own message.",
}

LOCK_TIMEOUT = 73
"""borg did nothing: somebody held a lock for as long as it was told to wait."""

_BY_CODE: dict[int, type[ApplianceError]] = {
    10: RepositoryExists,
    12: RepositoryDamaged,
    13: RepositoryMissing,
    14: DiskFull,
    15: RepositoryMissing,
    16: RepositoryDamaged,
    17: RepositoryDamaged,
    18: RepositoryMissing,
    19: RepositoryExists,
    20: DiskFull,
    21: AccessDenied,
    25: FormatUnknown,
    26: RepositoryDamaged,
    27: FormatUnknown,
    30: ArchiveExists,
    31: ArchiveMissing,
    40: KeyDamaged,
    41: KeyMissing,
    42: KeyMissing,
    44: KeyMissing,
    47: FormatUnknown,
    48: FormatUnknown,
    50: WrongPassphrase,
    52: WrongPassphrase,
    53: WrongPassphrase,
    62: ReplayRefused,
    63: ReplayRefused,
    64: ReplayRefused,
    **dict.fromkeys((70, 71, 72, LOCK_TIMEOUT), RepositoryLocked),
    **dict.fromkeys((90, 91, 92, 95, 96, 97, 98, 99), RepositoryDamaged),
}

# The operating system's own words, in the traceback of an error borg did not foresee and in LockFailed.
_BY_TEXT: tuple[tuple[str, type[ApplianceError]], ...] = (
    ("No space left on device", DiskFull),
    ("Disk quota exceeded", DiskFull),
    ("Permission denied", AccessDenied),
    ("Operation not permitted", AccessDenied),
    ("Read-only file system", AccessDenied),
    ("Input/output error", RepositoryDamaged),
)


@dataclass(frozen=True)
class Message:
    """One line of borg's log. `path` of file_status lines and the like are not kept."""

    level: str
    id: str
    text: str


def messages(result: Result) -> Iterator[Message]:
    """The log lines of a borg that was run with --log-json, in order; lines that are not JSON come as level ERROR."""
    for line in result.stderr.decode(errors="replace").splitlines():
        try:
            data = json.loads(line)
        except ValueError:
            if line.strip():
                yield Message("ERROR", "", line.strip())
            continue
        if isinstance(data, dict) and data.get("type") == "log_message":
            yield Message(data.get("levelname", ""), data.get("msgid", ""), data.get("message", ""))


def error_of(result: Result, where: str) -> ApplianceError:
    """The named error of a borg that failed; `where` names the repository."""
    log = [message for message in messages(result) if message.level in ("ERROR", "CRITICAL")]
    kind = _kind(result.exit_code, log)
    named = [message.text for message in log if message.id not in ("", "Exception")]
    lines = "\n".join(named[:1] or [message.text for message in log]).split("\n")
    return kind(_sentence(result.exit_code, lines[-1].strip(), kind), where=where, remedy=_REMEDIES.get(kind, ""))


def _kind(exit_code: int, log: list[Message]) -> type[ApplianceError]:
    if exit_code < 0:
        return BorgKilled
    if exit_code in (1, 2, 72):
        text = "\n".join(message.text for message in log)
        for words, kind in _BY_TEXT:
            if words in text:
                return kind
    return _BY_CODE.get(exit_code, BorgFailed)


def _sentence(exit_code: int, said: str, kind: type[ApplianceError]) -> str:
    if exit_code < 0:
        return f"borg was killed by signal {-exit_code}."
    if kind is DiskFull:
        return "the disk is full."
    if kind is WrongPassphrase:
        return "the passphrase is wrong."
    return f"borg: {said.rstrip('.')}." if said else f"borg exited with {exit_code}."
