"""YAML as a tree that knows its lines. Scalars stay text: what they mean is the schema's business, not YAML's.

PyYAML would read 21:30 as the number 1290, `no` as false and 060188 as octal; and it would expand aliases, of which a
few lines make gigabytes. So only its parser is used, and aliases, tags and deep nesting are refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from appliance.config.explain import Path, Problems
from appliance.territory.model import CONTROL

DEPTH_MAX = 12
_NULLS = ("", "~", "null", "Null", "NULL")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Place:
    """Where something stands in the file; of a value that is the line of its key."""

    line: int
    path: Path


@dataclass(frozen=True)
class Scalar:
    """`text` is None when there is no value."""

    place: Place
    text: str | None


@dataclass(frozen=True)
class Listing:
    place: Place
    items: tuple[Tree, ...]


@dataclass(frozen=True)
class Mapping:
    """`entries` keep the order of the file."""

    place: Place
    entries: dict[str, Tree]


Tree = Scalar | Listing | Mapping


def read_tree(text: str, problems: Problems) -> Tree | None:
    """The tree of `text`; None when it is empty, or not YAML as we take it, with the reason in `problems`."""
    reader = _Reader(text, problems)
    try:
        tree = reader.document()
        return None if reader.met_alias else tree
    except yaml.MarkedYAMLError as error:
        _explain_syntax(text, error, problems)
    except _Abandoned:
        pass
    except yaml.YAMLError as error:
        problems.add_line(1, (), f"is not YAML: {str(error).splitlines()[0]}.")
    return None


def plain(tree: Tree) -> Any:
    """Dicts, lists, str and None, as the schema takes them."""
    if isinstance(tree, Mapping):
        return {key: plain(value) for key, value in tree.entries.items()}
    return [plain(item) for item in tree.items] if isinstance(tree, Listing) else tree.text


def place_of(tree: Tree, path: Path) -> Place:
    """Where what `path` leads to was written, which may be under `defaults`; of what is missing, its parent's line."""
    for index, step in enumerate(path):
        if isinstance(tree, Mapping) and isinstance(step, str) and step in tree.entries:
            tree = tree.entries[step]
        elif isinstance(tree, Listing) and isinstance(step, int) and step < len(tree.items):
            tree = tree.items[step]
        else:
            return Place(tree.place.line, (*tree.place.path, *path[index:]))
    return tree.place


class _Abandoned(Exception):
    """The reason is already among the problems, and reading on would only repeat it."""


class _Reader:
    def __init__(self, text: str, problems: Problems) -> None:
        self._events: Iterator[Any] = yaml.parse(text, Loader=_LOADER)
        self._problems = problems
        self.met_alias = False

    def document(self) -> Tree | None:
        tree = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if tree is not None:
                    self._problems.add_line(_line(event), (), "starts a second document; one file holds one territory.")
                    raise _Abandoned
                tree = self._tree(next(self._events), Place(_line(event), ()))
        return tree

    def _tree(self, event: Any, place: Place) -> Tree:
        self._refuse_tricks(event, place.path)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(place)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._listing(place)
        text = self._printable(event, place.path)
        bare = getattr(event, "style", None) in (None, "")
        return Scalar(place, None if bare and text in _NULLS else text)

    def _mapping(self, place: Place) -> Mapping:
        entries: dict[str, Tree] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._key(event, place.path)
            value = self._tree(next(self._events), Place(_line(event), (*place.path, key)))
            if key in entries:
                first = entries[key].place.line
                self._problems.add_line(_line(event), place.path, f'"{key}" is repeated here; first on line {first}.')
            entries.setdefault(key, value)
        return Mapping(place, entries)

    def _listing(self, place: Place) -> Listing:
        items: list[Tree] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._tree(event, Place(_line(event), (*place.path, len(items)))))
        return Listing(place, tuple(items))

    def _printable(self, event: Any, path: Path) -> str | None:
        """The text of a scalar, without the line break at the end of a block."""
        text = getattr(event, "value", None)
        shown = text.rstrip("\n") if text and getattr(event, "style", None) in ("|", ">") else text
        if shown and (found := CONTROL.search(shown)):
            sentence = f"contains a line break or another control character (U+{ord(found[0]):04X}); write plain text."
            self._problems.add_line(_line(event), path, sentence)
            return CONTROL.sub("?", shown)  # so that no other sentence carries it to a terminal
        return shown

    def _key(self, event: Any, path: Path) -> str:
        self._refuse_tricks(event, path)
        if not isinstance(event, yaml.ScalarEvent):
            self._problems.add_line(_line(event), path, "has a key that is not a word.")
            raise _Abandoned
        return self._printable(event, path) or ""

    def _refuse_tricks(self, event: Any, path: Path) -> None:
        if len(path) > DEPTH_MAX:
            self._problems.add_line(_line(event), path[:2], f"is nested deeper than {DEPTH_MAX} levels.")
            raise _Abandoned
        if isinstance(event, yaml.AliasEvent):
            self.met_alias = True
            sentence = f"uses an alias (*{event.anchor}); write the value out, or put it under defaults."
            self._problems.add_line(_line(event), path, sentence)
        if getattr(event, "tag", None):
            self._problems.add_line(
                _line(event), path, f"has a tag ({event.tag}), which has no meaning here; remove it."
            )


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _explain_syntax(text: str, error: yaml.MarkedYAMLError, problems: Problems) -> None:
    """Tabs are the usual cause and are all named; otherwise what the parser found, in its own words."""
    tabs = [
        number for number, line in enumerate(text.splitlines(), 1) if "\t" in line[: len(line) - len(line.lstrip())]
    ]
    for number in tabs:
        problems.add_line(number, (), "a tab indents this line; use spaces.")
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 1
    if not tabs:
        context = f" {error.context}" if error.context else ""
        hint = " Quote a text that contains a colon." if error.problem and "mapping values" in error.problem else ""
        problems.add_line(line, (), f"is not YAML: {error.problem}{context}.{hint}")
