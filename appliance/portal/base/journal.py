"""The journal of the pages, by person: sign-ins, searches, visits, restores. It is a chain of lines, each with the hash
of the line before.

To change, remove or insert a line breaks the chain from there on. A journal that lost lines at its end, or that was
written again from its first line, shows against a head that somebody noted: each export names it.

A line is durable before its request is answered: no page is shown that the journal does not know.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from appliance.clock import Clock, utc_text
from appliance.errors import IntegrityError, UsageError
from appliance.host.files import locked, make_private_folder

NOTHING = "0" * 64
"""The hash that the first line names as the one before."""
_TAIL_BYTES = 64 * 1024
LINE_BYTES_MAX = 32 * 1024
_CHAIN_BYTES = 256
"""The length of the hash of the line before and the number of a part."""


@dataclass(frozen=True)
class Verified:
    """`head` is the hash of the last of `lines`; a person who notes it can tell later whether that line is still
    there."""

    lines: int
    head: str


class ChainedJournal:
    """The journal in the file `path`."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path = path
        self._clock = clock

    def write(self, event: str, **details: Any) -> None:
        """Append `event` durably. Several processes may: each waits for the one before.

        One that is too long for a line is told over several, each with its share of the longest list of `details`;
        raise UsageError when that does not help, for what cannot be written down is not done.
        """
        make_private_folder(self.path.parent)
        with (
            locked(self.path.with_suffix(".lock"), what="the journal of the pages", wait=True),
            open(self.path, "a+b", opener=_private) as file,
        ):
            _end_cut_line(file)
            entry = {"time": utc_text(self._clock.now()), "event": event, **details}
            file.write(b"".join(_chained(_short_enough(entry), _head(file))))
            file.flush()
            os.fsync(file.fileno())

    def entries(self) -> Iterator[dict[str, Any]]:
        """The events, oldest first, not verified."""
        for _, raw in _lines(self.path):
            yield json.loads(raw)

    def verify(self, head: str = "") -> Verified:
        """Follow the chain from its first line; raise IntegrityError at the first that does not follow.

        With `head`, also when no line has that hash: what was there when it was noted is not there any more.
        """
        previous, number = NOTHING, 0
        for number, raw in _lines(self.path):
            if _claimed(raw) != previous:
                raise IntegrityError(
                    "this line does not follow the one before: a line was changed, removed or inserted.",
                    where=f"{self.path}:{number}",
                    remedy="Keep the file unchanged, and compare it with an export or a backup.",
                )
            previous = hashlib.sha256(raw).hexdigest()
        if head:
            check_heads((self,), (head,))
        return Verified(number, previous)

    def has(self, head: str) -> bool:
        """Whether a line has that hash."""
        return any(hashlib.sha256(raw).hexdigest() == head for _, raw in _lines(self.path))


def check_heads(journals: Sequence[ChainedJournal], heads: Iterable[str]) -> None:
    """Raise IntegrityError for the first of `heads` that no line of any of `journals` has."""
    for head in heads:
        if not any(it.has(head) for it in journals):
            raise IntegrityError(
                f"no line has the hash {head}: the journal was cut or rewritten.",
                where=str(journals[0].path),
                remedy="Compare it with an export or a backup.",
            )


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _short_enough(entry: dict[str, Any]) -> list[dict[str, Any]]:
    if len(_line(entry)) <= LINE_BYTES_MAX - _CHAIN_BYTES:
        return [entry]
    lists = {key: it for key, it in entry.items() if isinstance(it, list | tuple) and len(it) > 1}
    if not lists:
        raise UsageError("this is too long for the journal.", remedy="Request less at once.")
    longest = max(lists, key=lambda key: len(_line(lists[key])))
    half = len(lists[longest]) // 2
    halves = lists[longest][:half], lists[longest][half:]
    return [part for it in halves for part in _short_enough({**entry, longest: it})]


def _chained(parts: Sequence[dict[str, Any]], previous: str) -> Iterator[bytes]:
    for number, part in enumerate(parts, start=1):
        which = {"part": number, "parts": len(parts)} if len(parts) > 1 else {}
        line = _line({**part, **which, "previous": previous})
        yield line
        previous = hashlib.sha256(line).hexdigest()


def _line(entry: object) -> bytes:
    # Only ASCII: a name that is no text stays what it is.
    return json.dumps(entry).encode() + b"\n"


def _end_cut_line(file: BinaryIO) -> None:
    """A power cut may leave half a line. It was answered to nobody, so it goes."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _TAIL_BYTES))
    tail = file.read()
    whole = tail.rfind(b"\n") + 1
    if whole != len(tail):
        file.truncate(size - len(tail) + whole)


def _head(file: BinaryIO) -> str:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _TAIL_BYTES))
    lines = file.read().splitlines(keepends=True)
    return hashlib.sha256(lines[-1]).hexdigest() if lines else NOTHING


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with open(path, "rb") as file:
            yield from enumerate(file, start=1)
    except FileNotFoundError:
        return


def _claimed(raw: bytes) -> str:
    try:
        return str(json.loads(raw)["previous"])
    except (ValueError, KeyError, TypeError):
        return ""
