"""The page of each alert, read from where our package or the checkout has it, as blocks that a template can show.

The sentence of a reason and what to do first are the page's own first paragraph and its first step: a dashboard, a
message and the page never differ. The pages are French; `runbooks-en.json` has those two sentences of each in English.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import appliance
from appliance.portal.base.language import FRENCH

INSTALLED = Path("/usr/share/appliance/runbooks")
IN_A_CHECKOUT = Path(appliance.__file__).parents[1] / "docs/runbooks"
NAME = re.compile(r"[A-Z][a-z][A-Za-z0-9]{1,60}")
"""Not README."""
_MARKS = re.compile(r"`(?P<code>[^`]+)`|\*\*(?P<strong>[^*]+)\*\*|\[(?P<link>[^\]]+)\]\((?P<target>[^)\s]+)\)")
_ITEM = re.compile(r"(?:- |\d+\. )(.*)")


@dataclass(frozen=True)
class Piece:
    """A few words; `target` is the name of another page of ours, for a link."""

    kind: Literal["text", "code", "strong", "link"]
    text: str
    target: str = ""


type Line = tuple[Piece, ...]


@dataclass(frozen=True)
class Block:
    """One line for a heading and a paragraph, one for each item of a list."""

    kind: Literal["heading", "paragraph", "steps", "list"]
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Runbook:
    name: str
    blocks: tuple[Block, ...]

    @property
    def lead(self) -> Line:
        """The sentence on what is wrong."""
        return next((it.lines[0] for it in self.blocks if it.kind == "paragraph"), ())

    @property
    def first_step(self) -> Line:
        return next((it.lines[0] for it in self.blocks if it.kind == "steps"), ())


def runbook(name: str, folder: Path | None = None) -> Runbook | None:
    """The page of the alert `name`; None for one that has none."""
    folder = folder or (IN_A_CHECKOUT if IN_A_CHECKOUT.is_dir() else INSTALLED)
    return _runbook(name, folder) if NAME.fullmatch(name) else None


@cache
def _runbook(name: str, folder: Path) -> Runbook | None:
    try:
        return Runbook(name, tuple(parse((folder / f"{name}.md").read_text())))
    except FileNotFoundError:
        return None


def parse(text: str) -> Iterator[Block]:
    """The text after the title: blocks are parted by empty lines, and an indented line belongs to the line before."""
    for part in re.split(r"\n\s*\n", text.strip()):
        lines = re.sub(r"\n\s+", " ", part).splitlines()
        if lines[0].startswith("# "):
            continue
        if lines[0].startswith("## "):
            yield Block("heading", (pieces(lines[0].removeprefix("## ")),))
        elif items := [found[1] for line in lines if (found := _ITEM.fullmatch(line))]:
            yield Block("list" if lines[0].startswith("- ") else "steps", tuple(map(pieces, items)))
        else:
            yield Block("paragraph", (pieces(" ".join(lines)),))


def pieces(text: str) -> Line:
    return tuple(_pieces(text))


def _pieces(text: str) -> Iterator[Piece]:
    end = 0
    for found in _MARKS.finditer(text):
        if found.start() > end:
            yield Piece("text", text[end : found.start()])
        end = found.end()
        if found["code"]:
            yield Piece("code", found["code"])
        elif found["strong"]:
            yield Piece("strong", found["strong"])
        else:
            name = found["target"].removesuffix(".md")
            # Files beside other pages of the documentation are not on a node: the words stay, without a link.
            yield Piece("link", found["link"], name) if NAME.fullmatch(name) else Piece("text", found["link"])
    if end < len(text):
        yield Piece("text", text[end:])


def said_of(name: str, language: str) -> tuple[Line, Line]:
    """The sentences on what is wrong and what to do first, in `language`; nothing for an alert without a page."""
    if language != FRENCH and name in english():
        what, remedy = english()[name]
        return pieces(what), pieces(remedy)
    page = runbook(name)
    return (page.lead, page.first_step) if page else ((), ())


@cache
def english() -> dict[str, tuple[str, str]]:
    texts: dict[str, tuple[str, str]] = json.loads(Path(__file__).with_name("runbooks-en.json").read_text())
    return texts
