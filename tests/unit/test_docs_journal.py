"""Every event of the journal and each of its fields are on its page, which names none that the code does not write."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/reference/journal.md"
# Functions that write what they are given: the position of the event among their arguments.
HAND_ON = {"record": 1}
WRITES = re.compile(r"journal|" + "|".join(HAND_ON))

Event = tuple[str, frozenset[str]]


def test_the_page_names_exactly_the_events_that_the_code_writes() -> None:
    assert set(told()) == {name for name, _ in written()}, "give each event a row in docs/reference/journal.md"


def test_the_page_names_every_field() -> None:
    page = told()
    untold = {name: fields - page[name][0] - page[name][1] for name, fields in written() if name in page}
    assert {name: fields for name, fields in untold.items() if fields} == {}


def test_a_field_that_is_not_always_there_stands_in_brackets() -> None:
    always: dict[str, frozenset[str]] = {}
    for name, fields in written():
        always[name] = always.get(name, fields) & fields
    assert {name: must - always[name] for name, (must, _) in told().items() if must - always[name]} == {}


def told() -> dict[str, tuple[frozenset[str], frozenset[str]]]:
    """For each event of the page its fields, and those in brackets."""
    rows = re.findall(r"^\| `([a-z-]+)` \| ([^|]*) \|", PAGE.read_text(), re.MULTILINE)
    return {name: (_fields(re.sub(r"\[[^]]*\]", "", fields)), _fields(fields)) for name, fields in rows}


def _fields(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"`([a-z_]+)`", text))


@cache
def written() -> list[Event]:
    """Every event that some line of the code writes, with the fields that it names there."""
    texts = [file.read_text() for file in sorted(ROOT.glob("appliance/**/*.py"))]
    return [event for text in texts if WRITES.search(text) for event in _events(ast.parse(text))]


def _events(module: ast.Module) -> Iterator[Event]:
    for loop in (node for node in ast.walk(module) if isinstance(node, ast.For)):
        for call in _calls(loop):
            if _writes_to_a_journal(call) and isinstance(call.args[0], ast.JoinedStr):
                yield from ((name, _words(call)) for name in _spelled_out(call.args[0], loop))
    for call in _calls(module):
        place = 0 if _writes_to_a_journal(call) else HAND_ON.get(_name(call), -1)
        if 0 <= place < len(call.args):
            match call.args[place]:
                case ast.Constant(value=str(name)):
                    yield name, _words(call)


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _writes_to_a_journal(call: ast.Call) -> bool:
    match call.func:
        case ast.Attribute(attr="write" | "note", value=ast.Attribute(attr="journal") | ast.Name(id="journal")):
            return True
    return False


def _name(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _words(call: ast.Call) -> frozenset[str]:
    return frozenset(word.arg for word in call.keywords if word.arg)


def _spelled_out(text: ast.JoinedStr, loop: ast.For) -> Iterator[str]:
    """The names that `f"start-{event}"` takes in a loop over pairs whose first is a text."""
    start = "".join(part.value for part in text.values if isinstance(part, ast.Constant))
    for pair in getattr(loop.iter, "elts", ()):
        yield start + pair.elts[0].value
