"""The input and output of borg, as frozen values. Paths are str, as os.fsdecode gives them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from appliance.secret import Secret

Kind = Literal["file", "folder", "symlink", "hardlink", "fifo", "char", "block"]


@dataclass(frozen=True)
class Repository:
    """One opened copy of a repository.

    Two copies of one repository never share a `base`: borg keeps nonces, cache and the newest seen manifest there by
    repository id, so an older copy would be refused as a replay, or worse, written with counters of the other.
    """

    path: Path
    """The repository folder."""
    base: Path
    """Its own BORG_BASE_DIR: keyfile in .config/borg/keys/, security state, cache."""
    passphrase: Secret | None = None
    """None: only what needs no key (check_repository, compact)."""
    bypass_lock: bool = False
    """Read an immutable copy without locking it; every writing verb is refused."""
    blobs: tuple[Path, ...] = ()
    """The folders where its data files lie, which borg may then read, when they are links in `path`."""


@dataclass(frozen=True)
class FileWarning:
    """A file that borg could not read or restore as it was; `path` is empty when borg named none."""

    path: str
    reason: str


@dataclass(frozen=True)
class Created:
    """A new archive. `compressed_bytes` counts all of it, `deduplicated_bytes` only what was new."""

    archive: str
    id: str
    files: int
    original_bytes: int
    compressed_bytes: int
    deduplicated_bytes: int
    warnings: tuple[FileWarning, ...]
    start_utc_seconds: float


@dataclass(frozen=True)
class Archive:
    """`comment` is what `create` was given; it is read by `Borg.commented` alone, else empty."""

    name: str
    id: str
    start_utc_seconds: float
    comment: str = ""


@dataclass(frozen=True)
class Item:
    """One entry of an archive. A `hardlink` is a later name of the file at `link_target`, and has size 0."""

    path: str
    kind: Kind
    mode: int
    """Permission bits, as in stat.S_IMODE."""
    user: str
    group: str
    uid: int
    gid: int
    mtime_seconds: float
    size: int
    link_target: str
    healthy: bool
    """False when `check --repair` replaced a lost chunk by zeros."""


class Outline(NamedTuple):
    """The fields of `Item` that decide whether an entry may be extracted; borg lists these in half the time."""

    path: str
    kind: Kind
    mode: int
    size: int
    link_target: str


@dataclass(frozen=True)
class Progress:
    """How far a running borg is; `total_bytes` is 0 while unknown."""

    path: str
    files: int
    done_bytes: int
    total_bytes: int = 0
