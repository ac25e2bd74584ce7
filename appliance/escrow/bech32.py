"""The checksum that an age key ends with: it holds or not, and one or two wrong characters can be found by it.

Source: BIP 173. Its code has distance 5 over our length, so at most two wrong characters are found without doubt. As
the BIP asks, we say where to look and never put the right character in ourselves: age decides whether a key is good.
"""

from __future__ import annotations

from collections.abc import Sequence

CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def residue(prefix: str, data: Sequence[int]) -> int:
    """0 when the checksum of `data` (5-bit values, checksum included) under the lower-case `prefix` holds."""
    state = 1
    for value in (*(ord(letter) >> 5 for letter in prefix), 0, *(ord(letter) & 31 for letter in prefix), *data):
        state = _step(state, value)
    return state ^ 1


def wrong_places(prefix: str, data: Sequence[int]) -> tuple[int, ...] | None:
    """The places in `data` of one or two wrong characters; () when the checksum holds, None when more are wrong."""
    target = residue(prefix, data)
    if target == 0:
        return ()
    effects = _effects(len(data))
    if target in effects:
        return (effects[target],)
    for effect, place in effects.items():
        other = effects.get(target ^ effect, place)
        if other != place:
            return tuple(sorted((place, other)))
    return None


def missing_place(prefix: str, data: Sequence[int]) -> int | None:
    """Where one character must be put in for the checksum to hold, if anywhere."""
    for place in range(len(data) + 1):
        if any(residue(prefix, (*data[:place], value, *data[place:])) == 0 for value in range(32)):
            return place
    return None


def surplus_place(prefix: str, data: Sequence[int]) -> int | None:
    """The place of a character without which the checksum holds, if any."""
    for place in range(len(data)):
        if residue(prefix, (*data[:place], *data[place + 1 :])) == 0:
            return place
    return None


def _effects(length: int) -> dict[int, int]:
    """The effect of each wrong character on the residue, with its place: the code is linear, so effects add up by
    XOR."""
    effects = {}
    for difference in range(1, 32):
        state = difference
        for place in reversed(range(length)):
            effects[state] = place
            state = _step(state, 0)
    return effects


def _step(state: int, value: int) -> int:
    top = state >> 25
    state = (state & 0x1FFFFFF) << 5 ^ value
    for bit, generator in enumerate(_GENERATOR):
        if top >> bit & 1:
            state ^= generator
    return state
