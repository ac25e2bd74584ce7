"""However often somebody asks, few lines are written, and each says for how many it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.host.journal_limit import Counted, OncePerMinute, count, say_limited


def test_who_is_slowed_a_thousand_times_is_two_lines_in_two_minutes() -> None:
    slowed = OncePerMinute()
    told = [slowed.tries(now=number / 10) for number in range(1000)]
    assert [it for it in told if it] == [1, 600]


def test_what_was_not_said_is_counted_in_what_is() -> None:
    said: list[str] = []
    limit = OncePerMinute()
    for now in (0.0, 1.0, 2.0, 60.0):
        say_limited(said.append, limit, "a line", now)
    assert said == ["a line", "a line (3 times since the last such line)"]


@pytest.mark.parametrize(
    ("at", "tries"),
    [
        pytest.param([0, 1, 2, 3], [1, 1, 0, 0], id="two a minute"),
        pytest.param([0, 1, 2, 3, 60, 61], [1, 1, 0, 0, 3, 1], id="the rest with the next minute"),
        pytest.param([100, 101, 102, 5], [1, 1, 0, 2], id="a clock that began again"),
    ],
)
def test_processes_that_share_a_file_write_few_lines(tmp_path: Path, at: list[float], tries: list[int]) -> None:
    assert [count(tmp_path / "of", now, 2) for now in at] == tries


@pytest.mark.parametrize("content", ["", "[]", "{}", "[1]", '["x", 0, 0]'])
def test_a_count_that_cannot_be_read_begins_again(tmp_path: Path, content: str) -> None:
    (tmp_path / "of").write_text(content)
    assert count(tmp_path / "of", 5.0, 2) == 1


def test_where_nothing_can_be_counted_the_line_is_written(tmp_path: Path) -> None:
    (tmp_path / "of").mkdir()
    assert count(tmp_path / "of", 5.0, 2) == 1


def test_what_was_told_is_told_once() -> None:
    counted, _ = Counted(0.0, 2, 7).one_more(60.0, 2)
    assert counted == Counted(60.0, 1, 0)
