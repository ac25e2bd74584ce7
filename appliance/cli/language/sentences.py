"""The French of our sentences, whatever values they have; pure.

Checks, errors and other nodes give sentences in English, some of them from a file or another machine. They are
recognised here by the templates of the catalogue (decision 93): no code that judges or decides knows a language.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property

from appliance.cli.language.catalogue import Untranslated, catalogue
from appliance.cli.language.values import CITED, ITEMS, KINDS, PHRASE, in_french, quoted

PLACE = re.compile(r"\{([a-z]+)(\d*)\}")
"""A value in a template: its kind, and a number where several are of that kind."""
_SENTENCE_ENDS = re.compile(r"(?<=[.;]) (?=[A-Z(`])")
_LISTED = "; "
_ITEM = re.compile(r"(.+?) \(([^()]*)\)(, |$)")
_WHERE = re.compile(r"(\S*/\S*|[a-z0-9-]+|\S+\.\S+): (.+)", re.DOTALL)
"""An error that first names a file, a node or an address."""


@dataclass(frozen=True)
class Template:
    """An English sentence with places for values, and its French with the same places."""

    english: str
    french: str

    @cached_property
    def words(self) -> list[str]:
        """The words around the places."""
        return PLACE.split(self.english)[::3]

    @property
    def letters(self) -> int:
        return sum(map(len, self.words))

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        kinds = PLACE.findall(self.english)
        groups = [f"(?P<{kind}{number}>{KINDS[kind]})" for kind, number in kinds]
        return re.compile("".join(map("".join, zip(map(re.escape, self.words), [*groups, ""], strict=True))), re.DOTALL)

    def values(self, sentence: str) -> dict[str, str] | None:
        """The values in `sentence` by their places; None when it is another sentence."""
        if not sentence.startswith(self.words[0]) or not sentence.endswith(self.words[-1]):
            return None
        found = self._pattern.fullmatch(sentence)
        return found.groupdict() if found else None


class Sentences:
    """The sentences of one catalogue: `texts` are the French by the English, templates among them."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts
        templates = (Template(*it) for it in texts.items() if PLACE.search(it[0]))
        # The more words of a sentence are a template's own, the better it fits.
        self._templates = sorted(templates, key=lambda it: -it.letters)

    def say(self, english: str) -> str:
        """The French of `english`; raise Untranslated where it, or a phrase in it, is not in the catalogue."""
        said = next((it for it in self._ways(english) if it is not None), None)
        if said is None:
            raise Untranslated(english)
        return said

    def say_or_quote(self, english: str) -> str:
        """The same of what may be another program's: in quotation marks, as it came, where it is not in it."""
        try:
            return self.say(english)
        except Untranslated:
            return quoted(english)

    def _ways(self, english: str) -> Iterator[str | None]:
        yield self._texts.get(english)
        yield from (self._filled(it, values) for it in self._templates if (values := it.values(english)) is not None)
        for parts, join in ((_SENTENCE_ENDS.split(english), " "), (english.split(_LISTED), "\u00a0; ")):
            if len(parts) > 1:
                yield self._joined(parts, join)
        if where := _WHERE.fullmatch(english):
            yield self._after(*where.groups())

    def _filled(self, template: Template, values: Mapping[str, str]) -> str | None:
        try:
            said = {place: self._value(place.rstrip("0123456789"), value) for place, value in values.items()}
        except Untranslated:
            return None
        return PLACE.sub(lambda it: said[it[1] + it[2]], template.french)

    def _value(self, kind: str, value: str) -> str:
        ways = {PHRASE: self.say, CITED: self.say_or_quote, ITEMS: self._items}
        return ways[kind](value) if kind in ways else in_french(kind, value)

    def _items(self, value: str) -> str:
        found = _ITEM.findall(value)
        whole = "".join(f"{path} ({why}){join}" for path, why, join in found) == value
        said = (f"{path} ({self.say_or_quote(why)}){join}" for path, why, join in found)
        return "".join(said) if whole else quoted(value)

    def _joined(self, parts: list[str], join: str) -> str | None:
        try:
            return join.join(map(self.say, parts))
        except Untranslated:
            return None

    def _after(self, place: str, rest: str) -> str | None:
        try:
            return f"{place}\u00a0: {self.say(rest)}"
        except Untranslated:
            return None


@cache
def sentences_of(language: str) -> Sentences:
    return Sentences(catalogue(language))
