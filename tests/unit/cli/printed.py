"""The commands in the sentences of the code: `appliance ...` in backquotes, or after a colon or two blanks."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click

from appliance import typed
from appliance.cli.main import root

TYPED = re.compile(r"`(appliance [^`]+)`|(?:: |  )(appliance (?:[a-z]+ )+[^`.;\n]*)")
OF_WORDS = ("as_typed", "command")
"""Functions that make a command of its words."""
ANY = "X"
"""It stands for what is put in: nobody knows that from the source."""
SOME = "*X"
"""The same, as many as there are."""


def said(node: ast.AST) -> str:
    """The text of a string, with `ANY` for what is put in; "" for anything else."""
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.JoinedStr(values=values):
            return "".join(said(it) or ANY for it in values)
        case ast.FormattedValue(value=value):
            return said(value)
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            return said(left) + said(right)
        case ast.Attribute(value=ast.Name(id="typed"), attr=name) if hasattr(typed, name):
            return str(getattr(typed, name))
        case ast.Call(func=ast.Attribute(value=ast.Name(id="typed"), attr=name), args=args) if hasattr(typed, name):
            return str(getattr(typed, name)(*(ANY for _ in args)))
        case ast.Call(func=ast.Name(id=name), args=args) if name in OF_WORDS and args:
            return " ".join(_with_program([SOME if isinstance(it, ast.Starred) else said(it) or ANY for it in args]))
    return ""


def _with_program(words: list[str]) -> list[str]:
    return words if words[0] == "appliance" else ["appliance", *words]


def sentences(path: Path) -> Iterator[str]:
    """The texts of the module at `path` but its docstrings, each once and whole."""
    tree = ast.parse(path.read_text())
    parts = {id(it.value) for it in ast.walk(tree) if isinstance(it, ast.Expr)}
    for node in ast.walk(tree):
        if id(node) in parts or not (text := said(node)):
            continue
        parts |= {id(it) for it in ast.walk(node)}
        is_command = isinstance(node, ast.Call)
        yield f"`{text}`" if is_command else text


def commands_in(text: str) -> Iterator[list[str]]:
    """The words of each command in `text`, without `appliance`."""
    for one, other in TYPED.findall(text):
        yield (one or other).split()[1:]


def found(words: list[str]) -> tuple[click.Command | None, list[str], list[str]]:
    """(the command that `words` begin with, its name, the words after it); None where they name a group alone."""
    names, command = [], root
    while (
        isinstance(command, click.Group) and words and (inner := command.get_command(click.Context(command), words[0]))
    ):
        command, names, words = inner, [*names, words[0]], words[1:]  # type: ignore[assignment]
    return (None if isinstance(command, click.Group) else command), names, words
