"""The output of a command in the language of its command line: wholly, or else wholly in English."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import click

from appliance.cli.language.catalogue import Untranslated
from appliance.cli.language.choice import ENGLISH
from appliance.cli.options import options

FINISHED = frozenset(
    {
        *("node init", "node accept", "backup begin", "backup accept", "territory grant", "territory sign"),
        *("failover move", "failover handback", "failover evacuate", "failover pause"),
    }
)
"""The commands, apart from `status` and `doctor`, all of whose own sentences are in the catalogue; a test counts."""
STAYS_ENGLISH = "appliance.stays-english"
_MARGIN = re.compile(r"^ *(?:\d+\. )?")


@dataclass(frozen=True)
class Voice:
    """`say` gives the text of an English one; `quote` the same of a text that may be another program's."""

    say: Callable[[str], str]
    quote: Callable[[str], str]


AS_WRITTEN = Voice(str, str)


def spoken(text: Callable[[Voice], str], language: str = "") -> str:
    """Return what `text` makes with the voice of `language`, by default the command line's; or with the English one
    where the catalogue lacks a part of it."""
    language = language or options().language
    if language != ENGLISH:
        from appliance.cli.language.sentences import sentences_of  # a command in English starts without it

        known = sentences_of(language)
        try:
            return text(Voice(known.say, known.say_or_quote))
        except Untranslated:
            pass
    return text(AS_WRITTEN)


def told(text: str) -> str:
    """`text`, that a command prints, line by line in its language; as it is where the command is none of FINISHED, and
    after a text of it that had to stay English."""
    context = click.get_current_context(silent=True)
    if context is None or context.command_path.partition(" ")[2] not in FINISHED or context.meta.get(STAYS_ENGLISH):
        return text
    said = spoken(lambda voice: "\n".join(line_in(it, voice) for it in text.split("\n")))
    context.meta[STAYS_ENGLISH] = said == text
    return said


def line_in(line: str, voice: Voice) -> str:
    """`line` by `voice`: a command to type has no language; what is indented or numbered stays so."""
    words = _MARGIN.sub("", line)
    margin = line[: len(line) - len(words)]
    return line if not words or (margin and words.startswith("appliance ")) else margin + voice.say(words)
