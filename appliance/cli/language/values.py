"""The values inside our sentences, by kind: the form in which English has them, and what French makes of it. Pure.

A template such as "its envelope for {name} is {age} old." says of each value which kind it is. What is typed (commands,
paths, names) stays as it is. A *phrase* is looked up again; a *cited* text may come from another program, and stands in
quotation marks where the catalogue lacks it; *items* are paths, each with such a text: "a (socket), b (not readable)".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

PHRASE, CITED, ITEMS = "phrase", "cited", "items"
_DURATION = r"-?\d+(?:\.\d+)? (?:d|h|min|s)(?: \d+ (?:h|min|s))?"
_NAME = r"[a-z][a-z0-9-]*"
KINDS: Mapping[str, str] = {
    "age": _DURATION,
    "command": r"`[^`]+`",
    "date": r"\d{4}-\d\d-\d\d",
    "generation": r"\d+\.\d+",
    "n": r"\d+",
    "name": _NAME,
    "names": rf"{_NAME}(?:, {_NAME})*",
    "path": r".+?",
    "size": r"\d[\d.e+]* (?:[KMGT]i)?B",
    "typed": r"(?:appliance|ansible-playbook) .+?",
    "time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
    PHRASE: r".+?",
    CITED: r".+?",
    ITEMS: r".+?",
}
"""The regular expression of each kind."""

MONTHS = (
    *("janvier", "février", "mars", "avril", "mai", "juin"),
    *("juillet", "août", "septembre", "octobre", "novembre", "décembre"),
)
_FIGURE = re.compile(r"(\d)\.(\d)")


def in_french(kind: str, value: str) -> str:
    """`value` as French writes it: "1,21 Gio", "3 j 4 h", "2 décembre 2026"; what has no language as it is."""
    return _WRITTEN[kind](value) if kind in _WRITTEN else value


def quoted(text: str) -> str:
    """Return the words of another program as such."""
    return f"«\u00a0{text}\u00a0»"


def _age(value: str) -> str:
    return re.sub(r" d\b", " j", _FIGURE.sub(r"\1,\2", value))


def _size(value: str) -> str:
    return _FIGURE.sub(r"\1,\2", value).replace("B", "o")


def _date(value: str) -> str:
    year, month, day = (int(it) for it in value.split("-"))
    return f"{'1er' if day == 1 else day} {MONTHS[month - 1]} {year}" if 1 <= month <= len(MONTHS) else value


def _time(value: str) -> str:
    day, hour, minute = value[:10], value[11:13], value[14:16]
    return f"{_date(day)} à {int(hour)} h {minute} UTC"


_WRITTEN: Mapping[str, Callable[[str], str]] = {"age": _age, "date": _date, "size": _size, "time": _time}
