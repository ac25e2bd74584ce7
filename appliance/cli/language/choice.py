"""Which language a command speaks; pure.

It is known before the command line is read, since a mistake in it is said in this language too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

ENGLISH, FRENCH = "en", "fr"
LANGUAGES = (ENGLISH, FRENCH)
OPTION = "--language"
VARIABLE = "APPLIANCE_LANGUAGE"


def chosen(argv: Sequence[str], environment: Mapping[str, str]) -> str:
    """The language that `argv` asks for, else the one of APPLIANCE_LANGUAGE, else English.

    One that we do not have is English here: the option refuses it once click reads the command line.
    """
    wanted = _typed(argv) or environment.get(VARIABLE)
    return wanted if wanted in LANGUAGES else ENGLISH


def _typed(argv: Sequence[str]) -> str:
    """The value of the last --language, "" without one."""
    typed = ""
    for word, following in pairwise([*argv, ""]):
        if word == "--":
            break
        if word == OPTION:
            typed = following
        elif word.startswith(f"{OPTION}="):
            typed = word.removeprefix(f"{OPTION}=")
    return typed
