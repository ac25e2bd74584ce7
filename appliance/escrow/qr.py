"""A QR code as a grid of dark and light modules, and as text that a printer or a terminal can show."""

from __future__ import annotations

from itertools import zip_longest

import qrcode

Grid = tuple[tuple[bool, ...], ...]

QUIET_ZONE = 4  # light modules around it: what the standard asks for
_HALVES = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}


def grid(content: str) -> Grid:
    """Rows of modules, true for dark, quiet zone included; a quarter of the code may be soiled and it still reads."""
    code = qrcode.QRCode(error_correction=qrcode.ERROR_CORRECT_Q, border=QUIET_ZONE)
    code.add_data(content)
    return tuple(tuple(bool(module) for module in row) for row in code.get_matrix())


def text(rows: Grid) -> tuple[str, ...]:
    """Lines of half blocks, two rows a line, since a character is about twice as high as wide; ink is dark."""
    light = (False,) * len(rows[0])
    pairs = zip_longest(rows[::2], rows[1::2], fillvalue=light)
    return tuple("".join(_HALVES[pair] for pair in zip(upper, lower, strict=True)) for upper, lower in pairs)
