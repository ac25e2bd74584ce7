"""When a generation has lost most of a service, by the sizes that headers give."""

from __future__ import annotations

import pytest

from appliance.backup.chain.shrink_check import BackupSize, lost_most_of_its_size


def sized(number: int, size: int) -> BackupSize:
    return BackupSize(f"00002.{number:010d}.{'a' * 16}", size, 5, 0.0)


@pytest.mark.parametrize(
    ("before", "newest", "beside"),
    [
        pytest.param((), 10, None, id="the_first_one_has_lost_nothing"),
        pytest.param((100, 110), 120, None, id="a_service_that_grows"),
        pytest.param((100, 110), 55, None, id="half_is_not_less_than_half"),
        pytest.param((100, 110), 54, 2, id="less_than_half_of_the_one_before"),
        pytest.param((300, 110), 100, 1, id="a_larger_one_that_is_older_counts_too"),
        pytest.param((100, 110, 4, 4), 4, 2, id="small_ones_in_between_hide_nothing"),
        pytest.param((100, 0), 0, 1, id="nothing_is_less_than_half_of_anything"),
    ],
)
def test_the_newest_is_set_beside_the_newest_of_those_with_more_than_twice_as_much(
    before: tuple[int, ...], newest: int, beside: int | None
) -> None:
    known = [sized(number, size) for number, size in enumerate(before, start=1)]
    found = lost_most_of_its_size(sized(len(known) + 1, newest), known)
    assert found == (known[beside - 1] if beside else None)
