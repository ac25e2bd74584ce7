"""`appliance doctor`: every check with its answer, and for what is not well what to do and which page says more."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.cli.status.doctor import answers_of, doctor_text
from appliance.monitor.checks import CHECKS, runbook_of
from appliance.monitor.states import ORDER
from tests.unit.monitor.status_cases import judged

GIVEN = {"written": [{"sequence": 3, "sealed": "20m"}], "held": [{"damage": ["rotten ab"]}]}


def text(*, everything: bool) -> str:
    answers = sorted(answers_of(judged({"given": GIVEN})), key=lambda it: ORDER.index(it.state))
    return doctor_text(answers, everything=everything)


def test_what_is_not_well_comes_first_with_its_remedy_and_its_page() -> None:
    lines = text(everything=False).splitlines()
    assert lines[0] == "failed   docs-z  held for others: is the replica whole?"
    assert lines[1].strip().startswith("the replica is damaged (1): rotten ab. It is sent again")
    assert lines[2].strip() == "see docs/runbooks/CopieEndommagee.md"


def test_what_this_machine_lacks_is_told_as_unknown() -> None:
    assert "unknown  docs-z  held for others: is locked data protected from changes?" in text(everything=False)


@pytest.mark.parametrize("everything", [False, True])
def test_which_thief_its_disk_keeps_out_is_always_told_and_never_counts(everything: bool) -> None:
    lines = text(everything=everything).splitlines()
    at = lines.index("unknown  commune-a  this node: is its disk protected against theft?")
    assert (
        lines[at + 1]
        .strip()
        .endswith("treat what it could open as read: `appliance node revoke commune-a --reason WHY`.")
    )


@pytest.mark.parametrize("everything", [False, True])
def test_what_is_well_is_counted_and_named_only_when_asked(everything: bool) -> None:
    told = text(everything=everything)
    assert ("ok       docs-a  written here: was everything saved?" in told) is everything
    assert told.splitlines()[-1].endswith("checks are well.")


@pytest.mark.parametrize("name", CHECKS)
def test_each_check_has_its_page(name: str) -> None:
    assert (Path(__file__).parents[3] / runbook_of(name)).is_file()
