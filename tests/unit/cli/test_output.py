from __future__ import annotations

import pytest

from appliance.cli.output import emit, progress, table


def test_a_table_is_aligned_with_numbers_to_the_right() -> None:
    text = table(["state", "service", "copies"], [["safe", "écoles", 12], ["1 of 2", "état civil", 3]])
    assert text.splitlines() == [
        "state   service     copies",
        "safe    écoles          12",
        "1 of 2  état civil       3",
    ]


def test_an_empty_table_shows_its_headings() -> None:
    assert table(["state", "service"], []) == "state  service"


def test_the_result_alone_goes_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    emit({"copies": 2}, "two copies")
    assert capsys.readouterr() == ("two copies\n", "")


def test_values_that_cost_much_are_made_for_json_only(capsys: pytest.CaptureFixture[str]) -> None:
    def values() -> dict[str, object]:
        raise AssertionError("nobody asked for JSON")

    emit(values, "two copies")
    assert capsys.readouterr().out == "two copies\n"


def test_progress_off_a_terminal_is_a_line_now_and_then_and_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    times = iter([0.0, 10.0, 31.0, 40.0, 50.0])
    with progress("Sending", clock=lambda: next(times)) as advance:
        for done in (1, 2, 3, 4):
            advance(done, 4)
    assert capsys.readouterr() == ("", "Sending: 50 %\nSending: 100 %\n")


def test_progress_of_nothing_does_not_divide_by_it(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("Sending") as advance:
        advance(0, 0)
    assert capsys.readouterr().err == "Sending: 100 %\n"
