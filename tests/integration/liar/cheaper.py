"""The same answers at less cost: what depends on nothing but its arguments is worked out once.

Of the CPU of a case, 40 % went into `pathlib`, which took the same few names apart again and again, and most of the
rest into small files, documents and lists that had been read before. No decision is remembered here.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from functools import lru_cache
from pathlib import Path, PurePath
from typing import Any

import pytest

from appliance.trust import generation, signed, sshsig

DOCUMENTS = 1 << 14
"""The documents of a few cases: later ones have keys, and so documents, of their own."""
NAMES = 1 << 15
SMALL_BYTES = 1 << 14


def make_cheaper(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(PurePath, "__truediv__", _joined)
    patch.setattr(Path, "read_bytes", _read_bytes)
    patch.setattr(sshsig, "verify", _verify)
    patch.setattr(signed, "parse", _parse)
    patch.setattr(generation, "_parse_entries", _parse_entries)


_FILES: dict[tuple[int, ...], bytes] = {}
_read = Path.read_bytes
_join = lru_cache(NAMES, typed=True)(PurePath.__truediv__)
_verify = lru_cache(DOCUMENTS)(sshsig.verify)
_parse_once = lru_cache(DOCUMENTS)(signed.parse)


def _joined(path: PurePath, name: Any) -> PurePath:
    return _join(path, name)


def _read_bytes(path: Path) -> bytes:
    """A small file is read once, until it is another one or was written to."""
    it = os.stat(path)
    state = it.st_dev, it.st_ino, it.st_size, it.st_mtime_ns, it.st_ctime_ns
    if it.st_size > SMALL_BYTES:
        return _read(path)
    if state not in _FILES:
        if len(_FILES) == NAMES:
            _FILES.clear()
        _FILES[state] = _read(path)
    return _FILES[state]


def _parse(line: bytes, type_: str, formats: Collection[int] = (signed.FORMAT,)) -> dict[str, Any]:
    return {**_parse_once(line, type_, tuple(formats))}


def _parse_entries(listing: bytes) -> Iterable[generation.Entry]:
    return _entries(listing)


@lru_cache(DOCUMENTS)
def _entries(listing: bytes, read: Any = generation._parse_entries) -> tuple[generation.Entry, ...]:
    return tuple(read(listing))
