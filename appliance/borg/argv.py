"""The words of each borg command and its environment; pure.

Paths inside archives always go as "pp:" or "pf:" patterns: a folder named "sh:x" or "re:x" would be read as a pattern.
Braces in the repository's path are doubled: borg replaces {now}, {hostname} and the like in it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from appliance.borg.model import Repository
from appliance.borg.names import is_checkpoint
from appliance.errors import UsageError

COMPRESSION = "zstd,3"
ARCHIVE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+-]{0,199}")
BYPASSABLE = frozenset({"check", "config", "diff", "export-tar", "extract", "info", "list", "mount", "umount"})


def environment(repository: Repository, host_id: str) -> dict[str, str]:
    """Return the environment for borg; the passphrase is not here, it comes by file descriptor.

    Times are UTC. With no passphrase an empty one is set, so that a key that is there after all ends in an error and
    never in a prompt on somebody's terminal.
    """
    words = {
        "BORG_BASE_DIR": str(repository.base),
        "BORG_EXIT_CODES": "modern",
        "BORG_HOST_ID": host_id,
        "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes",
        "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "no",
        "BORG_DISPLAY_PASSPHRASE": "no",
        "BORG_SELFTEST": "disabled",
        "BORG_SHOW_SYSINFO": "no",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
    }
    if repository.passphrase is None:
        words["BORG_PASSPHRASE"] = ""
    return words


def location(path: Path, archive: str = "") -> str:
    """PATH or PATH::ARCHIVE as borg reads it; raise UsageError for names that borg would understand otherwise."""
    text = str(path)
    if not path.is_absolute() or "::" in text:
        raise UsageError(f'"{text}" is not a valid repository: use an absolute path without "::".')
    escaped = text.replace("{", "{{").replace("}", "}}")
    if not archive:
        return escaped
    if not ARCHIVE_NAME.fullmatch(archive) or is_checkpoint(archive):
        raise UsageError(
            f'"{archive}" is not a valid archive name.', remedy="Use letters, digits and . _ : @ + - only."
        )
    return f"{escaped}::{archive}"


def takes_lock(repository: Repository, verb: str) -> bool:
    """Whether borg locks: it does for some verbs (`debug`) even where a copy is opened without."""
    return not (repository.bypass_lock and verb in BYPASSABLE)


def start(repository: Repository, verb: str, *, lock_wait_seconds: int, progress: bool = False) -> tuple[str, ...]:
    """Return the words that every command begins with, before its `verb`."""
    words = ["borg", "--log-json", "--lock-wait", str(lock_wait_seconds)]
    if not takes_lock(repository, verb):
        words.append("--bypass-lock")
    if progress:
        words.append("--progress")
    return tuple(words)


def init(path: Path) -> tuple[str, ...]:
    return ("init", "--encryption", "keyfile-blake2", location(path))


def create(
    path: Path,
    archive: str,
    paths: Sequence[str],
    *,
    exclude: Sequence[str],
    rate_limit_kib: int | None,
    checkpoint_seconds: int,
    timestamp: str | None,
    comment: str = "",
    files_cache: bool = True,
) -> tuple[str, ...]:
    """`exclude` holds borg patterns ("pp:", "sh:", "re:", or a glob). Everybody on the machine can read `comment`."""
    words = ["create", "--json", "--compression", COMPRESSION, "--checkpoint-interval", str(checkpoint_seconds)]
    for pattern in exclude:
        words += ["--exclude", pattern]
    if rate_limit_kib is not None:
        words += ["--upload-ratelimit", str(rate_limit_kib)]
    if timestamp is not None:
        words += ["--timestamp", timestamp]
    if not files_cache:
        words += ["--files-cache", "disabled"]
    if comment:
        words += ["--comment", comment.replace("{", "{{").replace("}", "}}")]
    return (*words, "--", location(path, archive), *paths)


def list_archives(path: Path) -> tuple[str, ...]:
    return ("list", "--json", location(path))


def list_commented(path: Path) -> tuple[str, ...]:
    return ("list", "--json", "--format", "{comment}", location(path))


def list_everything(path: Path) -> tuple[str, ...]:
    return ("list", "--json", "--consider-checkpoints", "--format", "{comment}", location(path))


def delete(path: Path, names: Sequence[str]) -> tuple[str, ...]:
    """Raise UsageError without names: borg would delete the repository."""
    if not names:
        raise UsageError("no archive was named.")
    return ("delete", "--", location(path), *names)


def list_items(path: Path, archive: str, patterns: Sequence[str]) -> tuple[str, ...]:
    return ("list", "--json-lines", "--format", "{size}{mtime}", "--", location(path, archive), *patterns)


def list_outlines(path: Path, archive: str, patterns: Sequence[str], end: str) -> tuple[str, ...]:
    """`end` is written after each entry: who wrote the archive may not have known it, as a name can hold anything."""
    form = "{mode}{NUL}{size}{NUL}{path}{NUL}{source}" + end
    return ("list", "--format", form, "--", location(path, archive), *patterns)


def dump_archive(path: Path, archive: str) -> tuple[str, ...]:
    return ("debug", "dump-archive", location(path, archive), "-")


def extract(
    path: Path, archive: str, patterns: Sequence[str], *, numeric_ids: bool, exclude_from: Path | None
) -> tuple[str, ...]:
    words = ["extract", "--sparse"]
    if numeric_ids:
        words.append("--numeric-ids")
    if exclude_from is not None:
        words += ["--exclude-from", str(exclude_from)]
    return (*words, "--", location(path, archive), *patterns)


def differences(path: Path, before: str, after: str) -> tuple[str, ...]:
    location(path, after)  # only its name goes to borg, as it is
    return ("diff", "--json-lines", "--", location(path, before), after)


def extract_to_stdout(path: Path, archive: str, member: str) -> tuple[str, ...]:
    return ("extract", "--stdout", "--", location(path, archive), full(member))


def read_through(path: Path, archive: str, patterns: Sequence[str]) -> tuple[str, ...]:
    return ("extract", "--dry-run", "--list", "--", location(path, archive), *patterns)


def list_hashes(path: Path, archive: str, patterns: Sequence[str]) -> tuple[str, ...]:
    return ("list", "--json-lines", "--format", "{sha256}", "--", location(path, archive), *patterns)


def compact(path: Path, threshold_percent: int) -> tuple[str, ...]:
    return ("compact", "--threshold", str(threshold_percent), location(path))


def check_repository(path: Path) -> tuple[str, ...]:
    return ("check", "--repository-only", location(path))


def check_archives(path: Path, verify_data: bool) -> tuple[str, ...]:
    return ("check", "--archives-only", *(("--verify-data",) if verify_data else ()), location(path))


def recover(path: Path) -> tuple[str, ...]:
    return ("list", "--short", "--last", "1", location(path))


def prefix(member: str) -> str:
    """The pattern of `member` and everything below it."""
    return f"pp:{member}"


def under(path: str | None, *, with_above: bool) -> list[str]:
    """The patterns of `path` with all below it; none for everything."""
    if path is None:
        return []
    return members([path]) if with_above else [prefix(path)]


def full(member: str) -> str:
    """The pattern of `member` alone."""
    return f"pf:{member}"


def members(paths: Sequence[str]) -> list[str]:
    """The patterns of `paths`, all below them, and the folders above them (without what else these hold)."""
    above = {str(folder) for path in paths for folder in PurePosixPath(path).parents} - {".", "/"}
    return [prefix(path) for path in paths] + [full(folder) for folder in sorted(above)]
