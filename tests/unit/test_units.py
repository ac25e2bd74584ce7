from __future__ import annotations

import os
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import UsageError
from appliance.units import (
    DAY,
    GIB,
    MIB,
    as_typed,
    format_bytes,
    format_count,
    format_duration,
    parse_bytes,
    parse_duration,
    printable,
)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("4096", 4096),
        ("200M", 200 * MIB),
        ("200 MiB", 200 * MIB),
        ("200mb", 200 * MIB),
        ("1.5G", 3 * GIB // 2),
        (" 2 t ", 2048 * GIB),
    ],
)
def test_sizes_are_read_as_people_write_them(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "G", "-1G", "1,5G", "1.G", "1e3", "1 PB", "1 G G", "nan"])
def test_what_is_no_size_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match=r"is not a size\. Write a number"):
        parse_bytes(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("15s", 15), ("2 min", 120), ("2m", 120), ("1.5h", 5400), ("30d", 30 * DAY), ("2w", 14 * DAY)],
)
def test_durations_are_read_as_people_write_them(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "d", "-1d", "1,5h", "3 months", "1M", "5 days"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match=r"is not a duration\. Write a number"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1000 * 1024, "1000 KiB"),
        (1023 * MIB, "1023 MiB"),
        (1.21 * GIB, "1.21 GiB"),
        (123.4 * GIB, "123 GiB"),
        (5000 * 1024 * GIB, "5000 TiB"),
        (-1536, "-1.5 KiB"),
    ],
)
def test_sizes_are_told_with_three_digits_and_never_as_powers_of_ten(size: float, text: str) -> None:
    assert format_bytes(size) == text


@given(st.integers(0, 2**50))
def test_a_size_that_was_told_reads_back_to_within_half_a_percent(size: int) -> None:
    assert parse_bytes(format_bytes(size)) == pytest.approx(size, rel=0.005, abs=1)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (0.44, "0.4 s"),
        (59.7, "1 min"),
        (725, "12 min 5 s"),
        (3600, "1 h"),
        (3 * DAY + 4 * 3600 + 59, "3 d 4 h"),
    ],
)
def test_durations_are_told_by_their_two_largest_units(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "words", "said"),
    [
        (0, ("file",), "0 files"),
        (1, ("file",), "1 file"),
        (3, ("file",), "3 files"),
        (1, ("entry is", "entries are"), "1 entry is"),
        (2, ("entry is", "entries are"), "2 entries are"),
    ],
)
def test_one_thing_is_not_many(count: int, words: tuple[str, ...], said: str) -> None:
    assert format_count(count, *words) == said


@pytest.mark.parametrize("name", [b"b", b"two words", b"caf\xe9", b"it's \\ \xe9f", "été".encode(), b"a\x1b[1m\n"])
def test_bash_reads_any_word_as_it_is_typed(name: bytes) -> None:
    typed = as_typed("printf", "%s", os.fsdecode(name))
    assert typed.replace("\\", "").isprintable()
    assert subprocess.run(["bash", "-c", typed], capture_output=True, timeout=30, check=True).stdout == name


def test_a_name_is_printable_whatever_it_holds() -> None:
    assert printable("é\udcff\ud800\x1b") == "é\\xff\\ud800\\x1b"
