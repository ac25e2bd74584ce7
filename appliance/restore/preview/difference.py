"""The changes between the words of two versions, line by line; pure, and bounded whatever they hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import takewhile
from typing import Literal

AROUND = 2
LINES_MAX = 1000
"""The lines of each version, between the common beginning and end: comparing takes the product of both."""

Change = Literal["same", "gone", "new", "skipped"]


@dataclass(frozen=True)
class Line:
    """`skipped` stands for unchanged lines that are not shown."""

    change: Change
    text: str = ""


def difference(before: Sequence[str], after: Sequence[str]) -> tuple[Line, ...] | None:
    """The changed lines, each with a few around it; nothing when both say the same, None when too much changed."""
    start = _alike(before, after)
    end = _alike(before[start:][::-1], after[start:][::-1])
    start, end = max(0, start - AROUND), max(0, end - AROUND)
    old, new = before[start : len(before) - end], after[start : len(after) - end]
    if max(len(old), len(new)) > LINES_MAX:
        return None
    lines: list[Line] = []
    for group in SequenceMatcher(None, old, new).get_grouped_opcodes(AROUND):
        if start + group[0][1] > 0:
            lines.append(Line("skipped"))
        for change, old_from, old_to, new_from, new_to in group:
            if change == "equal":
                lines += (Line("same", text) for text in old[old_from:old_to])
            else:
                lines += (Line("gone", text) for text in old[old_from:old_to])
                lines += (Line("new", text) for text in new[new_from:new_to])
    if lines and start + group[-1][2] < len(before):
        lines.append(Line("skipped"))
    return tuple(lines)


def _alike(one: Sequence[str], other: Sequence[str]) -> int:
    """How many lines both begin with."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
