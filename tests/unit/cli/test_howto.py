"""Every command that a how-to page tells to type exists and takes what the page gives it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from appliance.cli.main import root

HOW_TO = Path(__file__).parents[3] / "docs/how-to"
SH_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = sorted(HOW_TO.glob("*.md"))


def typed(page: Path) -> list[list[str]]:
    """The words after `appliance` of each line in a block of sh, up to a redirection."""
    lines = [line for block in SH_BLOCK.findall(page.read_text()) for line in block.replace("\\\n", "").splitlines()]
    split = [shlex.split(line, comments=True) for line in lines if line.startswith("appliance ")]
    return [words[1 : words.index(">") if ">" in words else None] for words in split]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_each_command_of_the_page_can_be_typed(page: Path) -> None:
    for words in typed(page):
        command: click.Command = root
        context = click.Context(root)
        rest = words
        while isinstance(command, click.Group):
            found = command.get_command(context, rest[0])
            assert found is not None, f"{page.name}: appliance {shlex.join(words)}"
            command, rest = found, rest[1:]
        try:
            command.make_context(words[0], list(rest), parent=context)
        except click.UsageError as error:
            pytest.fail(f"{page.name}: appliance {shlex.join(words)}: {error.format_message()}")


def test_every_task_has_its_page() -> None:
    assert {"join", "backup", "restore", "replace-a-node", "grant", "acts"} <= {page.stem for page in PAGES}
