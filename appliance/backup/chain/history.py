"""Old generations of which only small documents are left, a thousand to a file instead of a folder each.

    history/00002.0000007   those of epoch 2 with the numbers 7000 to 7999

Headers and receipts of what was held are kept for ever, and a folder for each makes every look slower with the years.
The first line of
a file is its index, each other line one generation: JSON that any tool reads. A part that also lies in the generation's
own folder is newer there, and counts.

    {"format": 1, "count": 1000, "generations": [["00002.0000007001.HHHH", "PPPP", "header receipt"], ...]}
    {"name": "00002.0000007001.HHHH", "header": "...", "receipt": "..."}

Invariant: a generation's folder is removed only once its documents are durable here, and a file is replaced whole
(`write_atomic`), so after a cut at any point each document is in one of the two. A file in which a line cannot be read
is kept as `FILE.rotten` when it is written again; what that line held is then lost like a folder that is gone, and is
repaired so.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from appliance.errors import Refused
from appliance.host.files import fsync_folder, locked, write_atomic
from appliance.trust.signed import digest_of

FORMAT = 1
FILE_NAME_LENGTH = 13
"""The part of a generation's name that is used: its epoch and all but the last three digits of its number."""
NUMBER_LENGTH = 16
"""The part that gives its epoch and number; two with the same one are a fork."""
CORRUPT = ".rotten"
FILES_REMEMBERED = 4096
"""Ten years hourly of a service are 88 files."""
HEADER = "header"

NO_FILE = (0, 0, 0)
_COUNT = re.compile(rb'{"format": 1, "count": ([0-9]+), ')

type Parts = Mapping[str, bytes]
type Mark = tuple[int, int, int]


class Known(NamedTuple):
    """One generation by the index: the start of the digest of the header before it, and which documents are here."""

    name: str
    previous: str
    parts: frozenset[str]


class History:
    """The history in one folder; files that it makes have `mode`, and a folder the mode of the one it lies in."""

    def __init__(self, folder: Path, mode: int) -> None:
        self.folder = folder
        self._mode = mode
        self._indexes: dict[str, tuple[Mark, dict[str, Known]]] = {}
        self._last: tuple[str, Mark, dict[str, Parts]] = ("", NO_FILE, {})

    def index(self) -> dict[str, Known]:
        """Every generation here by its name, in order."""
        found: dict[str, Known] = {}
        for file in self._files():
            found |= self._index_of(file)
        return found

    def newest(self, count: int) -> dict[str, Known]:
        """As `index`, of the newest files that together name `count` generations."""
        found: dict[str, Known] = {}
        for file in reversed(self._files()):
            if len(found) >= count:
                break
            found |= self._index_of(file)
        return found

    def beside(self, names: Iterable[str]) -> Iterator[str]:
        """The names in the files in which the generations `names` are, or would be."""
        return (name for file in {_file_of(it) for it in names} for name in self._index_of(file))

    def sharing(self, epoch: str, folders: Iterable[str]) -> tuple[str, ...]:
        """The names that share their number with another one, of those of `epoch`, five digits, here or in `folders`.

        A file is read again only once it, or the names in `folders` of its numbers, are others.
        """
        beside: dict[str, list[str]] = {file: [] for file in self._files() if file.startswith(epoch)}
        for name in folders:
            if name.startswith(epoch):
                beside.setdefault(_file_of(name), []).append(name)
        paths = {self.folder / file: tuple(names) for file, names in sorted(beside.items())}
        return tuple(it for path, names in paths.items() for it in _sharing_in(path, _mark(path), names))

    def count(self) -> int:
        """How many generations are here, by the first bytes of each file."""
        return sum(map(self._count_of, self._files()))

    def _count_of(self, file: str) -> int:
        with open(self.folder / file, "rb") as opened:
            found = _COUNT.match(opened.read(64))
        return int(found[1]) if found else len(self._index_of(file))

    def first_after(self, epoch: str) -> str:
        """The name of the first generation of an epoch later than `epoch`, five digits; "" when none is here."""
        later = [file for file in self._files() if file[: len(epoch)] > epoch]
        return min(self._index_of(later[0]), default="") if later else ""

    def find(self, name: str) -> Known | None:
        return self._index_of(_file_of(name)).get(name)

    def parts(self, name: str) -> Parts:
        """The documents of one generation; none when it is not here, or cannot be read."""
        file = _file_of(name)
        mark = _mark(self.folder / file)
        if (file, mark) != self._last[:2]:
            self._last = file, mark, _read(self.folder / file)[0]
        return self._last[2].get(name, {})

    def add(self, generations: Mapping[str, Parts]) -> None:
        """Keep these documents, durable on return; a part that is known of a generation is replaced."""
        by_file: dict[str, dict[str, Parts]] = {}
        for name, parts in generations.items():
            by_file.setdefault(_file_of(name), {})[name] = parts
        if not by_file:
            return
        if not self.folder.exists():
            self.folder.mkdir(mode=stat.S_IMODE(self.folder.parent.stat().st_mode), exist_ok=True)
            fsync_folder(self.folder.parent)
        with locked(self.folder / "lock", what="the history of this service", wait=True):
            for file, of_file in sorted(by_file.items()):
                self._add_to(self.folder / file, of_file)

    def _add_to(self, path: Path, generations: Mapping[str, Parts]) -> None:
        known, whole = _read(path)
        if not whole:
            _keep_aside(path)
        merged = known | {name: {**known.get(name, {}), **parts} for name, parts in generations.items()}
        if merged != known or not whole:
            write_atomic(path, _text(merged), mode=self._mode)

    def remove(self, names: Iterable[str]) -> None:
        """Forget these generations, the last in order first; a cut between two files leaves all before those that are
        left. A file that has lost a generation that must stay is left as it is, to be repaired."""
        by_file: dict[str, set[str]] = {}
        for name in names:
            by_file.setdefault(_file_of(name), set()).add(name)
        if not self.folder.exists():
            return
        with locked(self.folder / "lock", what="the history of this service", wait=True):
            for file, of_file in sorted(by_file.items(), reverse=True):
                self._remove_from(self.folder / file, of_file)

    def _remove_from(self, path: Path, names: set[str]) -> None:
        known, index = _read(path)[0], _read_index(path).keys()
        left = {name: parts for name, parts in known.items() if name not in names}
        if not index & names or index - known.keys() - names:
            return
        if left:
            write_atomic(path, _text(left), mode=self._mode)
        else:
            path.unlink()
            fsync_folder(path.parent)

    def _files(self) -> list[str]:
        names = os.listdir(self.folder) if self.folder.exists() else []
        return sorted(name for name in names if len(name) == FILE_NAME_LENGTH)

    def _index_of(self, file: str) -> dict[str, Known]:
        path = self.folder / file
        mark = _mark(path)
        at, found = self._indexes.get(file, (NO_FILE, {}))
        if mark != at:
            found = _read_index(path)
            self._indexes[file] = mark, found
        return found


def _mark(path: Path) -> Mark:
    """Another one for each content: a file is replaced, never written in place."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return NO_FILE
    return status.st_ino, status.st_mtime_ns, status.st_size


def _keep_aside(path: Path) -> None:
    """Give the file a second name, under which it stays when its first name gets another content."""
    aside = path.with_name(path.name + CORRUPT)
    aside.unlink(missing_ok=True)
    os.link(path, aside)


def previous_of(raw: bytes) -> str:
    """The digest that a header gives as the one before it; "" when it cannot be read. Its signature was checked when it
    came, and whatever its format, the field has this name."""
    return str(_json(raw.partition(b"\n")[0]).get("previous", ""))


def _file_of(name: str) -> str:
    return name[:FILE_NAME_LENGTH]


def _text(generations: Mapping[str, Parts]) -> bytes:
    names = sorted(generations)
    index = [
        [name, previous_of(generations[name].get(HEADER, b""))[:16], " ".join(sorted(generations[name]))]
        for name in names
    ]
    lines = [json.dumps({"format": FORMAT, "count": len(index), "generations": index})]
    lines += [json.dumps({"name": it, **{part: raw.decode() for part, raw in generations[it].items()}}) for it in names]
    return "\n".join(lines).encode() + b"\n"


def _read(path: Path) -> tuple[dict[str, Parts], bool]:
    """Each generation in the file that can be read, and whether all can."""
    lines = _lines(path)
    found = dict(filter(None, map(_generation, lines[1:])))
    try:
        whole = not lines or [name for name, *_ in json.loads(lines[0])["generations"]] == sorted(found)
    except (ValueError, TypeError, KeyError):
        whole = False
    return found, whole


def _lines(path: Path) -> list[bytes]:
    """Raise Refused for a file of a later format: what it holds must not be taken for lost."""
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    found = _json(lines[0]).get("format", FORMAT) if lines else FORMAT
    if isinstance(found, int) and found > FORMAT:
        raise Refused(
            f"this history has format {found}, and this version reads format {FORMAT}.",
            where=str(path),
            remedy="Install the newer version of the appliance again.",
        )
    return lines


def _generation(line: bytes) -> tuple[str, Parts] | None:
    fields = _json(line)
    name = fields.pop("name", None)
    texts = {str(part): text.encode() for part, text in fields.items() if isinstance(text, str)}
    return (name, texts) if isinstance(name, str) and len(texts) == len(fields) else None


def _read_index(path: Path) -> dict[str, Known]:
    """By the first line alone; by all others when that one is corrupt."""
    try:
        with open(path, "rb") as file:
            told = _json(file.readline())
        if told.get("format") == FORMAT:
            return {it.name: it for it in map(_known, told["generations"])}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    found, _ = _read(path)
    return {it: Known(it, previous_of(found[it].get(HEADER, b""))[:16], frozenset(found[it])) for it in sorted(found)}


def _known(fields: list[str]) -> Known:
    name, previous, parts = fields
    return Known(name, previous, _words(parts))


@lru_cache(maxsize=FILES_REMEMBERED)
def _sharing_in(path: Path, mark: Mark, beside: tuple[str, ...]) -> tuple[str, ...]:
    """Those that share their number with another one in the file `path`, whose content has `mark`, and `beside` it."""
    names = {*beside, *_read_index(path)}
    numbers = Counter(name[:NUMBER_LENGTH] for name in names)
    return tuple(sorted(it for it in names if numbers[it[:NUMBER_LENGTH]] > 1))


@lru_cache(maxsize=1024)
def _words(text: str) -> frozenset[str]:
    """Few generations have others than their neighbours."""
    return frozenset(text.split())


def _json(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def documents(folder: Path, but: Container[str] = ()) -> Parts | None:
    """The documents in the folder of a generation; None when one of them is corrupt, which the folder then keeps.

    `but` names what is no document, and so are temporary files of a cut.
    """
    found = {}
    for path in folder.iterdir():
        if path.name[0] != "." and path.name not in but:
            found[path.name] = path.read_bytes()
    if digest_of(found.get(HEADER, b""))[:16] != folder.name[-16:]:
        return None
    try:
        [raw.decode() for raw in found.values()]
    except UnicodeDecodeError:
        return None
    return found


def remove_folder(folder: Path) -> None:
    """Remove the folder of a generation whose documents were added to a history; its header goes first, since a folder
    without one is looked up there."""
    (folder / HEADER).unlink(missing_ok=True)
    for name in os.listdir(folder):
        (folder / name).unlink()
    folder.rmdir()
