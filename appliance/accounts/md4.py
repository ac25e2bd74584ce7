"""MD4 (RFC 1320), which Samba's form of a password is made with and OpenSSL no longer has. It protects nothing here."""

from __future__ import annotations

import struct

_WORD = 0xFFFFFFFF
_BLOCK = 64
_START = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476)
# Each round: the constant added, the order in which words are taken, the four rotations.
_ROUNDS = (
    (0x00000000, tuple(range(16)), (3, 7, 11, 19)),
    (0x5A827999, (0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), (3, 5, 9, 13)),
    (0x6ED9EBA1, (0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15), (3, 9, 11, 15)),
)


def md4(data: bytes) -> bytes:
    """The 16 bytes of MD4 over `data`."""
    padding = b"\x80" + bytes(-(len(data) + 9) % _BLOCK)
    padded = data + padding + struct.pack("<Q", 8 * len(data))
    state: tuple[int, ...] = _START
    for offset in range(0, len(padded), _BLOCK):
        state = _mixed(state, struct.unpack_from("<16I", padded, offset))
    return struct.pack("<4I", *state)


def _mixed(state: tuple[int, ...], words: tuple[int, ...]) -> tuple[int, ...]:
    a, b, c, d = state
    for number, (constant, order, rotations) in enumerate(_ROUNDS):
        for step, index in enumerate(order):
            total = a + _picked(number, b, c, d) + words[index] + constant & _WORD
            turn = rotations[step % 4]
            a, b, c, d = d, (total << turn | total >> 32 - turn) & _WORD, b, c
    return tuple(old + new & _WORD for old, new in zip(state, (a, b, c, d), strict=True))


def _picked(number: int, b: int, c: int, d: int) -> int:
    """The function of each round: choice, majority, parity."""
    if number == 0:
        return b & c | ~b & d
    return b & c | b & d | c & d if number == 1 else b ^ c ^ d
