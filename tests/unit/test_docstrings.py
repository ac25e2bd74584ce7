"""A docstring begins with what it describes: "Return one keeper per service", not "Who keeps each service".

A docstring that begins with Who, What, Of or That lets its reader guess the subject. LEFT counts by folder those that
are still there, with the strings that stand below an attribute. A count may only fall, and a folder without a count has
none: python3 -m tests.unit.test_docstrings prints it.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache

from tests.unit.repository import files, folder, name

NO_SUBJECT = r"(?:Who|Whoever|Whom|Whose|What|Of|That)\b"
LEFT = {
    "tests": 430,
}


def test_docstrings_begin_with_the_thing_they_describe() -> None:
    more = {where: count for where, count in today().items() if count > LEFT.get(where, 0)}
    shown = [line for where, line in found() if where in more]
    assert more == {}, "\n".join(["more than LEFT allows; one of these is new:", *shown])


def test_a_docstring_without_a_subject_is_named_with_its_line() -> None:
    code = 'SIZE = 4\n"""What a page takes."""\n\n\ndef size() -> int:\n    """Return what a page takes."""\n'
    assert list(without_subject(code)) == [(2, "What a page takes.")]


def without_subject(code: str) -> Iterator[tuple[int, str]]:
    """Line and first line of each docstring in `code` that begins so."""
    if not re.search(rf'"""{NO_SUBJECT}', code):  # most have none, and parsing costs
        return
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))) if re.match(NO_SUBJECT, text):
                yield node.lineno, text.splitlines()[0]


@cache
def found() -> tuple[tuple[str, str], ...]:
    return tuple(
        (folder(path), f"{name(path)}:{number}: {text}")
        for path in files()
        if path.suffix == ".py"
        for number, text in without_subject(path.read_text())
    )


def today() -> dict[str, int]:
    return dict(sorted(Counter(where for where, _ in found()).items()))


if __name__ == "__main__":
    print("LEFT = {", *(f'    "{where}": {count},' for where, count in today().items()), "}", sep="\n")
