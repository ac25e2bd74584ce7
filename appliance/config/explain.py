"""Each mistake of a file on a line: `territory.yml:14  sites > attichy > nodes[1] > uplink: unknown "fibre2"; ...`"""

from __future__ import annotations

import difflib
from collections.abc import Collection
from dataclasses import dataclass

from appliance.errors import UsageError

Path = tuple[str | int, ...]
LISTED_MAX = 8


@dataclass(frozen=True, order=True)
class Problem:
    """`sentence` is said of what `path` leads to."""

    line: int
    path: str
    sentence: str


class InvalidFile(UsageError):
    """A file with mistakes; prints one line for each of `problems`, in the order of the file, under their number."""

    def __init__(self, name: str, problems: Collection[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        lines = [_shown(name, problem) for problem in self.problems]
        many = [f"{len(lines)} mistakes in {name}:"] if lines[1:] else []
        super().__init__("\n".join(many + lines))


class Problems:
    """Collects what is wrong in one file, so that all of it can be said at once."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._found: set[Problem] = set()

    def add_line(self, line: int, path: Path, sentence: str) -> None:
        """Note `sentence` about `path` at `line`."""
        self._found.add(Problem(line, path_text(path), sentence))

    @property
    def any_found(self) -> bool:
        return bool(self._found)

    def failure(self) -> InvalidFile:
        """The error that says all that was found."""
        return InvalidFile(self._name, self._found)


def path_text(path: Path) -> str:
    """A path for a person: `sites > attichy > nodes[1] > uplink`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f"{' > ' if text else ''}{step}"
    return text


def unknown(value: str, known: Collection[str]) -> str:
    """`unknown "fibre2"; known: fibre, 4g`; of many known ones, the closest or the first few."""
    known = tuple(dict.fromkeys(known))  # a name given twice is another mistake
    said = f'unknown "{value}"'
    if not known:
        return f"{said}; none is described in this file."
    if len(known) <= LISTED_MAX:
        return f"{said}; known: {', '.join(known)}"
    close = difflib.get_close_matches(value, known, n=1)
    if close:
        return f'{said}; did you mean "{close[0]}"?'
    return f"{said}; known: {', '.join(known[:LISTED_MAX])} and {len(known) - LISTED_MAX} more"


def _shown(name: str, problem: Problem) -> str:
    subject = f"{problem.path}: " if problem.path else ""
    return f"{name}:{problem.line}  {subject}{problem.sentence}"
