"""The plan of a corpus of a given size, number of files and seed. Pure: nothing is written here."""

from __future__ import annotations

from calendar import timegm
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from appliance_lab.corpus import database, media, office, text
from appliance_lab.corpus.draw import Draw
from appliance_lab.corpus.names import Case, draw_cases, draw_path

NANOSECONDS = 1_000_000_000
MODES = (0o644, 0o644, 0o644, 0o664, 0o640, 0o600, 0o755, 0o444)
_FILES_PER_CASE = 30


@dataclass(frozen=True)
class Kind:
    """Its shares of the whole; `least` is a number of files, `floor` the bytes of the smallest."""

    files_share: float
    bytes_share: float
    least: int
    floor: int
    make: Callable[[Draw, int], bytes]


# The shares follow the file server of a small commune: mails by number, photos by weight.
KINDS: Mapping[str, Kind] = {
    "eml": Kind(0.36, 0.07, 8, 900, text.eml),
    "odt": Kind(0.14, 0.06, 4, 2000, office.odt),
    "docx": Kind(0.10, 0.05, 3, 2200, office.docx),
    "xlsx": Kind(0.06, 0.02, 2, 2200, office.xlsx),
    "pdf": Kind(0.14, 0.18, 4, 1100, media.pdf),
    "xml": Kind(0.08, 0.06, 2, 900, text.xml),
    "jpg": Kind(0.07, 0.39, 3, 800, media.jpeg),
    "csv": Kind(0.025, 0.02, 6, 300, text.csv),
    "txt": Kind(0.02, 0.002, 6, 300, text.txt),
    "log": Kind(0.004, 0.03, 2, 400, text.log_lines),
    "sql": Kind(0.001, 0.11, 1, 900, text.sql),
    "sqlite": Kind(0.0, 0.008, 1, 8192, database.sqlite),
}


@dataclass(frozen=True)
class Entry:
    """A regular file to write: `path` relative to the root, `size` in bytes (about), `mtime_ns` since 1970."""

    path: str
    kind: str
    size: int
    mode: int
    mtime_ns: int


def plan(size_bytes: int, files: int, seed: int) -> tuple[Entry, ...]:
    """`files` entries of about `size_bytes` in all, the photos last: their sizes make up for what the others missed."""
    cases = draw_cases(Draw("cases", seed), max(8, files // _FILES_PER_CASE))
    taken: set[str] = set()
    entries: list[Entry] = []
    for kind, count in counts(files).items():
        draw = Draw("plan", kind, seed)
        entries += (
            _entry(draw, kind, size, draw.pick(cases), taken) for size in _sizes(draw, KINDS[kind], count, size_bytes)
        )
    return tuple(sorted(entries, key=lambda entry: entry.kind == "jpg"))


def counts(files: int) -> dict[str, int]:
    """How many files of each kind; the mails take up the rounding."""
    result = {name: max(kind.least, round(files * kind.files_share)) for name, kind in KINDS.items()}
    result["eml"] += files - sum(result.values())
    return result


def _sizes(draw: Draw, kind: Kind, count: int, size_bytes: int) -> list[int]:
    """The sizes of the files of one kind: its floor each, and its share of the corpus spread by weight."""
    weights = [draw.weight() for _ in range(count)]
    spread = max(0.0, size_bytes * kind.bytes_share - count * kind.floor) / sum(weights)
    return [kind.floor + int(weight * spread) for weight in weights]


def _entry(draw: Draw, kind: str, size: int, case: Case, taken: set[str]) -> Entry:
    path = free_path(draw_path(draw, kind, case), taken)
    return Entry(path, kind, size, draw.pick(MODES), draw_mtime_ns(draw, case.year))


def free_path(path: str, taken: set[str]) -> str:
    """`path`, or `path` numbered as file managers do; what is returned is taken."""
    stem, dot, ending = path.rpartition(".")
    number = 1
    while path in taken:
        number += 1
        path = f"{stem} ({number}){dot}{ending}"
    taken.add(path)
    return path


def draw_mtime_ns(draw: Draw, year: int) -> int:
    """A moment of `year`, to the microsecond, which every file system of ours keeps."""
    return (timegm((year, 1, 1, 0, 0, 0)) + draw.below(365 * 86400)) * NANOSECONDS + draw.below(10**6) * 1000
