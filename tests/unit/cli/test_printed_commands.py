"""Each `appliance ...` in a sentence of the code, or on an alert's page, has all the words that its command needs.

A command that a sentence only names, such as what wrote a file, is named without `appliance`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import click
import pytest

from tests.unit.cli.printed import SOME, commands_in, found, sentences

ROOT = Path(__file__).parents[3]
APPLIANCE = ROOT / "appliance"
RUNBOOKS = (*sorted((ROOT / "docs/runbooks").glob("*.md")), APPLIANCE / "portal/dashboard/runbooks-en.json")
ONE_OF = {("backup", "resync"): {"--request", "--grant"}, ("backup", "begin"): {"--out", "--all"}}
"""Options of which a command needs one, though it could be called without."""


def lacking(words: list[str]) -> Iterator[str]:
    """Yield what the command in `words` needs beside them, and options that it does not know."""
    command, names, rest = found(words)
    if command is None or SOME in rest:
        return
    options = {it: param for param in command.params if isinstance(param, click.Option) for it in param.opts}
    given, left = set(), []
    while rest:
        word, *rest = rest
        if not word.startswith("-"):
            left.append(word)
        elif (option := options.get(word.split("=")[0])) is None:
            yield f"{word} is unknown"
        else:
            given |= {*option.opts}
            rest = rest if option.is_flag or "=" in word else rest[1:]
    needed = [it for it in command.params if isinstance(it, click.Argument) and it.required]
    yield from (it.human_readable_name for it in needed[len(left) :])
    yield from (name for name, it in options.items() if it.required and name not in given)
    if (one_of := ONE_OF.get(tuple(names), given)) and not one_of & given:
        yield " or ".join(sorted(one_of))


def short(path: Path, texts: Iterable[str]) -> Iterator[str]:
    """Yield what is printed of `path` and lacks words, with them."""
    for words in (it for text in texts for it in commands_in(text)):
        if missing := sorted(set(lacking(words))):
            yield f"{path.relative_to(ROOT)}: {' '.join(words)}: {', '.join(missing)}"


def test_each_printed_command_has_its_words() -> None:
    assert [it for path in sorted(APPLIANCE.rglob("*.py")) for it in short(path, sentences(path))] == []


def test_each_command_of_an_alerts_page_has_its_words() -> None:
    assert [it for path in RUNBOOKS for it in short(path, [path.read_text()])] == []


@pytest.mark.parametrize(
    ("words", "missing"),
    [
        ("backup run docs-a", []),
        ("backup run", ["SERVICE"]),
        ("backup resync docs-a", ["--grant or --request"]),
        ("backup resync docs-a --grant=FILE", []),
        ("territory grant a.request --bundle BUNDLE --out a.grant", ["--key"]),
        ("failover status --nodes", ["--nodes is unknown"]),
        ("failover", []),
    ],
)
def test_what_a_command_lacks(words: str, missing: list[str]) -> None:
    assert list(lacking(words.split())) == missing
