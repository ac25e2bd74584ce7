"""Quantities as people write them: "200M", "1.5G", "30d", "15s"; counts, "1 file"; names that a terminal can show;
words that a shell reads.

Bytes are powers of 1024, durations are seconds.
"""

from __future__ import annotations

import re
import shlex

from appliance.errors import UsageError

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_NOT_ENCODABLE = re.compile("[\ud800-\udc7f\udd00-\udfff]")
"""Half a character that is no byte of a name either."""
_BYTE_UNITS = {"": 1, "K": KIB, "M": MIB, "G": GIB, "T": 1024 * GIB}
_TIME_UNITS = {"": 1, "s": 1, "m": MINUTE, "min": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}


def parse_bytes(text: str) -> int:
    """Bytes in `text`, such as "200M", "1.5 GiB" or "4096"; raise UsageError when it is none."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?\s*", text, re.IGNORECASE)
    if not match:
        raise UsageError(f'"{text}" is not a size.', remedy="Write a number and a unit, for example 200M or 1.5G.")
    return int(float(match[1]) * _BYTE_UNITS[match[2].upper()])


def parse_duration(text: str) -> float:
    """Seconds in `text`, such as "30d", "12h", "15 min" or "90"; raise UsageError when it is none."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", text)
    if not match or match[2] not in _TIME_UNITS:
        raise UsageError(f'"{text}" is not a duration.', remedy="Write a number and s, m, h, d or w, for example 30d.")
    return float(match[1]) * _TIME_UNITS[match[2]]


def format_bytes(size: float) -> str:
    """`size` in bytes for a person, three significant digits: "1.21 GiB"."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(size) < 1024 or unit == "TiB":
            # From 100 on, three digits would turn 1000 into 1e+03.
            return f"{size:.0f} {unit}" if unit == "B" or abs(size) >= 99.95 else f"{size:.3g} {unit}"
        size /= 1024
    raise AssertionError("unreachable")


def format_count(count: int, one: str, many: str = "") -> str:
    """`count` things for a person: "1 file", "3 files"; `many` where more than one takes more than an s."""
    return f"{count} {one if count == 1 else many or f'{one}s'}"


def format_duration(seconds: float) -> str:
    """`seconds` for a person, its two largest units: "3 d 4 h", "12 min 5 s", "0.4 s"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    rest = round(seconds)
    parts = []
    for unit, size in (("d", DAY), ("h", HOUR), ("min", MINUTE), ("s", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])


def printable(text: str) -> str:
    """A file name, or a sentence with one, for a terminal: what is not UTF-8 or would move the cursor is escaped."""
    text = _NOT_ENCODABLE.sub(lambda half: f"\\u{ord(half[0]):04x}", text)
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def as_typed(*words: str) -> str:
    """`words` as a shell reads them; bytes that are no UTF-8, and what moves a cursor, in $'...' of bash."""
    return " ".join(_quoted(word) for word in words)


def _quoted(word: str) -> str:
    if printable(word) == word:
        return shlex.quote(word)
    escaped = word.replace("\\", "\\\\").replace("'", "\\'")
    return f"$'{printable(escaped)}'"
