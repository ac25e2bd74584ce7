"""The output of borg as values of ours; pure.

`borg list --json-lines` 1.4 writes "?" for each byte of a name that is not UTF-8 (and `{bpath}` is no better: standard
output replaces it again), so two files can look like one. `borg debug dump-archive` has the exact bytes but costs
several times more. The listing is therefore used as it is, and the dump is read beside it, entry by entry, only as far
as entries with a "?" need it.
"""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from appliance.borg.errors import Message
from appliance.borg.model import Archive, Created, FileWarning, Item, Kind, Outline, Progress
from appliance.borg.names import branch_of, companion_of, number_of
from appliance.errors import IntegrityError
from appliance.host.command import Result
from appliance.units import printable

_KINDS: dict[str, Kind] = {
    "-": "file",
    "d": "folder",
    "l": "symlink",
    "h": "hardlink",
    "p": "fifo",
    "c": "char",
    "b": "block",
}

_FILE_WARNING = re.compile(
    r"(?s)(?P<path>.+?): (?P<reason>(?:\w+: )?\[Errno .*|file changed while .*|file type or inode .*|backup error"
    r"|Size inconsistency .*|File has damaged .*|when setting extended attribute .*)"
)


def created(stdout: bytes, warnings: tuple[FileWarning, ...]) -> Created:
    """The answer of `borg create --json`."""
    archive = json.loads(stdout)["archive"]
    stats = archive["stats"]
    return Created(
        archive["name"],
        archive["id"],
        stats["nfiles"],
        stats["original_size"],
        stats["compressed_size"],
        stats["deduplicated_size"],
        warnings,
        _utc_seconds(archive["start"]),
    )


def archives(stdout: bytes, *, branches: bool = False) -> tuple[Archive, ...]:
    """The answer of `borg list --json`, in the order in which they were made; borg leaves checkpoints out by itself.
    Either those of branches or all others; never one that only says what another lacks."""
    all_ = (it for it in _listed(stdout) if companion_of(it.name) is None)
    return tuple(it for it in all_ if (branch_of(it.name) is not None) == branches)


def commented(stdout: bytes) -> tuple[Archive, ...]:
    """The answer of `borg list --json --format {comment}`: all but branches, in the same order."""
    return tuple(it for it in _listed(stdout) if branch_of(it.name) is None)


def everything(stdout: bytes) -> tuple[Archive, ...]:
    """The answer of `borg list --json --consider-checkpoints --format {comment}`: all that is there, in that order."""
    return tuple(_listed(stdout))


def _listed(stdout: bytes) -> list[Archive]:
    listed = json.loads(stdout)["archives"]
    found = [Archive(a["name"], a["id"], _utc_seconds(a["start"]), a.get("comment", "")) for a in listed]
    return sorted(found, key=lambda archive: (number_of(archive.name), archive.start_utc_seconds))


def item(line: bytes) -> Item:
    """One line of `borg list --json-lines`."""
    data: dict[str, Any] = json.loads(line)
    mode: str = data["mode"]
    return Item(
        path=data["path"],
        kind=_kind(mode, data["path"]),
        mode=_permission_bits(mode),
        user=str(data["user"]),
        group=str(data["group"]),
        uid=int(data["uid"]),
        gid=int(data["gid"]),
        mtime_seconds=_utc_seconds(data["mtime"]),
        size=int(data["size"]),
        link_target=data["source"],
        healthy=bool(data["healthy"]),
    )


def outline(record: bytes) -> Outline:
    """One entry of `argv.list_outlines` without its end. Raise IntegrityError for one that no listing of files has."""
    try:
        mode, size, path, target = record.decode().split("\0")
        return Outline(path, _kind(mode, path), _permission_bits(mode), int(size), target)
    except ValueError:
        raise _no_file(record.decode(errors="replace")) from None


def _kind(mode: str, path: str) -> Kind:
    kind = _KINDS.get(mode[:1])
    if kind is None:  # a socket, which borg never saves, or no kind at all
        raise _no_file(path)
    return kind


def _no_file(name: str) -> IntegrityError:
    what = f'the archive holds "{printable(name[:200])}", which is not a file, folder or link; nothing was restored.'
    return IntegrityError(what, remedy="Restore an older archive, and find out what wrote this one.")


def changed_path(line: bytes) -> str:
    """The path in one line of `borg diff --json-lines`."""
    return str(json.loads(line)["path"])


def listed(stderr: bytes) -> int:
    """How many entries a command with --list and --log-json named. In JSON no name can look like this key and value."""
    return stderr.count(b'"name": "borg.output.list"')


def hash_of(line: bytes) -> tuple[str, str]:
    """Path and SHA-256 of one line of `borg list --json-lines --format {sha256}`."""
    data: dict[str, str] = json.loads(line)
    return data["path"], data["sha256"]


def _utc_seconds(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@lru_cache(maxsize=1024)  # archives have few
def _permission_bits(mode: str) -> int:
    """The inverse of stat.filemode: "-rwsr-xr-t" gives 0o5755."""
    bits = 0
    for index, letter in enumerate(mode[1:10]):
        if letter not in "-ST":
            bits |= 0o400 >> index
        if letter in "sS":
            bits |= stat.S_ISUID if index == 2 else stat.S_ISGID
        if letter in "tT":
            bits |= stat.S_ISVTX
    return bits


@dataclass(frozen=True)
class Names:
    """The exact names of one entry, as os.fsdecode gives them."""

    path: str
    link_target: str


def exact_names(lines: Iterator[bytes]) -> Iterator[Names]:
    """The entries of `borg debug dump-archive` in the order of the archive, which is the order of `borg list`.

    The dump is one indented JSON object; an entry is what stands between a line "    {" and a line "    }".
    """
    for line in lines:
        if line.rstrip() == b'    "_items": [':
            break
    entry: list[bytes] = []
    for line in lines:
        if line.startswith(b"    }"):
            data = json.loads(b"".join((*entry, b"}")))
            entry = []
            if "part" not in data:  # parts of files of an aborted run; borg list leaves them out too
                yield Names(_name(data["path"]), _name(data.get("source", "")))
        else:
            entry.append(line)


def _name(text: str) -> str:
    """borg writes a name that is not UTF-8 as DEL and hexadecimal digits."""
    return bytes.fromhex(text[1:]).decode(errors="surrogateescape") if text.startswith("\x7f") else text


def is_below(path: str, folder: str) -> bool:
    """Whether borg's "pp:" pattern of `folder` matches `path`."""
    return f"{path}/".startswith(folder.strip("/") + "/")


def lines(chunks: Generator[bytes, None, Result], end: bytes = b"\n") -> Generator[bytes, None, Result]:
    """Cut a stream after each `end`, into lines with theirs."""
    pending = b""
    try:
        while True:
            *whole, pending = (pending + next(chunks)).split(end)
            for line in whole:
                yield line + end
    except StopIteration as ended:
        if pending:
            yield pending
        result: Result = ended.value
        return result
    finally:
        chunks.close()


def file_warnings(log: Iterator[Message]) -> tuple[FileWarning, ...]:
    """The files that borg names in its warnings; a warning of another kind has an empty path."""
    found = []
    for message in log:
        if message.level != "WARNING" or message.id == "IncludePatternNeverMatchedWarning":
            continue
        match = _FILE_WARNING.fullmatch(message.text)
        if match:
            found.append(FileWarning(match["path"], match["reason"]))
        elif message.id or not _HOUSEKEEPING.search(message.text):
            found.append(FileWarning("", message.text))
    return tuple(found)


# Warnings of borg about its own expendable files, which are rebuilt: no file of a person is concerned.
_HOUSEKEEPING = re.compile(
    r"index missing or corrupted|hints file missing|files cache|chunks? (index|cache)|stale lock"
)


def never_matched(log: Iterator[Message]) -> tuple[str, ...]:
    """The paths asked for that are not in the archive."""
    texts = (message.text for message in log if message.id == "IncludePatternNeverMatchedWarning")
    return tuple(text.removeprefix("Include pattern '").removesuffix("' never matched.") for text in texts)


def progress(line: str) -> Progress | None:
    """How far a borg with --progress is; None for other lines."""
    if not line.startswith("{") or not any(kind in line for kind in ("archive_progress", "progress_percent")):
        return None
    data: dict[str, Any] = json.loads(line)
    if data.get("finished"):
        return None
    if data.get("type") == "archive_progress":
        return Progress(data.get("path", ""), int(data.get("nfiles", 0)), int(data.get("original_size", 0)))
    info = data.get("info") or [""]
    return Progress(str(info[-1]), 0, int(data.get("current", 0)), int(data.get("total", 0)))
