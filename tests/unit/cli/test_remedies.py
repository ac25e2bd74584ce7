"""Every command that one of our sentences or pages tells to type exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from appliance.cli.main import root

ROOT = Path(__file__).parents[3]
TOLD = re.compile(r"`(?:bin/)?appliance ((?:[a-z][a-z-]+ ?)+)")


def told() -> Iterator[tuple[str, str]]:
    """(where, the words after `appliance`), as they stand between backticks in code and documents."""
    for path in sorted((*ROOT.glob("appliance/**/*.py"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md"))):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for words in TOLD.findall(line):
                yield f"{path.relative_to(ROOT)}:{number}", words.strip()


def exists(words: list[str]) -> bool:
    """Whether the words lead to a command; what follows a command's name is its own business."""
    command: click.Command | None = root
    context = click.Context(root)
    for word in words:
        if not isinstance(command, click.Group):
            return True
        command = command.get_command(context, word)
        if command is None:
            return False
    return True


@pytest.mark.parametrize("words", sorted({words for _, words in told()}))
def test_what_we_tell_to_type_exists(words: str) -> None:
    assert exists(words.split()), [where for where, found in told() if found == words]
