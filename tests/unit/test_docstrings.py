"""A docstring begins with what it describes: "Return one keeper per service", not "Who keeps each service".

A docstring that begins with Who, What, Of or That lets its reader guess the subject; so does a string that stands below
an attribute.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.unit.repository import files, name

NO_SUBJECT = r"(?:Who|Whoever|Whom|Whose|What|Of|That)\b"


def test_docstrings_begin_with_the_thing_they_describe() -> None:
    found = [
        f"{name(path)}:{number}: {text}"
        for path in files()
        if path.suffix == ".py"
        for number, text in without_subject(path.read_text())
    ]
    assert found == [], "\n".join(["begin these with a subject, or with a verb such as Return:", *found])


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
