"""A small business application's SQLite file."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from appliance_lab.corpus.draw import Draw
from appliance_lab.corpus.words import SENTENCE_BYTES, person, prose

_ROW_BYTES = SENTENCE_BYTES + 36
_WRITER_VERSION = slice(96, 100)  # of the file's header; no reader needs it


def sqlite(draw: Draw, about: int) -> bytes:
    """A database of about `about` bytes, at least three pages."""
    sentences = prose(draw, about)[: max(1, about // _ROW_BYTES)]
    with closing(sqlite3.connect(":memory:")) as base:
        base.execute("CREATE TABLE courrier (id INTEGER PRIMARY KEY, arrivee TEXT, expediteur TEXT, objet TEXT)")
        rows = (
            (f"20{draw.between(15, 24)}-{draw.between(1, 12):02d}-01", person(draw), sentence) for sentence in sentences
        )
        base.executemany("INSERT INTO courrier (arrivee, expediteur, objet) VALUES (?, ?, ?)", rows)
        base.commit()
        content = bytearray(base.serialize())
    # Otherwise the same corpus would differ between two versions of SQLite.
    content[_WRITER_VERSION] = bytes(4)
    return bytes(content)
