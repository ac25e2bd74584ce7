"""The words of a .docx or .odt as blocks; pure, from the bytes of the file.

Only headings, paragraphs and rows of tables are read: no picture, no field, no macro, no link. Python's XML reader
fetches nothing from outside and refuses entities that grow.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from appliance.restore.preview.model import BLOCKS_MAX, TEXT_LENGTH_MAX, Block

XML_BYTES_MAX = 24 * 1024 * 1024
_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_ODF = "{urn:oasis:names:tc:opendocument:xmlns:"
_TEXT, _TABLE, _DRAW = (f"{_ODF}{name}:1.0}}" for name in ("text", "table", "drawing"))
_PARAGRAPHS = (f"{_W}p", f"{_TEXT}p", f"{_TEXT}h")
_ROWS, _CELLS = (f"{_W}tr", f"{_TABLE}table-row"), (f"{_W}tc", f"{_TABLE}table-cell")
_BREAKS = {f"{_W}tab": "\t", f"{_W}br": "\n", f"{_W}cr": "\n", f"{_TEXT}tab": "\t", f"{_TEXT}line-break": "\n"}
_PARTS = ("word/document.xml", "content.xml")


class Unreadable(Exception):
    """It is no such document, or it is larger than a document is."""


def is_office(content: bytes) -> bool:
    """Whether `content` is a .docx or .odt."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as opened:
            names = set(opened.namelist())
            if "content.xml" in names:
                return b"opendocument.text" in opened.open("mimetype").read(100)
            return _PARTS[0] in names
    except (zipfile.BadZipFile, KeyError, ValueError, OSError, RuntimeError, NotImplementedError):
        return False


def read_blocks(content: bytes) -> tuple[tuple[Block, ...], bool]:
    """The blocks of the document, and whether it has more than are shown; raise Unreadable."""
    blocks: list[Block] = []
    length = 0
    try:
        for block in _blocks(_main_part(content)):
            length += len(block.text) + sum(map(len, block.cells))
            if len(blocks) == BLOCKS_MAX or length > TEXT_LENGTH_MAX:
                return tuple(blocks), True
            blocks.append(block)
    except (ElementTree.ParseError, zipfile.BadZipFile, ValueError, OSError, RuntimeError, EOFError) as error:
        raise Unreadable(str(error)) from error
    return tuple(blocks), False


def _main_part(content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        name = next(name for name in _PARTS if name in opened.namelist())
        with opened.open(name) as part:
            xml = part.read(XML_BYTES_MAX + 1)
    if len(xml) > XML_BYTES_MAX:
        raise ValueError("its text is larger than a document's")
    return xml


def _blocks(xml: bytes) -> Iterator[Block]:
    """Rows of tables as soon as they end; a table within a cell is words of that cell."""
    cells: list[list[str]] = []
    depth = 0
    for event, element in ElementTree.iterparse(io.BytesIO(xml), events=("start", "end")):
        if event == "start":
            if element.tag in _CELLS:
                depth += 1
                if depth == 1:
                    cells.append([])
        elif element.tag in _PARAGRAPHS:
            text = "".join(_words(element)).strip("\n")
            if depth:
                cells[-1].append(text)
            elif text.strip():
                yield Block(text, _level(element))
            element.clear()
        elif element.tag in _CELLS:
            depth -= 1
        elif element.tag in _ROWS and not depth:
            if any(any(texts) for texts in cells):
                yield Block(cells=tuple("\n".join(texts) for texts in cells))
            cells = []


def _words(paragraph: Element) -> Iterator[str]:
    """The text of a paragraph with its tabs and breaks; in a .docx only runs hold any, in an .odt every node."""
    plain = paragraph.tag.startswith(_TEXT)
    yield from _inside(paragraph, (lambda element: element.tag == f"{_W}t") if not plain else (lambda element: True))


def _inside(element: Element, speaks: Callable[[Element], bool]) -> Iterator[str]:
    if speaks(element):
        yield element.text or ""
    for child in element:
        if child.tag.startswith(_DRAW):
            pass  # a frame: its words are paragraphs of their own
        elif child.tag in _BREAKS:
            yield _BREAKS[child.tag]
        elif child.tag == f"{_TEXT}s":
            yield " " * min(int(child.get(f"{_TEXT}c", "1")), 100)
        elif child.tag != f"{_TEXT}note":
            yield from _inside(child, speaks)
        if speaks(element):
            yield child.tail or ""


def _level(paragraph: Element) -> int:
    style = paragraph.find(f"{_W}pPr/{_W}pStyle")
    name = style.get(f"{_W}val", "") if style is not None else ""
    named = name.removeprefix("Heading").removeprefix("Titre") if name.startswith(("Heading", "Titre")) else ""
    level = paragraph.get(f"{_TEXT}outline-level", "1") if paragraph.tag == f"{_TEXT}h" else named
    return min(int(level), 6) if level.isdigit() and len(level) < 3 else 0
