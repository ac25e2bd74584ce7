"""The texts of the help pages that a language lacks, as entries for its catalogue:

    /usr/bin/python3 -m appliance_lab.pages.translations >>appliance/locale/fr/LC_MESSAGES/help.po

The pages are those of the commands that a person types on a node. What units and playbooks type, and the test bench,
stay in English.
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterator
from functools import cache

import click

from appliance.cli.commands import PROGRAM
from appliance.cli.language.catalogue import catalogue
from appliance.cli.language.choice import FRENCH
from appliance.cli.language.help_page import PageContext
from appliance.cli.main import root
from appliance_lab.pages.commands import walk

WIDTH = 118
_WRAP = textwrap.TextWrapper(WIDTH, drop_whitespace=False, replace_whitespace=False, expand_tabs=False)


@cache
def texts_of_pages() -> dict[str, list[str]]:
    """The English texts of each help page, such as "appliance backup run", as the page has them."""
    return {" ".join((PROGRAM, *words)): _texts(words, command) for words, command in _pages()}


def _pages() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield (), root
    for words, command in walk(root):
        if not root.entries[words[0]].of_the_lab:
            yield words, command


def _texts(words: tuple[str, ...], command: click.Command) -> list[str]:
    found: list[str] = []

    def note(english: str) -> str:
        found.append(english)
        return english

    context = PageContext(command, info_name=" ".join((PROGRAM, *words)), **command.context_settings)
    context.say = note
    command.get_help(context)
    return found


def english_pages(language: str) -> list[str]:
    """The pages of which the catalogue lacks a text, and which are therefore shown in English."""
    known = catalogue(language)
    return [page for page, texts in texts_of_pages().items() if not known.keys() >= set(texts)]


def entry(english: str, said: str = "") -> str:
    return f"msgid {_quoted(english)}\nmsgstr {_quoted(said)}\n"


def _quoted(text: str) -> str:
    """`text` as a .po file has it: on one line, or on several below an empty string."""
    lines = [piece for line in text.splitlines(keepends=True) for piece in _WRAP.wrap(line) or [line]]
    quoted = [json.dumps(line, ensure_ascii=False) for line in lines or [""]]
    return "\n".join(quoted if len(quoted) == 1 else ['""', *quoted])


def missing(language: str) -> Iterator[str]:
    """An entry for each text that the catalogue lacks, under the first page that has it."""
    known = set(catalogue(language))
    for page, texts in texts_of_pages().items():
        lacking = [text for text in dict.fromkeys(texts) if text not in known]
        known.update(lacking)
        yield from (f"#. {page}\n{entry(text)}" for text in lacking)


if __name__ == "__main__":
    sys.stdout.write("\n".join(missing(FRENCH)))
