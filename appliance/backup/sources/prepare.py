"""Make a service ready to be read: snapshots taken, databases dumped, what cannot be saved listed by name.

A part that fails never takes the others with it, and never passes in silence: the rest is backed up, and the failure is
in the answer. Dumps and snapshots lie in a private folder and are gone afterwards; what a killed run left is removed by
the next one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from appliance.backup.sources import postgresql, snapshot, snapshot_client, sqlite
from appliance.backup.sources.excludes import borg_patterns, expressions, matcher, only
from appliance.backup.sources.files import Walked, walk
from appliance.backup.sources.model import Failure, Part, Prepared, ReadFrom, Seen, SourceSpec
from appliance.backup.sources.roles import ROLES
from appliance.backup.writer.left_out_reasons import is_missing, noted
from appliance.backup.writer.manifest import LeftOut, PathManifest, State
from appliance.errors import ApplianceError, NotFound, UsageError
from appliance.host.files import locked, make_private_folder
from appliance.restore.place import OUR_MARK
from appliance.territory.model import SHARES


@dataclass(frozen=True)
class Room:
    """The private folder of a run, and what must stay as it is until the run ends."""

    folder: Path
    held: contextlib.ExitStack


@contextlib.contextmanager
def prepare(spec: SourceSpec, workdir: Path) -> Iterator[Prepared]:
    """The arguments for borg for `spec`, valid inside the `with`.

    `workdir` is a folder of this service alone, on the volume of its data (a snapshot cannot be made elsewhere, and
    dumps need room); it is made private. Raise UsageError when `spec` makes no sense and Busy when another run uses
    `workdir`; every other error is in `failures`.
    """
    _refuse_nonsense(spec)
    workdir = workdir.absolute()
    os.chmod(make_private_folder(workdir), 0o700)
    with locked(workdir / "lock", what=f"the preparation of {spec.service}"):
        _clear(workdir)
        try:
            with contextlib.ExitStack() as held:
                yield _KINDS[spec.kind](spec, Room(workdir, held))
        finally:
            _clear(workdir)


def _refuse_nonsense(spec: SourceSpec) -> None:
    if spec.kind not in _KINDS:
        raise UsageError(
            f'"{spec.kind}" is not a kind of source; known: {", ".join(_KINDS)}.', where=f"service {spec.service}"
        )
    for path in spec.paths:
        if not os.path.isabs(path):
            raise UsageError(f'"{path}" is not an absolute path.', where=f"service {spec.service}")
    if spec.kind == "postgresql" and (not spec.database or "/" in spec.database):
        raise UsageError(f'"{spec.database}" is not the name of a database.', where=f"service {spec.service}")


def _clear(workdir: Path) -> None:
    """Remove what was made for a run, this one or one that was killed."""
    snapshot.delete_below(workdir / "snapshots")
    for folder in (workdir / "snapshots", workdir / "dumps"):
        if folder.exists():
            shutil.rmtree(folder)


def _files(spec: SourceSpec, room: Room) -> Prepared:
    prepared = Prepared()
    for number, path in enumerate(spec.paths):
        try:
            prepared += _tree(spec, path, room, room.folder / "snapshots" / str(number))
        except (ApplianceError, OSError) as error:
            prepared += _failed(path, error)
    return prepared


def _tree(spec: SourceSpec, path: str, room: Room, place: Path) -> Prepared:
    """One path of the service: from a snapshot below `place` if one can be had that lacks nothing, else as it is."""
    if spec.below:
        return _below(spec, path, room)
    # borg would store a link as a link, and not a byte of what it leads to.
    source = os.path.realpath(path) if os.path.islink(path) else os.path.normpath(path)
    if not os.path.exists(source):
        raise NotFound("it does not exist.", remedy="Check that its disk is mounted.")
    at = place / source.lstrip("/")
    reason = _snapshot(source, at, room)
    if not reason:
        walked, found = _walk(spec, str(at), str(at / os.path.relpath(room.folder, source)))
        if not walked.nested:
            roots = (path, source, str(at))
            return _read(f"{place}/.{source}", walked, found, ReadFrom(path, "snapshot"), roots, seen_below=str(place))
        reason = f"a subvolume is nested at {walked.nested[0].removeprefix(str(place))}"
        snapshot.delete_below(place)
    walked, found = _walk(spec, source, str(room.folder))
    return _read(source.lstrip("/") or ".", walked, found, ReadFrom(path, "live", reason), (path, source))


def _below(spec: SourceSpec, path: str, room: Room) -> Prepared:
    """The same where another folder stands for /: it is saved under the name that it has there."""
    source = f"{spec.below}{os.path.normpath(path)}"
    if not os.path.exists(source):
        raise NotFound("it does not exist.", where=source)
    walked, found = _walk(spec, source, str(room.folder))
    borg_path = f"{spec.below}/.{os.path.normpath(path)}"
    return _read(borg_path, walked, found, ReadFrom(path, "live"), (path, source), seen_below=spec.below)


def _snapshot(source: str, at: Path, room: Room) -> str:
    """Make `at` the folder `source` of one moment: by ourselves, or by root's helper; return why not, "" when it is."""
    if source.startswith(f"{SHARES}/"):
        return snapshot_client.take(source, at, room.held)
    make_private_folder(at.parent)
    return snapshot.take(source, at)


def _walk(spec: SourceSpec, root: str, ours: str) -> tuple[Walked, tuple[str, ...]]:
    """Walk `root` and return the expressions of what was passed over: what `spec` excludes, our own folder, and copies
    that a restore which was cut has under way to their places."""
    found = (*expressions((*spec.exclude, OUR_MARK), root), only(os.path.normpath(ours)))
    return walk(root, matcher(found)), found


def _read(
    borg_path: str,
    walked: Walked,
    found: tuple[str, ...],
    read_from: ReadFrom,
    roots: tuple[str, ...],
    seen_below: str = "",
) -> Prepared:
    """The second of `roots` is the source itself. `seen_below` is cut from the names of what was left out: people know
    a file by its name in their tree."""
    part = _walked(read_from.path, walked)
    return Prepared(
        paths=(borg_path,),
        exclude=borg_patterns(found),
        left_out=tuple(LeftOut(left.path.removeprefix(seen_below), left.reason) for left in walked.left_out),
        read_from=(read_from,),
        counts=walked.counts,
        parts=(Part(part, roots),),
        seen=(_seen(read_from, walked, roots[1]),),
    )


def _seen(read_from: ReadFrom, walked: Walked, source: str) -> Seen:
    """A snapshot is another device each time, so `source` itself is looked at, too."""
    status = os.stat(source)
    place = f"{source} {read_from.how} {status.st_dev} {status.st_ino} {walked.digest}"
    kinds = snapshot.file_systems(os.path.realpath(source), Path("/proc/self/mountinfo").read_text())
    digest = hashlib.sha256(place.encode(errors="surrogateescape")).hexdigest()
    return Seen(read_from.path, digest, walked.changed_ns, kinds)


def _walked(path: str, walked: Walked) -> PathManifest:
    missed = [it for it in walked.left_out if is_missing(it.reason)]
    state: State = "partly" if missed else "read"
    return PathManifest(path, state, walked.counts.files, walked.counts.bytes, missed[0].reason if missed else "")


def _sqlite(spec: SourceSpec, room: Room) -> Prepared:
    prepared = Prepared()
    for path in spec.paths:
        prepared += _sqlite_database(path, os.path.realpath(path), room.folder / "dumps")
    return prepared


def _sqlite_database(path: str, database: str, dumps: Path) -> Prepared:
    """The copy under the database's own name; where none can be made, the files themselves: an expert may repair
    them."""
    try:
        sqlite.copy(database, dumps / database.lstrip("/"))
    except (ApplianceError, OSError) as error:
        raw = (database, *(database + ending for ending in sqlite.COMPANIONS))
        readable = (path for path in raw if os.path.isfile(path) and os.access(path, os.R_OK, effective_ids=True))
        present = tuple(path.lstrip("/") for path in readable)
        return _failed(path, error, database) + Prepared(paths=present)
    size = (dumps / database.lstrip("/")).stat().st_size
    part = Part(PathManifest(path, "read", 1, size), (path, database))
    return Prepared(paths=(f"{dumps}/.{database}",), read_from=(ReadFrom(database, "dump"),), parts=(part,))


def _postgresql(spec: SourceSpec, room: Room) -> Prepared:
    files = _files(spec, room)
    what = f"database {spec.database}"
    folder = room.folder / "dumps" / "postgresql"
    try:
        left_out = postgresql.dump(spec.server, spec.database, folder)
    except (ApplianceError, OSError) as error:
        return files + _failed(what, error)
    names = (postgresql.dump_file(folder, spec.database).name, ROLES)
    paths = tuple(f"{room.folder}/dumps/./postgresql/{name}" for name in names)
    missed = [it for it in left_out if is_missing(it.reason)]
    sizes = [(folder / name).stat().st_size for name in names]
    state: State = "partly" if missed else "read"
    reason = missed[0].reason if missed else noted(it.reason for it in left_out)
    part = Part(PathManifest(what, state, len(sizes), sum(sizes), reason), (str(folder),))
    return files + Prepared(paths=paths, left_out=left_out, read_from=(ReadFrom(what, "dump"),), parts=(part,))


def _failed(path: str, error: ApplianceError | OSError, what: str = "") -> Prepared:
    """`path` was declared; `what` is what people know it by where that is another name."""
    failure = _failure(what or path, error)
    part = Part(PathManifest(path, "failed", 0, 0, str(failure.error)))
    return Prepared(failures=(failure,), parts=(part,))


def _failure(what: str, error: ApplianceError | OSError) -> Failure:
    if isinstance(error, ApplianceError):
        return Failure(what, error)
    return Failure(what, ApplianceError(f"{error.strerror or error}.", where=what))


_KINDS: Mapping[str, Callable[[SourceSpec, Room], Prepared]] = {
    "files": _files,
    "sqlite": _sqlite,
    "postgresql": _postgresql,
}
