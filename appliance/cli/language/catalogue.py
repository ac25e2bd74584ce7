"""The texts of a language: gettext's files `appliance/locale/LANGUAGE/LC_MESSAGES/*.po`, read as they stand.

Nothing is compiled, neither in a checkout nor for the package (decision 89). `parse` refuses what nothing here would
print, such as plural forms and contexts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

LOCALE = Path(__file__).parents[2] / "locale"
_STRINGS = r'((?:"(?:[^"\\\n]|\\.)*"\s*)+)'
_ENTRY = re.compile(rf"\s*msgid\s+{_STRINGS}msgstr\s+{_STRINGS}")
_STRING = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
_ESCAPED = re.compile(r"\\(.)")
_MEANING = {"n": "\n", "t": "\t", "b": "\b"}


class Untranslated(Exception):
    """The catalogue lacks this text."""


@cache
def catalogue(language: str) -> Mapping[str, str]:
    """Each text by its English; nothing for a language without a folder, as English itself is."""
    found: dict[str, str] = {}
    for file in sorted((LOCALE / language / "LC_MESSAGES").glob("*.po")):
        found.update(parse(file.read_text()))
    return found


def parse(text: str) -> dict[str, str]:
    """The entries of a .po file that have a text, without its header; raise ValueError for anything else in it."""
    kept = "\n".join(line for line in text.splitlines() if not line.startswith("#")).rstrip()
    found: dict[str, str] = {}
    at = 0
    while at < len(kept):
        entry = _ENTRY.match(kept, at)
        if entry is None:
            raise ValueError(f"neither msgid nor msgstr: {kept[at:].lstrip().splitlines()[0]}")
        english, said = _joined(entry[1]), _joined(entry[2])
        if english in found:
            raise ValueError(f"twice: {english}")
        if english and said:
            found[english] = said
        at = entry.end()
    return found


def _joined(strings: str) -> str:
    """The strings of some lines as the one that they mean."""
    return _ESCAPED.sub(lambda it: _MEANING.get(it[1], it[1]), "".join(_STRING.findall(strings)))
