"""Each command that status, doctor, alerts and playbooks propose stands in a table: what it does there, and whether it
can make things worse. A proposal that is in no row, or that the command line does not know, fails."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from appliance.cli.main import root
from tests.unit.cli.printed import commands_in, found, sentences

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


def proposals() -> Iterator[tuple[str, str]]:
    """(the command and its options, the file that proposes it)."""
    for path in CODE:
        for text in sentences(path):
            yield from ((key, path.name) for key in keys(text))
    for path in PAGES:
        yield from ((key, path.name) for key in keys(path.read_text()))


def keys(text: str) -> Iterator[str]:
    for words in commands_in(text):
        if key := key_of(words):
            yield key


def key_of(words: list[str]) -> str:
    """ "backup resync --request" for what is typed; "" where it names a group alone."""
    command, names, rest = found(words)
    options = sorted({it.split("=")[0] for it in rest if it.startswith("--")})
    return " ".join([*names, *options]) if command else ""


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
