"""The one file that somebody misses in the demo, and how it is looked for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from appliance_lab.checkers.tree_record import Entry, take
from appliance_lab.demo.comparable import times_not_kept
from appliance_lab.demo.context import DemoContext
from appliance_lab.demo.search import NAME_BYTES_MIN
from appliance_lab.story import Unknown

TERM_LENGTH = 12
HITS_MAX = 40
"""The paths with a term that are still all shown: `restore find` shows 50."""


@dataclass(frozen=True)
class Wanted:
    """`name` is its path among the documents, for a sentence; `entry` what it was at the second backup."""

    path: Path
    name: str
    entry: Entry

    @property
    def archived(self) -> str:
        return str(self.path).lstrip("/")

    @property
    def term(self) -> str:
        """A part of its name, to search for."""
        return self.path.name[:TERM_LENGTH]


def a_file(context: DemoContext) -> Wanted:
    """A file in the middle of the record with a name to search for; the canary where the user's own have none."""
    unkept = frozenset(times_not_kept(context.record))
    names = sorted(
        path
        for path, entry in context.record.entries.items()
        if entry.kind == "file" and not entry.links and _is_searchable(path) and path not in unkept
    )
    for path in names[len(names) // 2 :][:1]:
        found = Wanted(context.data / path, path, context.record.entries[path])
        if context.generated or _hits(context, found.term) <= HITS_MAX:
            return found
    if context.canary is None:
        raise Unknown("the documents have no file with a name to search for.")
    name = context.canary.name
    return Wanted(context.canary, name, take(context.canary.parent, as_root=False).entries[name])


def _is_searchable(path: str) -> bool:
    """Whether a file's own name is long enough to find it by, and can be typed."""
    name = os.path.basename(path)
    return len(name) >= NAME_BYTES_MIN and name[0].isalnum() and path.isprintable()


def _hits(context: DemoContext, term: str) -> int:
    """The number of paths with all words of `term`, as far as accents do not matter."""
    words = term.casefold().split()
    paths = (str(context.data / path).casefold() for path in context.record.entries)
    return sum(all(word in path for word in words) for path in paths)
