"""Every command in a block of a page exists and takes what the page gives it (sentences: `test_remedies.py`)."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from appliance.cli.main import root

ROOT = Path(__file__).parents[3]
SH_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def typed(page: Path) -> list[list[str]]:
    """The words after `appliance` of each line in a block of sh, up to a redirection or a pipe."""
    lines = [line for block in SH_BLOCK.findall(page.read_text()) for line in block.replace("\\\n", "").splitlines()]
    split = [shlex.split(line, comments=True) for line in lines if re.match(r"(bin/)?appliance ", line)]
    return [words[1 : min((words.index(it) for it in ">|" if it in words), default=None)] for words in split]


def command_of(words: list[str]) -> tuple[click.Command | None, list[str]]:
    """The command that `words` begin with, or the group when no verb of it follows, and the rest; None when unknown."""
    command: click.Command | None = root
    context = click.Context(root)
    while isinstance(command, click.Group) and words and re.match(r"[a-z]", words[0]):
        command, words = command.get_command(context, words[0]), words[1:]
    return command, words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_command_of_the_page_can_be_typed(page: Path) -> None:
    for words in typed(page):
        command, rest = command_of(words)
        assert command is not None, f"{page.name}: appliance {shlex.join(words)}"
        try:
            command.make_context(words[0], list(rest), parent=click.Context(root))
        except click.UsageError as error:
            pytest.fail(f"{page.name}: appliance {shlex.join(words)}: {error.format_message()}")


def test_every_task_has_its_page() -> None:
    tasks = {"join", "backup", "restore", "replace-a-node", "lose-the-standby", "grant", "acts", "agent"}
    tasks |= {"leave", "upgrade", "control-machine"}
    assert tasks <= {page.stem for page in ROOT.glob("docs/how-to/*.md")}
