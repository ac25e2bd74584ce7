"""The content of a preview. Never HTML of the document's: blocks of plain text, which a page writes as text.

On the wire (`worker`, `client`): a line of JSON with the question, then the file to its end; a line of JSON that
answers, then the bytes of the picture if there is one.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Literal, get_args

from appliance.errors import IntegrityError

FILE_BYTES_MAX = 50 * 1024 * 1024
ANSWER_BYTES_MAX = 16 * 1024 * 1024
TEXT_LENGTH_MAX = 500_000
BLOCKS_MAX = 5_000
PAGES_OF_TEXT_MAX = 50

Kind = Literal["page", "image", "text", "document", "none"]
"""A page of a PDF as a picture; a picture; plain text; headings, paragraphs and rows; or why there is none."""
Why = Literal["", "unknown", "broken", "locked", "too-large", "too-slow", "busy", "unavailable"]


@dataclass(frozen=True)
class Block:
    """One paragraph, a heading of `level` 1 to 6, or with `cells` a row of a table."""

    text: str = ""
    level: int = 0
    cells: tuple[str, ...] = ()


@dataclass(frozen=True)
class Asked:
    """`page`: of a PDF, from 1. `text`: its words rather than its looks, to compare versions."""

    page: int = 1
    text: bool = False


@dataclass(frozen=True)
class Preview:
    """`pages`: how many there are. `picture`: PNG or JPEG bytes, as `media_type` says. `cut`: there is more of it.

    `missing` are limits that the worker could not set on this machine: "files", or with "network" too it read nothing.
    """

    kind: Kind
    why: Why = ""
    pages: int = 0
    page: int = 0
    media_type: str = ""
    picture: bytes = b""
    text: str = ""
    blocks: tuple[Block, ...] = ()
    cut: bool = False
    missing: tuple[str, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """Its words, line by line."""
        if self.blocks:
            return tuple("\t".join(block.cells) if block.cells else block.text for block in self.blocks)
        return tuple(self.text.splitlines())


def to_wire(preview: Preview) -> bytes:
    fields = {**dataclasses.asdict(preview), "picture": len(preview.picture)}
    return json.dumps(fields).encode() + b"\n" + preview.picture


def from_wire(raw: bytes) -> Preview:
    """Raise IntegrityError for an invalid answer: a program that read a hostile file may have become hostile."""
    line, _, picture = raw.partition(b"\n")
    try:
        fields = json.loads(line)
        if fields.pop("picture") != len(picture) or fields["media_type"] not in ("", "image/png", "image/jpeg"):
            raise ValueError("the picture has an unexpected format")
        if fields["kind"] not in get_args(Kind) or fields["why"] not in get_args(Why):
            raise ValueError("its format is not known")
        blocks = tuple(
            Block(str(it["text"]), int(it["level"]), tuple(map(str, it["cells"]))) for it in fields.pop("blocks")
        )
        found = Preview(**fields, blocks=blocks, picture=picture)
        return dataclasses.replace(
            found, text=str(found.text), pages=int(found.pages), page=int(found.page), missing=tuple(found.missing)
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(f"the preview program gave an invalid answer: {error}.") from error
