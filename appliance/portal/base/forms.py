"""The fields of a request: names and values, none longer than it may be.

Paths are bytes to us, and need not be text. In an address they are percent-encoded bytes; a form carries the same
written out once more, since a browser would make text of them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote_to_bytes

from appliance.portal.base.failures import PageFailure

BODY_BYTES_MAX = 1024 * 1024
"""A thousand ticked boxes with long names."""
FIELDS_MAX = 2000
PATH_MAX = 4096
NUMBER_MAX = 10**9


@dataclass(frozen=True)
class Fields:
    """The values of each name, in their order, as the bytes that came, escaped."""

    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def text(self, name: str, most: int = 200) -> str:
        """The first value of `name` as text, "" without; raise PageFailure when it is longer than `most` letters."""
        value = self._first(name).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        return _at_most(value, most)

    def secret(self, name: str) -> bytes:
        return self._first(name).encode("utf-8", "surrogateescape")

    def number(self, name: str, default: int = 0) -> int:
        """A whole number from 0 on; raise PageFailure for anything else."""
        value = self._first(name)
        if not value:
            return default
        if not (value.isascii() and value.isdigit()) or int(value[:10]) > NUMBER_MAX:
            raise PageFailure(400)
        return int(value)

    def path(self, name: str) -> str:
        """A path in an address."""
        return checked_path(self._first(name))

    def quoted_paths(self, name: str) -> tuple[str, ...]:
        """The paths that a form carries as `name`."""
        values = self.values.get(name, ())
        return tuple(unquoted(value) for value in values)

    def quoted_words(self, name: str) -> tuple[str, ...]:
        """Values whose words are written as percent-encoded bytes."""
        return self.values.get(name, ())

    def quoted_path(self, name: str) -> str:
        return next(iter(self.quoted_paths(name)), "")

    def _first(self, name: str) -> str:
        return next(iter(self.values.get(name, ())), "")


def parse(raw: bytes) -> Fields:
    """Return the fields of an address or a form; raise PageFailure for too many fields."""
    try:
        pairs = parse_qsl(
            raw.decode("ascii", "surrogateescape"),
            keep_blank_values=True,
            errors="surrogateescape",
            max_num_fields=FIELDS_MAX,
        )
    except ValueError as error:
        raise PageFailure(400) from error
    found: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        found[name] = (*found.get(name, ()), value)
    return Fields(found)


def quoted(path: str) -> str:
    """`path` for an address, or for a form."""
    return quote(os.fsencode(path), safe="/")


def unquoted(words: str) -> str:
    """Return the path that a form carries as percent-encoded bytes; raise PageFailure when it is longer than any
    path."""
    return checked_path(os.fsdecode(unquote_to_bytes(os.fsencode(words))))


def checked_path(path: str) -> str:
    """`path`; raise PageFailure when it has more bytes than any path of a file."""
    if len(os.fsencode(path)) > PATH_MAX:
        raise PageFailure(400, "too-long")
    return path


def _at_most(value: str, most: int) -> str:
    if len(value) > most:
        raise PageFailure(400, "too-long")
    return value
