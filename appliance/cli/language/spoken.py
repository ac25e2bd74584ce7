"""The output of a command in the language of its command line: wholly, or else wholly in English."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from appliance.cli.language.catalogue import Untranslated
from appliance.cli.language.choice import ENGLISH
from appliance.cli.language.sentences import sentences_of
from appliance.cli.options import options


@dataclass(frozen=True)
class Voice:
    """`say` gives the text of an English one; `quote` the same of a text that may be another program's."""

    say: Callable[[str], str]
    quote: Callable[[str], str]


AS_WRITTEN = Voice(str, str)


def spoken(text: Callable[[Voice], str]) -> str:
    """Return what `text` makes with the voice of the command line's language, or with the English one where the
    catalogue lacks a part of it."""
    language = options().language
    if language != ENGLISH:
        known = sentences_of(language)
        try:
            return text(Voice(known.say, known.say_or_quote))
        except Untranslated:
            pass
    return text(AS_WRITTEN)
