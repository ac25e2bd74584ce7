"""No counter outside the range of the present grant is ever used."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.borg.model import Repository
from appliance.borg.nonce import (
    INDEX_MAX,
    NONCE_RANGE,
    NONCE_RESERVE,
    check_nonce,
    floor_of,
    next_nonce,
    read_nonce,
    write_nonce,
)
from appliance.errors import IntegrityError, Refused


def test_the_ranges_of_grants_touch_and_never_overlap() -> None:
    assert floor_of(0) == 0
    assert floor_of(7) + NONCE_RANGE == floor_of(8)
    assert floor_of(INDEX_MAX) + NONCE_RANGE == 2**64


@pytest.mark.parametrize("index", [-1, INDEX_MAX + 1])
def test_an_index_outside_the_counters_is_refused(index: int) -> None:
    with pytest.raises(Refused):
        floor_of(index)


FLOOR = floor_of(4)
CASES = [
    (FLOOR, True),
    (FLOOR + NONCE_RANGE - NONCE_RESERVE, True),
    (FLOOR + NONCE_RANGE - NONCE_RESERVE + 1, False),
    (FLOOR + NONCE_RANGE, False),
    (FLOOR - 1, False),
    (floor_of(5), False),
    (0, False),
    (None, False),
]


@pytest.mark.parametrize(("value", "allowed"), CASES)
def test_a_run_is_refused_unless_its_counters_lie_in_its_grant(value: int | None, allowed: bool) -> None:
    if allowed:
        check_nonce(value, 4)
    else:
        with pytest.raises(Refused):
            check_nonce(value, 4)


def test_the_file_holds_sixteen_digits(tmp_path: Path) -> None:
    assert read_nonce(tmp_path) is None
    write_nonce(tmp_path, FLOOR)
    assert (tmp_path / "nonce").read_text() == "0004000000000000"
    assert read_nonce(tmp_path) == FLOOR


def test_a_counter_is_never_lowered(tmp_path: Path) -> None:
    write_nonce(tmp_path, FLOOR)
    with pytest.raises(Refused, match="go back"):
        write_nonce(tmp_path, FLOOR - 1)
    assert read_nonce(tmp_path) == FLOOR


@pytest.mark.parametrize("text", ["", "12", "000400000000000g", "00040000000000001"])
def test_a_damaged_file_is_an_error_and_never_a_zero(tmp_path: Path, text: str) -> None:
    (tmp_path / "nonce").write_text(text)
    with pytest.raises(IntegrityError, match="damaged"):
        read_nonce(tmp_path)


def test_the_next_counter_is_the_highest_of_both_files(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "r", tmp_path / "base")
    security = repository.base / ".config/borg/security/00ff"
    security.mkdir(parents=True)
    repository.path.mkdir()
    assert next_nonce(repository) is None
    write_nonce(repository.path, 5)
    (security / "nonce").write_text(f"{9:016x}")
    assert next_nonce(repository) == 9
