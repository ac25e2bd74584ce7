"""The manifest of one backup: what it holds, and what it lacks; pure.

A manifest is inside the repository, so no blind peer can read it: which paths were asked for, what became of each, and
what is missing by name. Only one bit and the indices of the missing paths go into the signed header.
"""

from __future__ import annotations

import itertools
import json
import os
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from appliance.backup.writer.left_out_reasons import is_missing, matters
from appliance.clock import utc_text
from appliance.errors import IntegrityError, Refused
from appliance.units import printable

TYPE = "appliance/manifest"
FORMAT = 1
MANIFEST_BYTES_MAX = 4 * 1024 * 1024
NAME_BYTES_MAX = 16 * 1024
NUMBER_MAX, UTC_SECONDS_MAX = 2**63 - 1, 253_402_300_799
NAMES_MAX = 10_000
"""How many names of files that are missing a manifest carries; `left_out_count` goes on counting."""

DATABASE = "database "
"""Begins the path of a manifest that stands for a database; its name follows."""

State = Literal["read", "partly", "failed"]


@dataclass(frozen=True)
class LeftOut:
    """Something that this backup cannot hold. `path` is absolute; undecodable bytes in it are surrogates (PEP 383)."""

    path: str
    reason: str

    @property
    def matters(self) -> bool:
        """Whether a restore will lack it, and somebody should do something about it."""
        return matters(self.reason)

    @property
    def is_missing(self) -> bool:
        """Whether the archive lacks it though it should have it."""
        return is_missing(self.reason)


@dataclass(frozen=True)
class Accepted:
    """Something that cannot be read, which an operator accepted: for this `path` and `reason` only.

    `since`: when the first archive was made that lacks it; `on`: when it was accepted; both UTC seconds.
    """

    path: str
    reason: str
    since: int
    on: int

    def __str__(self) -> str:
        since, on = (utc_text(it)[:10] for it in (self.since, self.on))
        return f"{printable(self.path)} since {since}, accepted by an operator on {on}"


@dataclass(frozen=True)
class PathManifest:
    """The result for one declared path. "partly": something in it is missing; "failed": the archive has nothing of it,
    or only what was read in place of a copy.

    `files` and `bytes` are what the walk met and did not exclude; `reason` says why it is not "read", when known, and
    of a database that is "read" what pg_dump may not dump.
    """

    path: str
    state: State
    files: int
    bytes: int
    reason: str = ""


@dataclass(frozen=True)
class Aged:
    """The ageing clock of the machine when the backup began: a wall clock can be a year off.

    `clock` tells the machine, `boot` its start: within one start the difference of two `seconds` is what passed,
    between two starts at least that.
    """

    seconds: int
    clock: str
    boot: str


@dataclass(frozen=True)
class Manifest:
    """`paths` in the order in which they were declared; a database counts as one more, under "database NAME".

    `left_out` are the files that are missing, by name; `left_out_count` is their true number where the names are cut.
    `accepted`, and its number, likewise: they are missing too, and the archive counts as whole without them.
    """

    paths: tuple[PathManifest, ...]
    left_out: tuple[LeftOut, ...] = ()
    left_out_count: int = 0
    aged: Aged | None = None
    accepted: tuple[Accepted, ...] = ()
    accepted_count: int = 0

    @property
    def whole(self) -> bool:
        return not self.left_out_count and not self.missing

    @property
    def missing(self) -> tuple[int, ...]:
        """The indices of the paths that are not wholly read."""
        return tuple(index for index, path in enumerate(self.paths) if path.state != "read")

    @property
    def files(self) -> int:
        return sum(path.files for path in self.paths)

    @property
    def bytes(self) -> int:
        return sum(path.bytes for path in self.paths)


def encode(manifest: Manifest) -> str:
    """`manifest` as one line of ASCII, with at most NAMES_MAX names, and no more than it has room for."""
    fields: dict[str, Any] = {
        "type": TYPE,
        "format": FORMAT,
        "paths": [[it.path, it.state, it.files, it.bytes, it.reason] for it in manifest.paths],
        "left_out": [],
        "left_out_count": manifest.left_out_count,
    }
    if manifest.accepted_count:  # a former version takes an archive with these for partial
        fields["accepted"] = []
        fields["accepted_count"] = manifest.accepted_count
    if manifest.aged:
        fields["aged"] = [manifest.aged.seconds, manifest.aged.clock, manifest.aged.boot]
    room = MANIFEST_BYTES_MAX - len(_text_of(fields))
    fields["left_out"] = _cut([[it.path, it.reason] for it in manifest.left_out[:NAMES_MAX]], room)
    if manifest.accepted_count:
        room = MANIFEST_BYTES_MAX - len(_text_of(fields))
        rows = [[it.path, it.reason, it.since, it.on] for it in manifest.accepted[:NAMES_MAX]]
        fields["accepted"] = _cut(rows, room)
    return _text_of(fields)


def _text_of(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _cut(rows: list[list[Any]], room: int) -> list[list[Any]]:
    """The first of `rows` that take no more than `room` bytes."""
    ends = itertools.accumulate(len(_text_of(row)) + 1 for row in rows)
    return rows[: sum(1 for end in ends if end <= room)]


def decode(text: str) -> Manifest:
    """The manifest in `text`; raise IntegrityError for what is none, is cut or too long, Refused for a later format."""
    if len(text) > MANIFEST_BYTES_MAX:
        raise IntegrityError(f"the manifest has {len(text)} bytes, more than the {MANIFEST_BYTES_MAX} allowed.")
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise IntegrityError("the manifest is cut short or not valid JSON.") from error
    if not isinstance(fields, dict) or fields.get("type") != TYPE:
        raise IntegrityError("this is not the manifest of a backup.")
    _check_format(fields.get("format"))
    try:
        return _manifest(fields)
    except (KeyError, TypeError, ValueError) as error:
        raise IntegrityError(f"the manifest is malformed ({printable(str(error))}).") from error


def _check_format(format_: object) -> None:
    if type(format_) is not int or format_ != FORMAT:
        raise Refused(
            f"the manifest has format {reprlib.repr(format_)}; this version reads format {FORMAT}.",
            remedy="Upgrade this node.",
        )


def _manifest(fields: dict[str, Any]) -> Manifest:
    paths = tuple(_path(values) for values in _rows(fields["paths"], 5))
    left_out = tuple(_left_out(values) for values in _rows(fields["left_out"], 2))
    count = _number(fields["left_out_count"])
    if len(left_out) > NAMES_MAX:
        raise ValueError(f"{len(left_out)} names")
    if count < len(left_out):
        raise ValueError(f"{count} left out, {len(left_out)} named")
    accepted = tuple(_accepted(values) for values in _rows(fields.get("accepted", []), 4))
    accepted_count = _number(fields.get("accepted_count", 0))
    if accepted_count < len(accepted):
        raise ValueError(f"{accepted_count} accepted, {len(accepted)} named")
    return Manifest(paths, left_out, count, _aged(fields.get("aged")), accepted, accepted_count)


def _accepted(values: Sequence[Any]) -> Accepted:
    path, reason, since, on = values
    return Accepted(_name(path), _text(reason), _number(since, UTC_SECONDS_MAX), _number(on, UTC_SECONDS_MAX))


def _left_out(values: Sequence[Any]) -> LeftOut:
    """One whose name no file has is counted, and looked for nowhere."""
    path, reason = map(_text, values)
    return LeftOut(path, reason) if _is_name(path) else LeftOut("", f"not a valid file name: {reprlib.repr(path)}")


def _aged(value: Any) -> Aged | None:
    if value is None:
        return None
    ((seconds, clock, boot),) = _rows([value], 3)
    return Aged(_number(seconds), _text(clock), _text(boot))


def _path(values: Sequence[Any]) -> PathManifest:
    path, state, files, bytes_, reason = values
    if state not in get_args(State):
        raise ValueError(f"the state {reprlib.repr(state)}")
    return PathManifest(_name(path), state, _number(files), _number(bytes_), _text(reason))


def _rows(value: Any, length: int) -> list[list[Any]]:
    if not isinstance(value, list) or any(not isinstance(row, list) or len(row) != length for row in value):
        raise ValueError(f"not rows of {length}")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{reprlib.repr(value)} is not a text")
    return value


def _name(value: Any) -> str:
    if not _is_name(_text(value)):
        raise ValueError(f"{reprlib.repr(value)} is not a file name")
    return str(value)


def _is_name(path: str) -> bool:
    """Whether a file can have that path: names of missing files are given to borg, and looked for in older archives."""
    try:
        size = len(os.fsencode(path))
    except UnicodeEncodeError:
        return False
    return size <= NAME_BYTES_MAX and "\0" not in path and ".." not in path.split("/")


def _number(value: Any, most: int = NUMBER_MAX) -> int:
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError(f"{reprlib.repr(value)} is not a count")
    return value
