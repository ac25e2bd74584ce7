"""The help of one command in another language: wholly, or else wholly in English.

click writes each page through a formatter, so that this one place translates all of them and no command knows of it.
What is typed stays as it is: commands, options and the words in capitals that stand for their values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from appliance.cli.language.catalogue import Untranslated, catalogue
from appliance.cli.options import Options

_PARAGRAPHS = re.compile(r"\n\s*\n")
_NOTES = re.compile(r"(?P<text>.*?)(?:  )?\[(?P<notes>[^][]+)\]", re.DOTALL)
"""An option's help, and what click adds to it: "[default: 50; required]"."""


class PageContext(click.Context):
    """The context of every command: it writes the help in the language of the command line."""

    say: Callable[[str], str] | None = None

    def get_help(self) -> str:
        options = self.find_root().obj
        texts = catalogue(options.language) if isinstance(options, Options) else {}
        try:
            self.say = _sayer(texts) if texts else None
            return super().get_help()
        except Untranslated:
            self.say = None
            return super().get_help()

    def make_formatter(self) -> click.HelpFormatter:
        width = {"width": self.terminal_width, "max_width": self.max_content_width}
        return TranslatedFormatter(self.say, **width) if self.say else super().make_formatter()


def _sayer(texts: Mapping[str, str]) -> Callable[[str], str]:
    def say(english: str) -> str:
        try:
            return texts[english]
        except KeyError:
            raise Untranslated(english) from None

    return say


class TranslatedFormatter(click.HelpFormatter):
    """`say` gives the text of an English one; it raises Untranslated for one that the catalogue lacks."""

    def __init__(self, say: Callable[[str], str], **width: Any) -> None:
        super().__init__(**width)
        self.say = say

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        super().write_usage(prog, args, prefix=f"{self.say(prefix or 'Usage:')} ")

    def write_heading(self, heading: str) -> None:
        super().write_heading(self.say(heading))

    def write_text(self, text: str) -> None:
        super().write_text("\n\n".join(map(self.say, paragraphs(text))))

    def write_dl(self, rows: Sequence[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        super().write_dl([(term, self._meaning(text)) for term, text in rows], col_max, col_spacing)

    def _meaning(self, text: str) -> str:
        found = _NOTES.fullmatch(text)
        if found is None:
            return self.say(text)
        notes = "; ".join(self._note(note) for note in found["notes"].split("; "))
        return f"{self.say(found['text'])}  [{notes}]" if found["text"] else f"[{notes}]"

    def _note(self, note: str) -> str:
        """ "default: 50" and "required"; a range of numbers, such as "x>=1", has no words."""
        name, colon, value = note.partition(": ")
        if not colon:
            return note if re.search(r"[<>]=?", note) else self.say(note)
        return f"{self.say(f'{name}:')} {value}"


def paragraphs(text: str) -> list[str]:
    """`text` as click takes it, each paragraph one text whatever the width of its lines; one that begins with a
    backspace keeps them."""
    return [it if it.startswith("\b") else " ".join(it.split()) for it in _PARAGRAPHS.split(text.strip())]
