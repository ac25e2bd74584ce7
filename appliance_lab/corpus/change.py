"""Let a corpus live for a day: photos and mails come in, documents are saved again, dumps and logs grow."""

from __future__ import annotations

import os
import stat
from calendar import timegm
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from appliance.errors import UsageError
from appliance.units import DAY, KIB, MIB
from appliance_lab.corpus import text
from appliance_lab.corpus.draw import Draw
from appliance_lab.corpus.marker import MARKER, Marker, check_room, read_marker, write_marker
from appliance_lab.corpus.names import LAST_YEAR, draw_cases, draw_path
from appliance_lab.corpus.oddities import odd_paths
from appliance_lab.corpus.plan import KINDS, NANOSECONDS, free_path
from appliance_lab.corpus.summary import Progress, Summary, measure, walk
from appliance_lab.corpus.tree import Tree

_GROWING: dict[str, Callable[[Draw, int], bytes]] = {"sql": text.sql_rows, "log": text.log_lines, "txt": text.txt}
_GROWN_MAX = {"sql": 1, "log": 10, "txt": 150}
_OFFICE = ("odt", "docx", "xlsx")
# The part of the new bytes that each kind takes; the photos, last, take the rest.
_SHARES = {"sql": 0.22, "log": 0.10, "txt": 0.03, "eml": 0.12, **dict.fromkeys(_OFFICE, 0.05)}
_MOVED_SHARE = 0.1  # files deleted, and files renamed, for one that the ratio touches


def change(root: Path, ratio: float, progress: Progress | None = None) -> Summary:
    """Make about `ratio` (0.01 for 1 %) of the bytes of the corpus in `root` new; each change differs from the last.

    Raise UsageError when `root` is not a whole corpus or `ratio` is not between 0 and 1.
    """
    marker, bytes_new = planned_change(root, ratio)
    write_marker(root, replace(marker, complete=False))
    day = _Day(root, bytes_new, marker.seed, marker.changes + 1, progress)
    day.run(max(1, round(ratio * marker.files * _MOVED_SHARE)))
    write_marker(root, replace(marker, changes=marker.changes + 1))
    os.utime(root / MARKER, ns=(day.moment(), day.moment()))
    totals = measure(root)
    return Summary(
        **vars(totals),
        bytes_new=day.tree.bytes_written,
        added=day.counted["added"],
        changed=day.counted["changed"],
        deleted=day.counted["deleted"],
        renamed=day.counted["renamed"],
    )


def planned_change(root: Path, ratio: float) -> tuple[Marker, int]:
    """Return the start of `change` and about how many bytes would be new. Nothing is touched, the same is refused."""
    if not 0 < ratio <= 1:
        raise UsageError(f"{ratio:.2%} is not a share of the corpus.", remedy="Write for example 1%.")
    marker = read_marker(root)
    bytes_new = int(ratio * marker.size_bytes)
    check_room(root, bytes_new)
    return marker, bytes_new


class _Day:
    """One change under way. Each file present is taken once at most, so that none is changed and then deleted."""

    def __init__(self, root: Path, bytes_new: int, seed: int, number: int, progress: Progress | None) -> None:
        self.tree = Tree(root, bytes_new, progress)
        self.counted: Counter[str] = Counter()
        self._root = root
        self._bytes_new = bytes_new
        self._number = number
        self._draw = Draw("change", seed, number)
        self._taken: set[str] = set()
        self._present: dict[str, list[tuple[str, int]]] = defaultdict(list)
        untouched = odd_paths(seed)
        for path, status in walk(root):
            self._taken.add(path)
            if stat.S_ISREG(status.st_mode) and path not in untouched:
                self._present[path.rpartition(".")[2]].append((path, status.st_size))

    def moment(self) -> int:
        """A time in this change's day; the days follow each other after the years of the corpus."""
        first = timegm((LAST_YEAR + 1, 1, 1, 0, 0, 0))
        return (first + self._number * DAY + self._draw.below(DAY)) * NANOSECONDS

    def run(self, moved: int) -> None:
        for kind, share in _SHARES.items():
            budget = int(self._bytes_new * share)
            if kind in _GROWING:
                self._grow(kind, budget)
            elif kind in _OFFICE:
                self._save_again(kind, budget)
            else:
                self._receive(kind, budget, 12 * KIB)
        self._receive("jpg", max(KIB, self._bytes_new - self.tree.bytes_written), 3 * MIB)
        for _ in range(moved):
            self._delete("odt")
            self._rename("pdf")
        # In order, or the draws would depend on the set's.
        moments = {path: self.moment() for path in sorted(self.tree.touched)}
        self.tree.date_folders(moments.__getitem__)

    def _take(self, kind: str, size_max: int | None = None) -> tuple[str, int] | None:
        """A file of `kind` and its size, or None when none is left that small."""
        choices = self._present[kind]
        fitting = [at for at, (_, size) in enumerate(choices) if size_max is None or size <= size_max]
        return choices.pop(self._draw.pick(fitting)) if fitting else None

    def _grow(self, kind: str, budget: int) -> None:
        count = min(len(self._present[kind]), _GROWN_MAX[kind], 1 + budget // KIB)
        for _ in range(count):
            if found := self._take(kind):
                self.tree.append(found[0], _GROWING[kind](self._draw, budget // count), self.moment())
                self.counted["changed"] += 1

    def _save_again(self, kind: str, budget: int) -> None:
        while budget > 0 and (found := self._take(kind, size_max=2 * budget)):
            path, size = found
            self.tree.replace(path, KINDS[kind].make(self._draw, size), self.moment())
            self.counted["changed"] += 1
            budget -= size

    def _receive(self, kind: str, budget: int, size_mean: int) -> None:
        """New files of `kind`, of `budget` bytes in all."""
        cases = draw_cases(self._draw, 4)
        count = 1 + budget // size_mean
        for _ in range(count):
            case = replace(self._draw.pick(cases), year=LAST_YEAR + 1)
            path = free_path(draw_path(self._draw, kind, case), self._taken)
            self.tree.write(path, KINDS[kind].make(self._draw, budget // count), 0o644, self.moment())
            self.counted["added"] += 1

    def _delete(self, kind: str) -> None:
        if found := self._take(kind):
            os.unlink(self.tree.place(found[0]))
            self.counted["deleted"] += 1

    def _rename(self, kind: str) -> None:
        if found := self._take(kind):
            folder, _, name = found[0].rpartition("/")
            new = free_path(f"{folder}/classé - {name}", self._taken)
            os.rename(self.tree.place(found[0]), self.tree.place(new))
            self.counted["renamed"] += 1
