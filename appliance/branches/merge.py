"""The merge of a branch into the service that went on without it: three-way, file by file. Pure.

The invariant: nothing that either side wrote is gone afterwards. A file that only the branch changed comes into place;
a file that both changed stays as it is, and the branch's version comes beside it under the name of its town and the
day; a file that the branch removed is reported and stays. The base is the last generation that both have in common.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

NAMES_MAX = 1000


@dataclass(frozen=True)
class Trees:
    """The content at each path, as a mark of kind and content that is the same for the same; no folders. `base` needs
    no more than the paths at which the two others differ."""

    base: Mapping[str, str]
    here: Mapping[str, str]
    branch: Mapping[str, str]


@dataclass(frozen=True)
class Merge:
    """`taken`: paths whose version in the branch comes into place. `both`: paths that both sides changed, with the name
    under which the branch's version comes beside. `removed`: what the branch removed; it stays. `there`: what an
    earlier merge brought already."""

    taken: tuple[str, ...] = ()
    both: Mapping[str, str] = field(default_factory=dict)
    removed: tuple[str, ...] = ()
    there: tuple[str, ...] = ()

    @property
    def brings(self) -> Mapping[str, str]:
        """Where each path of the branch that is brought comes to lie."""
        return {**{path: path for path in self.taken}, **self.both}


def differing(here: Mapping[str, str], branch: Mapping[str, str]) -> tuple[str, ...]:
    """The paths at which the two sides differ: of these the base must be known."""
    return tuple(sorted(path for path in {*here, *branch} if here.get(path) != branch.get(path)))


def plan_merge(trees: Trees, label: Callable[[str], str]) -> Merge:
    """Return what is done with each path that differs; `label` names town and day of a path of the branch."""
    changed = [it for it in differing(trees.here, trees.branch) if trees.branch.get(it) != trees.base.get(it)]
    alone = {it for it in changed if trees.here.get(it) == trees.base.get(it)}
    removed = tuple(it for it in changed if it not in trees.branch and it in alone)
    names = _Names(trees.here, trees.branch)
    taken = {it for it in changed if it in trees.branch and it in alone and names.is_free(it)}
    names.replace(taken)
    there, both = list[str](), dict[str, str]()
    for path in changed:
        if path in taken or path not in trees.branch:
            continue
        if (name := names.beside(path, label(path), trees.branch[path])) is None:
            there.append(path)
        else:
            both[path] = name
    return Merge(tuple(sorted(taken)), both, removed, tuple(there))


class _Names:
    """Names that are in use on either side, folders included."""

    def __init__(self, here: Mapping[str, str], branch: Mapping[str, str]) -> None:
        self._here = here
        self._stays = dict(here)
        self._used = {**branch, **here}
        self._folders = {folder for path in self._used for folder in _above(path)}
        self._folders_here = {folder for path in here for folder in _above(path)}

    def replace(self, taken: Iterable[str]) -> None:
        """The files at these paths go: no version of another path is there already by them."""
        for path in taken:
            self._stays.pop(path, None)

    def is_free(self, path: str) -> bool:
        """Whether a file can stand at `path` in the place of what is a file there, or nothing."""
        return path not in self._folders_here and not any(folder in self._here for folder in _above(path))

    def beside(self, path: str, label: str, mark: str) -> str | None:
        """A name beside `path` for what is `mark`; None when one has just that already."""
        for number in range(1, NAMES_MAX):
            name = self._named(path, label if number == 1 else f"{label} {number}")
            if self._stays.get(name) == mark:
                return None
            if not {name, *_above(name)} & self._used.keys() and name not in self._folders:
                self._used[name] = mark
                self._folders |= _above(name)
                return name
        raise AssertionError(f"{NAMES_MAX} versions of one file")

    def _named(self, path: str, label: str) -> str:
        """`path` with `label`; where a file stands now in the place of one of its folders, that folder has it."""
        parts = PurePosixPath(path).parts
        for end in range(1, len(parts)):
            if (above := str(PurePosixPath(*parts[:end]))) in self._here:
                return str(PurePosixPath(named(above, label), *parts[end:]))
        return named(path, label)


def _above(path: str) -> set[str]:
    return {str(folder) for folder in PurePosixPath(path).parents}


def named(path: str, label: str) -> str:
    """`path` with `label` before its ending: "a/notes.txt" is "a/notes (label).txt"."""
    found = PurePosixPath(path)
    return str(found.with_name(f"{found.stem} ({label}){found.suffix}"))
