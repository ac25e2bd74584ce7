"""Has most of what a service reads at its source gone? Pure: what was read lately, and what a new backup read.

An empty mount point and a folder that was moved away make a backup that is in order, small and green, while the older
archives, which have everything, roll off one after the other. So each run is compared with the largest one of
the last 30 days of the ageing clock, which nobody can set. The comparison that found it small stays the measure until
the files are back or an operator confirms: time alone never ends it.

Only paths that both runs read in full are compared, so a service that is partial for months is watched by the others. A
path that failed is told as missing, and one that left `territory.yml` is not counted as gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from appliance.units import DAY, format_bytes, format_count

WINDOW_SECONDS = 30 * DAY
TIMES = 2
KEPT_PER_SECONDS = DAY
"""The largest run of one day is remembered, so an hourly service keeps no more than a nightly one."""

type Paths = Mapping[str, tuple[int, int]]
"""Files and bytes of each path that was read in full."""


@dataclass(frozen=True)
class Read:
    """The sizes that one run read at its source; `age` is the ageing clock's. `whole`: no path and no file was
    missing."""

    archive: str
    age: int
    whole: bool
    paths: Paths

    @cached_property
    def files(self) -> int:
        return sum(files for files, _ in self.paths.values())

    @cached_property
    def bytes(self) -> int:
        return sum(size for _, size in self.paths.values())


@dataclass(frozen=True)
class Shrunken:
    """`now` has lost most of what `before` had."""

    now: Read
    before: Read

    def __str__(self) -> str:
        return f"{_told(self.now)}, and {self.before.archive} had {_told(self.before)}"


@dataclass(frozen=True)
class Sizes:
    """The sizes that the runs of `epoch` read: `recent` oldest first, and what was found shrunken and not settled
    since."""

    epoch: int = 0
    recent: tuple[Read, ...] = ()
    shrunken: Shrunken | None = None

    def with_run(self, read: Read) -> Sizes:
        """After the run `read`. A reference that was lost sight of in time still counts while it is not settled."""
        before = (self.shrunken.before,) if self.shrunken else self._window(read.age)
        larger = [it for it in before if has_shrunk(read, it)]
        unseen = self._unseen(read)
        found = self.shrunken if unseen else None
        if larger:
            now = replace(read, paths={**unseen, **read.paths})
            found = Shrunken(now, max(larger, key=lambda it: (it.files, it.bytes)))
        return Sizes(self.epoch, _remembered(self._window(read.age), read), found)

    def _unseen(self, read: Read) -> Paths:
        """The paths found smaller before of which `read` could not see whether their files are back."""
        if self.shrunken is None or read.whole:
            return {}
        now, before = self.shrunken.now.paths, self.shrunken.before.paths
        both = (now.keys() & before.keys()) - read.paths.keys()
        return {it: now[it] for it in both if now[it][0] < before[it][0] or now[it][1] < before[it][1]}

    def confirmed(self) -> Sizes:
        """From now on the last run is the measure."""
        return Sizes(self.epoch, (self.shrunken.now,)) if self.shrunken else self

    def _window(self, age: int) -> tuple[Read, ...]:
        """The runs of the last 30 days. One from the future says that the age was lost: it counts as one of now."""
        recent = (it if it.age <= age else replace(it, age=age) for it in self.recent)
        return tuple(it for it in recent if age - it.age <= WINDOW_SECONDS)


def has_shrunk(now: Read, before: Read) -> bool:
    """Whether `now` has fewer than half the files or bytes of `before`, or no file where a path of it had some."""
    both = now.paths.keys() & before.paths.keys()
    if not both:
        return False
    mine, theirs = _of(now, both), _of(before, both)
    emptied = any(theirs.paths[path][0] and not mine.paths[path][0] for path in both)
    return emptied or TIMES * mine.files < theirs.files or TIMES * mine.bytes < theirs.bytes


def _of(read: Read, paths: set[str]) -> Read:
    return read if read.paths.keys() == paths else replace(read, paths={path: read.paths[path] for path in paths})


def _remembered(recent: tuple[Read, ...], read: Read) -> tuple[Read, ...]:
    """`recent` with `read`; of one day only the largest of the runs that read the same paths."""
    if not read.paths:
        return recent
    day = [
        it
        for it in recent
        if it.age // KEPT_PER_SECONDS == read.age // KEPT_PER_SECONDS and it.paths.keys() == read.paths.keys()
    ]
    largest = max((*day, read), key=lambda it: (it.files, it.bytes))
    return (*(it for it in recent if it not in day), largest)


def _told(read: Read) -> str:
    return f"{format_count(read.files, 'file')} of {format_bytes(read.bytes)}"
