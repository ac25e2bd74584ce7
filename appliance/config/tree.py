"""YAML as a tree that knows its lines. Scalars stay text: what they mean is the schema's business, not YAML's.

PyYAML would read 21:30 as the number 1290, `no` as false and 060188 as octal; and it would expand aliases, of which a
few lines make gigabytes. So only its parser is used, and aliases, tags and deep nesting are refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from appliance.config.explain import Path, Problems

DEPTH_MAX = 12
_NULLS = ("", "~", "null", "Null", "NULL")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Scalar:
    """`text` is None when there is no value."""

    line: int
    text: str | None


@dataclass(frozen=True)
class Listing:
    line: int
    items: tuple[Tree, ...]


@dataclass(frozen=True)
class Mapping:
    """`line` is where the key of this mapping stands in its parent, `entries` keep the order of the file."""

    line: int
    entries: dict[str, Tree]


Tree = Scalar | Listing | Mapping


def read_tree(text: str, problems: Problems) -> Tree | None:
    """The tree of `text`; None when it is empty or not YAML, with the reason in `problems`."""
    reader = _Reader(text, problems)
    try:
        return reader.document()
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


def line_of(tree: Tree, path: Sequence[str | int]) -> int:
    """The line of what `path` leads to, or of its nearest ancestor in the file."""
    for step in path:
        if isinstance(tree, Mapping) and isinstance(step, str) and step in tree.entries:
            tree = tree.entries[step]
        elif isinstance(tree, Listing) and isinstance(step, int) and step < len(tree.items):
            tree = tree.items[step]
        else:
            break
    return tree.line


class _Abandoned(Exception):
    """The reason is already among the problems, and reading on would only repeat it."""


class _Reader:
    def __init__(self, text: str, problems: Problems) -> None:
        self._events: Iterator[Any] = yaml.parse(text, Loader=_LOADER)
        self._problems = problems

    def document(self) -> Tree | None:
        tree = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if tree is not None:
                    self._problems.add_line(_line(event), (), "begins a second document; one file holds one territory.")
                    raise _Abandoned
                tree = self._tree(next(self._events), _line(event), ())
        return tree

    def _tree(self, event: Any, line: int, path: Path) -> Tree:
        self._refuse_tricks(event, path)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(line, path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._listing(line, path)
        text = getattr(event, "value", None)
        bare = getattr(event, "style", None) in (None, "")
        return Scalar(line, None if bare and text in _NULLS else text)

    def _mapping(self, line: int, path: Path) -> Mapping:
        entries: dict[str, Tree] = {}
        lines: dict[str, int] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._key(event, path)
            value = self._tree(next(self._events), _line(event), (*path, key))
            if key in lines:
                self._problems.add_line(_line(event), path, f'"{key}" stands here again; first on line {lines[key]}.')
            else:
                entries[key], lines[key] = value, _line(event)
        return Mapping(line, entries)

    def _listing(self, line: int, path: Path) -> Listing:
        items: list[Tree] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._tree(event, _line(event), (*path, len(items))))
        return Listing(line, tuple(items))

    def _key(self, event: Any, path: Path) -> str:
        self._refuse_tricks(event, path)
        if not isinstance(event, yaml.ScalarEvent):
            self._problems.add_line(_line(event), path, "has a key that is not a word.")
            raise _Abandoned
        return str(event.value)

    def _refuse_tricks(self, event: Any, path: Path) -> None:
        if len(path) > DEPTH_MAX:
            self._problems.add_line(_line(event), path[:2], f"is nested deeper than {DEPTH_MAX} levels.")
            raise _Abandoned
        if isinstance(event, yaml.AliasEvent):
            sentence = f"uses an alias (*{event.anchor}); write the value out, or put it under defaults."
            self._problems.add_line(_line(event), path, sentence)
        if getattr(event, "tag", None):
            self._problems.add_line(
                _line(event), path, f"has a tag ({event.tag}), which means nothing here; remove it."
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
        context = f" ({error.context})" if error.context else ""
        problems.add_line(line, (), f"is not YAML: {error.problem}{context}.")
