"""Each command that status, doctor, alerts and playbooks propose stands in a table: what it does there, and whether it
can make things worse. A proposal that is in no row, or that the command line does not know, fails."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from appliance.cli.main import root

ROOT = Path(__file__).parents[3]
TABLE: list[dict[str, Any]] = yaml.safe_load((ROOT / "tests/cases/remedies.yml").read_text())
CODE = (
    *(
        it
        for room in ("agent", "branches", "failover", "monitor")
        for it in sorted((ROOT / "appliance" / room).rglob("*.py"))
    ),
    *(ROOT / "appliance/voter" / name for name in ("program.py", "maintenance.py", "checks.py")),
    *(ROOT / "appliance/backup" / name for name in ("peers/elsewhere.py", "chain/rollback.py", "chain/lineage.py")),
)
PAGES = (*sorted((ROOT / "docs/runbooks").glob("*.md")), *sorted((ROOT / "roles").glob("*/vars/main.yml")))
TYPED = re.compile(r"`(appliance [^`]+)`|(?:: |  )(appliance (?:[a-z]+ )+[^`.;\n]*)")
OF_WORDS = ("as_typed", "command")
"""Functions that make a command of its words."""


def said(node: ast.AST) -> str:
    """The text of a string, X for what is put in; "" for anything else."""
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.JoinedStr(values=values):
            return "".join(said(it) if isinstance(it, ast.Constant) else "X" for it in values)
        case ast.Call(func=ast.Name(id=name), args=args) if name in OF_WORDS and args:
            words = [said(it) or "X" for it in args]
            return f"`{' '.join(words if words[0] == 'appliance' else ['appliance', *words])}`"
    return ""


def proposals() -> Iterator[tuple[str, str]]:
    """(the command and its options, the file that proposes it)."""
    for path in CODE:
        tree = ast.parse(path.read_text())
        docstrings = {id(it.value) for it in ast.walk(tree) if isinstance(it, ast.Expr)}
        for node in ast.walk(tree):
            if id(node) not in docstrings:
                yield from ((key, path.name) for key in keys(said(node)))
    for path in PAGES:
        yield from ((key, path.name) for key in keys(path.read_text()))


def keys(text: str) -> Iterator[str]:
    for one, other in TYPED.findall(text):
        if key := key_of((one or other).split()[1:]):
            yield key


def key_of(words: list[str]) -> str:
    """ "backup resync --request" for what is typed; "" where it names a group alone."""
    found, command = [], root
    while (
        isinstance(command, click.Group) and words and (inner := command.get_command(click.Context(command), words[0]))
    ):
        command, found, words = inner, [*found, words[0]], words[1:]  # type: ignore[assignment]
    options = sorted({it.split("=")[0] for it in words if it.startswith("--")})
    return " ".join([*found, *options]) if found and not isinstance(command, click.Group) else ""


def command_of(key: str) -> click.Command:
    command: click.Command = root
    for word in (it for it in key.split() if not it.startswith("--")):
        assert isinstance(command, click.Group)
        inner = command.get_command(click.Context(command), word)
        assert inner is not None, key
        command = inner
    return command


def test_each_proposal_is_in_the_table_and_each_row_is_proposed() -> None:
    where = defaultdict(set)
    for key, file in proposals():
        where[key].add(file)
    rows = [row["proposal"] for row in TABLE]
    assert {key: files for key, files in where.items() if key not in rows} == {}
    assert [row for row in rows if row not in where] == []
    assert len(rows) == len(set(rows))


@pytest.mark.parametrize("row", TABLE, ids=lambda row: str(row["proposal"]))
def test_each_proposal_exists_and_says_whether_it_can_make_things_worse(row: dict[str, str]) -> None:
    assert set(row) == {"proposal", "state", "does", "worse"}
    known = {option for param in command_of(row["proposal"]).params for option in param.opts}
    assert {it for it in row["proposal"].split() if it.startswith("--")} <= known
    assert all(len(str(row[name])) > 1 for name in row)


def test_nothing_that_is_proposed_takes_a_service_from_who_serves_it() -> None:
    assert [row["proposal"] for row in TABLE if "--take-from" in row["proposal"]] == []
