"""The values that the sources speak in."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from appliance.backup.writer.manifest import LeftOut, PathManifest
from appliance.errors import ApplianceError


@dataclass(frozen=True)
class PostgresServer:
    """Where a database server answers. An empty field is left to libpq: its local socket, the present user.

    A password is never here: libpq takes it from `password_file` (`~/.pgpass` when None) or from the service's entry.
    """

    host: str = ""
    """A host name, an address, or the folder of its Unix socket."""
    port: int = 0
    user: str = ""
    service: str = ""
    """A name in `service_file` (`~/.pg_service.conf` when None)."""
    service_file: Path | None = None
    password_file: Path | None = None
    lock_wait_seconds: int = 600
    """How long a dump waits for a table that somebody alters, before it fails."""


@dataclass(frozen=True)
class SourceSpec:
    """The source of one service. `kind` is "files", "sqlite" or "postgresql".

    `paths` are absolute: folders or files for "files", database files for "sqlite", files that belong to the
    application for "postgresql". `exclude`: see `excludes.py`. `database` and `server` are for "postgresql".
    """

    service: str
    kind: str
    paths: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    database: str = ""
    server: PostgresServer = PostgresServer()
    below: str = ""
    """Folder that stands for /: of a node that shares its machine with others."""

    @property
    def is_emptied(self) -> bool:
        """Whether no folder or file of "files" is there with anything in it, as on a new disk."""
        return self.kind == "files" and not any(map(_has_something, map(Path, self.paths)))


def _has_something(path: Path) -> bool:
    return any(path.iterdir()) if path.is_dir() else path.exists()


@dataclass(frozen=True)
class Failure:
    """A part of the service that should have been saved and was not: the run has failed, however much of it is safe."""

    what: str
    error: ApplianceError


@dataclass(frozen=True)
class ReadFrom:
    """The way `path` was read: its state of one moment ("snapshot", "dump"), or the tree in use ("live") and why."""

    path: str
    how: str
    reason: str = ""


@dataclass(frozen=True)
class Counts:
    """The files that the walk met and did not exclude. borg stores devices and FIFOs as such, unread."""

    files: int = 0
    folders: int = 0
    symlinks: int = 0
    devices: int = 0
    fifos: int = 0
    bytes: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(mine + theirs for mine, theirs in zip(vars(self).values(), vars(other).values(), strict=True)))


@dataclass(frozen=True)
class Part:
    """The result for one declared path, as far as it is known before borg reads; `roots` are the folders in which borg
    will say that it cannot read a file of it."""

    manifest: PathManifest
    roots: tuple[str, ...] = ()


@dataclass(frozen=True)
class Seen:
    """The state of one declared path as the walk saw it. `digest` is of every entry and of the place itself,
    `changed_ns` when an entry changed last, nanoseconds since 1970 by this machine's clock, and `file_systems` the
    kinds of those in which it lies."""

    path: str
    digest: str
    changed_ns: int
    file_systems: tuple[str, ...]


@dataclass(frozen=True)
class Prepared:
    """The arguments for `borg create`, as they are: `paths` with `cwd`, and the `exclude` patterns.

    In the archive every file has its absolute name without the first "/", wherever it was read from (borg cuts what
    stands before "/./"): `srv/partages/...`, `srv/app/courrier.sqlite`, `postgresql/DATABASE.dump`. `paths` is empty
    when nothing at all could be read. `parts` are in the order of the declared paths, a database last. `seen` has the
    paths that were walked: no dump, and nothing that failed.
    """

    paths: tuple[str, ...] = ()
    cwd: Path = field(default=Path("/"))
    exclude: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    failures: tuple[Failure, ...] = ()
    read_from: tuple[ReadFrom, ...] = ()
    counts: Counts = Counts()
    parts: tuple[Part, ...] = ()
    seen: tuple[Seen, ...] = ()

    def __add__(self, other: Prepared) -> Prepared:
        return Prepared(
            self.paths + other.paths,
            self.cwd,
            self.exclude + other.exclude,
            self.left_out + other.left_out,
            self.failures + other.failures,
            self.read_from + other.read_from,
            self.counts + other.counts,
            self.parts + other.parts,
            self.seen + other.seen,
        )
