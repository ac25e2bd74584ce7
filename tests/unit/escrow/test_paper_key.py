"""The key as it is printed, typed, mistyped."""

from __future__ import annotations

import pytest

from appliance.errors import UsageError
from appliance.escrow import paper_key
from appliance.secret import Secret

# Made for this test; seals nothing.
TEXT = "AGE-SECRET-KEY-1KS62GLQJCHV3CX2DKJ9NU5DE49HYF2HVU38WY76N0WGYVVM00ZSSG0ADTT"
KEY = Secret(TEXT.encode())
LINES = ("AGE-SECRET-KEY-1", "KS62 GLQJ CHV3 CX2D", "KJ9N U5DE 49HY F2HV", "U38W Y76N 0WGY VVM0", "0ZSS G0AD TT")
START = len("AGE-SECRET-KEY-1")


def typed(text: str) -> Secret:
    return Secret(text.encode())


def changed(place: int, letter: str) -> str:
    """The key with another character at `place`, counted after the prefix."""
    return TEXT[: START + place] + letter + TEXT[START + place + 1 :]


def other_than(place: int) -> str:
    return "Q" if TEXT[START + place] != "Q" else "P"


def test_it_is_printed_in_numbered_lines_of_groups_of_four() -> None:
    assert paper_key.lines(KEY) == LINES


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        TEXT.lower(),
        "\n".join(LINES),
        "\r\n".join(LINES).lower(),
        " ".join(LINES[1:]),
        TEXT.replace("SECRET", "5ECR3T"),
        "-".join(LINES[1:]).replace(" ", "-"),
        f"# created: 2026-11-25T01:10:09Z\n# public key: age1xyz\n{TEXT}\n",
    ],
)
def test_spaces_case_line_breaks_and_the_prefix_do_not_matter(text: str) -> None:
    assert paper_key.read(typed(text)) == KEY


@pytest.mark.parametrize("place", range(paper_key.LENGTH))
def test_one_wrong_character_is_found_wherever_it_is(place: int) -> None:
    with pytest.raises(UsageError) as caught:
        paper_key.read(typed(changed(place, other_than(place))))
    line, group = place // 16 + 2, place % 16 // 4 + 1
    assert f"ligne {line}, groupe {group}" in str(caught.value)
    assert f"check line {line}, group {group}." in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param(changed(44, "O"), 'line 4, group 4: "O" is in no key; it may be 0', id="an O for a zero"),
        pytest.param(changed(5, "1"), 'line 2, group 2: "1" is in no key; it may be L', id="a 1 for an L"),
        pytest.param(changed(0, "é"), 'line 2, group 1: "É" is in no key.', id="an accent"),
        pytest.param(TEXT[:-1], "57 characters", id="the last one missing"),
        pytest.param(TEXT[: START + 20] + TEXT[START + 21 :], "one is missing at line 3, group 2", id="one missing"),
        pytest.param(TEXT[: START + 20] + "Q" + TEXT[START + 20 :], "too many at line 3, group 2", id="one too many"),
        pytest.param(" ".join(LINES[:4]), "48 characters", id="a line left out"),
        pytest.param("", "0 characters", id="nothing"),
        pytest.param(TEXT.replace("S", "5").replace("V", "U"), "More than two characters", id="many wrong"),
    ],
)
def test_what_else_is_mistyped_is_named(text: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        paper_key.read(typed(text))
    assert says.lower() in str(caught.value).lower()


def test_two_neighbours_that_changed_places_are_found() -> None:
    swapped = TEXT[: START + 30] + TEXT[START + 31] + TEXT[START + 30] + TEXT[START + 32 :]
    with pytest.raises(UsageError, match=r"check line 3, group 4\."):
        paper_key.read(typed(swapped))


def test_with_the_key_at_hand_every_wrong_group_is_named() -> None:
    text = TEXT
    for place in (0, 20, 40, 57):
        text = text[: START + place] + other_than(place) + text[START + place + 1 :]
    where = "line 2, group 1, line 3, group 2, line 4, group 3, line 5, group 3"
    with pytest.raises(UsageError, match=where):
        paper_key.read_against(typed(text), KEY)


def test_no_message_holds_a_group_of_the_key() -> None:
    groups = [group for line in LINES[1:] for group in line.split() if len(group) == 4]
    for text in (changed(3, "Q"), changed(3, "O"), TEXT[:-1], TEXT + "Q"):
        with pytest.raises(UsageError) as caught:
            paper_key.read(typed(text))
        assert not any(group in str(caught.value) for group in groups)


def test_the_numbers_at_the_left_are_named_as_such() -> None:
    numbered = "".join(f"{number}   {line}\n" for number, line in enumerate(LINES, start=1))
    for text in (numbered, numbered.split("\n", 1)[1]):
        with pytest.raises(UsageError, match="without the numbers at the left"):
            paper_key.read(typed(text))
        with pytest.raises(UsageError, match="without the numbers at the left"):
            paper_key.read_against(typed(text), KEY)
