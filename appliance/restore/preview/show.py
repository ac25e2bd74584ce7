"""The choice of what to show of a file, by its content, whatever it is called. Runs inside the worker's limits."""

from __future__ import annotations

import io
import re
import warnings

from PIL import Image, ImageOps, UnidentifiedImageError

from appliance.host.command import CommandTimeout, Result, run
from appliance.restore.preview.model import (
    PAGES_OF_TEXT_MAX,
    TEXT_LENGTH_MAX,
    Asked,
    Preview,
)
from appliance.restore.preview.office import Unreadable, is_office, read_blocks

PIXELS_MAX = 60_000_000
SIDE_MAX = 1600
PROGRAM_SECONDS_MAX = 12.0
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP")


def show(content: bytes, asked: Asked) -> Preview:
    """The preview of `content`; kind "none" says why there is none."""
    try:
        if content.startswith(b"%PDF-") or b"%PDF-" in content[:1024]:
            return _pdf_text(content) if asked.text else _pdf_page(content, asked.page)
        if is_office(content):
            blocks, cut = read_blocks(content)
            return Preview("document", blocks=blocks, cut=cut)
        if (text := _as_text(content)) is not None:
            return Preview("text", text=text[:TEXT_LENGTH_MAX], cut=len(text) > TEXT_LENGTH_MAX)
        return _picture(content)
    except Unreadable:
        return Preview("none", "broken")
    except CommandTimeout:
        return Preview("none", "too-slow")
    except MemoryError:
        return Preview("none", "too-large")


def _pdf_page(content: bytes, page: int) -> Preview:
    told = _poppler(content, "pdfinfo", "-")
    found = re.search(rb"^Pages:\s+(\d+)$", told.stdout, re.MULTILINE)
    if told.exit_code != 0 or not found:
        return Preview("none", "locked" if b"password" in told.stderr.lower() else "broken")
    pages = int(found[1])
    page = min(max(page, 1), max(pages, 1))
    words = ("-png", "-singlefile", "-f", str(page), "-scale-to", str(SIDE_MAX), "-")
    made = _poppler(content, "pdftoppm", *words)
    if made.exit_code != 0 or not made.stdout.startswith(b"\x89PNG"):
        return Preview("none", "broken")
    return Preview("page", pages=pages, page=page, media_type="image/png", picture=made.stdout)


def _pdf_text(content: bytes) -> Preview:
    made = _poppler(content, "pdftotext", "-layout", "-enc", "UTF-8", "-l", str(PAGES_OF_TEXT_MAX), "-", "-")
    if made.exit_code != 0:
        return Preview("none", "locked" if b"password" in made.stderr.lower() else "broken")
    text = made.stdout.decode(errors="replace")
    return Preview("text", text=text[:TEXT_LENGTH_MAX], cut=len(text) > TEXT_LENGTH_MAX)


def _poppler(content: bytes, *words: str) -> Result:
    return run(words, timeout_seconds=PROGRAM_SECONDS_MAX, stdin=content)


def _as_text(content: bytes) -> str | None:
    """As its first bytes say, else UTF-8, else what Windows wrote in France; None for what is no text."""
    for mark, encoding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if content.startswith(mark):
            return _decoded(content, encoding)
    if b"\0" in content or _is_mostly_control(content[:4096]):
        return None
    text = _decoded(content, "utf-8-sig")
    return _decoded(content, "cp1252") if text is None and not _is_picture(content) else text


def _decoded(content: bytes, encoding: str) -> str | None:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        return None


def _is_mostly_control(start: bytes) -> bool:
    control = sum(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in start)
    return control * 20 > len(start)


def _is_picture(content: bytes) -> bool:
    return content.startswith((b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"RIFF"))


def _picture(content: bytes) -> Preview:
    """Drawn again from its pixels alone: what else a picture file carries, places and programs, stays behind."""
    Image.MAX_IMAGE_PIXELS = PIXELS_MAX
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=FORMATS) as opened:
                return _drawn(opened)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        return Preview("none", "too-large")
    except UnidentifiedImageError:
        return Preview("none", "unknown")
    except (OSError, ValueError, SyntaxError, EOFError, TypeError, AttributeError, IndexError, KeyError):
        return Preview("none", "broken")  # what Pillow raises for a broken file depends on the format


def _drawn(opened: Image.Image) -> Preview:
    opened.draft("RGB", (SIDE_MAX, SIDE_MAX))
    ImageOps.exif_transpose(opened, in_place=True)
    opened.thumbnail((SIDE_MAX, SIDE_MAX))
    clear = opened.has_transparency_data
    sink = io.BytesIO()
    opened.convert("RGBA" if clear else "RGB").save(sink, "PNG" if clear else "JPEG", quality=85)
    return Preview("image", media_type="image/png" if clear else "image/jpeg", picture=sink.getvalue())
