"""Photos and PDFs: real headers that a viewer opens, and content that weighs what it weighs in life."""

from __future__ import annotations

from appliance_lab.corpus.draw import Draw
from appliance_lab.corpus.words import SENTENCE_BYTES, sentences

_QUANTISATION = b"\xff\xdb\x00\x43\x00" + bytes([16] * 64)
_FRAME = b"\xff\xc0\x00\x0b\x08\x0b\xb8\x0f\xa0\x01\x01\x11\x00"  # 4000 by 3000, one component
# One DC and one AC code suffice for a reader to accept the tables.
_HUFFMAN = b"\xff\xc4\x00\x14\x00\x01" + bytes(15) + b"\x00" + b"\xff\xc4\x00\x14\x10\x01" + bytes(15) + b"\x00"
_SCAN = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00"
_JPEG_HEAD = (
    b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x48\x00\x48\x00\x00" + _QUANTISATION + _FRAME + _HUFFMAN + _SCAN
)
_JPEG_END = b"\xff\xd9"
JPEG_BYTES_MIN = len(_JPEG_HEAD) + len(_JPEG_END)


def jpeg(draw: Draw, size: int) -> bytes:
    """A photo of exactly `size` bytes, or JPEG_BYTES_MIN when that is more."""
    # 0xff would start a marker, so the picture's own data has none.
    picture = draw.bytes(max(0, size - JPEG_BYTES_MIN)).replace(b"\xff", b"\xfe")
    return _JPEG_HEAD + picture + _JPEG_END


def pdf(draw: Draw, about: int) -> bytes:
    """A page of text and a scan, about `about` bytes in all; half of the scan compresses, as a letter's does."""
    text = _page_text(draw, min(3000, about // 3))
    scan = _scan(draw, max(16, about - len(text) - 900))
    side = len(scan)
    return _assemble(
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R"
        b"/Resources<</Font<</F1 5 0 R>>/XObject<</Scan 6 0 R>>>>>>",
        _stream(b"", text),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
        _stream(b"/Type/XObject/Subtype/Image/Width %d/Height 1/ColorSpace/DeviceGray/BitsPerComponent 8" % side, scan),
    )


def _page_text(draw: Draw, about: int) -> bytes:
    lines = (draw.pick(sentences()) for _ in range(max(1, about // SENTENCE_BYTES)))
    shown = "".join(f"({line.replace('œ', 'oe')}) Tj T*\n" for line in lines)
    return b"BT /F1 9 Tf 40 800 Td 11 TL\n" + shown.encode("cp1252") + b"ET\n"


def _scan(draw: Draw, size: int) -> bytes:
    """Runs of white between runs of grain."""
    grain = draw.bytes((size + 1) // 2)
    return b"".join(grain[at : at + 256] + b"\xff" * 256 for at in range(0, len(grain), 256))[:size]


def _stream(dictionary: bytes, data: bytes) -> bytes:
    return b"<<%b/Length %d>>\nstream\n%b\nendstream" % (dictionary, len(data), data)


def _assemble(*objects: bytes) -> bytes:
    """Number the objects from 1 and add the table of their places that readers start from."""
    parts = [b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"]
    place = len(parts[0])
    table = b"0000000000 65535 f \n"
    for number, content in enumerate(objects, 1):
        table += b"%010d 00000 n \n" % place
        parts.append(b"%d 0 obj\n%b\nendobj\n" % (number, content))
        place += len(parts[-1])
    count = len(objects) + 1
    parts.append(
        b"xref\n0 %d\n%btrailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (count, table, count, place)
    )
    return b"".join(parts)
