"""BIP 173's own examples, and the search for what was mistyped."""

from __future__ import annotations

import pytest

from appliance.escrow import bech32

# BIP 173, "Test vectors": valid checksums, human-readable part and data apart.
VALID = [
    ("a", "2uel5l"),
    ("an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio", "tt5tgs"),
    ("abcdef", "qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw"),
    ("split", "checkupstagehandshakeupstreamerranterredcaperred2y9e3w"),
    ("?", "ezyfcl"),
]
INVALID = [("a", "2uel5m"), ("split", "cheqkupstagehandshakeupstreamerranterredcaperred2y9e3w")]
PREFIX, DATA = VALID[3]


def values(data: str) -> list[int]:
    return [bech32.CHARSET.index(letter) for letter in data]


@pytest.mark.parametrize(("prefix", "data"), VALID)
def test_the_checksums_of_the_standard_hold(prefix: str, data: str) -> None:
    assert bech32.residue(prefix, values(data)) == 0
    assert bech32.wrong_places(prefix, values(data)) == ()


@pytest.mark.parametrize(("prefix", "data"), INVALID)
def test_a_wrong_checksum_does_not_hold(prefix: str, data: str) -> None:
    assert bech32.residue(prefix, values(data)) != 0


@pytest.mark.parametrize("place", range(len(DATA)))
def test_each_single_wrong_character_is_found(place: int) -> None:
    data = values(DATA)
    data[place] = (data[place] + 7) % 32
    assert bech32.wrong_places(PREFIX, data) == (place,)


@pytest.mark.parametrize("places", [(0, 1), (3, 40), (20, 21), (0, len(DATA) - 1), (50, 53)])
def test_two_wrong_characters_are_found(places: tuple[int, int]) -> None:
    data = values(DATA)
    for place in places:
        data[place] ^= 5 + place % 3
    assert bech32.wrong_places(PREFIX, data) == places


def test_many_wrong_characters_are_not_placed() -> None:
    assert bech32.wrong_places(PREFIX, [value ^ 1 for value in values(DATA)]) is None


@pytest.mark.parametrize("place", [0, 17, 52])
def test_a_missing_and_a_surplus_character_are_found(place: int) -> None:
    data = values(DATA)
    found = bech32.missing_place(PREFIX, data[:place] + data[place + 1 :])
    assert found is not None
    assert abs(found - place) <= 1  # of two equal neighbours either may be the missing one
    found = bech32.surplus_place(PREFIX, [*data[:place], 9, *data[place:]])
    assert found is not None
    assert abs(found - place) <= 1
