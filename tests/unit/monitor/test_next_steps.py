"""The proposals of a reason, as data: our own commands alone, each with where it is typed and why; else what a person
does, or what to wait for."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import click
import pytest

from appliance.backup.vault.limits import RAISE_QUOTA
from appliance.cli.main import root
from appliance.monitor.checks import CHECKS
from appliance.monitor.next_steps import next_steps
from appliance.monitor.states import Reason, failed
from appliance.monitor.view import Attempt
from appliance.monitor.written import IS_COMING
from tests.unit.monitor.status_cases import CASES, judged

OF_MACHINES = {"disk-health", "keys", "letters", "lock", "lock-probe", "pages", "public-certificate", "voter"}
"""The checks that look at a machine: no row of the table has any of their reasons."""
NEVER_BAD = {"disk-theft", "time-source"}


def test_each_command_of_a_remedy_is_an_argv_with_its_place_and_its_question() -> None:
    remedy = (
        "Type `appliance backup begin docs-a --out docs-a.request`. The holder of the territory key types "
        "`appliance territory grant docs-a.request --bundle BUNDLE --key KEY --out docs-a.grant`."
    )
    begin, grant = next_steps(Reason("failed", "it has not begun.", remedy, "grant"))
    assert begin["argv"] == ["appliance", "backup", "begin", "docs-a", "--out", "docs-a.request"]
    assert (begin["where"], grant["where"]) == ("this node", "key holder")
    assert begin["why"] == "may this node write it"


def test_the_remedy_of_work_that_failed_at_a_peer_is_no_data() -> None:
    """A hostile peer may answer with a sentence and a remedy of its own."""
    attempt = Attempt(1.0, 0, failures=1, error="No.", remedy="`appliance node revoke a`")
    (step,) = next_steps(failed(attempt, "bringing it", "copies"))
    assert "argv" not in step
    assert str(step["wait"]).startswith("It is retried automatically")


def test_a_full_quota_at_a_peer_is_for_a_person_and_never_in_the_words_of_the_peer() -> None:
    attempt = Attempt(1.0, 0, failures=1, error=f"it is full. {RAISE_QUOTA} And `appliance node revoke a`.")
    (step,) = next_steps(failed(attempt, "bringing it", "copies"))
    assert (step["act"], step["where"]) == (RAISE_QUOTA, "this node")


def test_a_remedy_without_a_command_or_with_a_torn_one_is_what_a_person_does() -> None:
    for remedy in ("Set the clock: `timedatectl`.", "`appliance backup run 'docs`"):
        assert next_steps(Reason("warning", "it is so.", remedy, "clock")) == (
            {"act": remedy, "where": "this node", "why": "is the clock right"},
        )
    assert next_steps(Reason("unknown", "no such part.")) == ()


def test_a_remedy_that_repairs_itself_is_waited_for() -> None:
    (step,) = next_steps(Reason("warning", "it is on its way.", "Nothing to do yet.", "copies"))
    assert step["wait"] == "Nothing to do yet."


def test_a_look_that_only_a_person_ends_is_no_step() -> None:
    """An operator who obeys would look for ever."""
    (step,) = next_steps(Reason("warning", "its first backup is on its way.", IS_COMING, "safe"))
    assert step["wait"] == IS_COMING


def test_a_command_for_a_certain_case_says_in_which_and_is_not_the_only_proposal() -> None:
    remedy = "Nothing to do while b serves it. To take it back once b has stopped: `appliance backup run docs-a`."
    wait, taken = next_steps(Reason("warning", "b writes it.", remedy, "grant"))
    assert (wait["wait"], "argv" in wait) == (remedy, False)
    assert taken["when"] == "To take it back once b has stopped"
    first, second = next_steps(Reason("warning", "", "See `appliance status`. If it is: `appliance backup run x`.", ""))
    assert ("when" in first, second["when"]) == (False, "If it is")


def test_a_command_for_another_place_says_which() -> None:
    for told, where in (
        ("See `appliance status` at its origin.", "at its origin"),
        ("See `appliance status` there.", "there"),
        ("Type `ansible-playbook playbooks/site.yml`.", "control machine"),
        ("Sign `appliance act sign lost a`.", "operator"),
    ):
        assert [it["where"] for it in next_steps(Reason("warning", "so.", told, "held"))] == [where]


def steps_of(case: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return (step for it in judged(case).judged for reason in it.reasons for step in next_steps(reason))


def test_every_reason_proposes_something_that_holds_in_every_case() -> None:
    for reason in (reason for case in CASES for it in judged(case).judged for reason in it.reasons):
        assert any("when" not in step for step in next_steps(reason)), reason


COMMANDS = {tuple(it["argv"]) for case in CASES for it in steps_of(case) if "argv" in it}


@pytest.mark.parametrize("argv", sorted(it for it in COMMANDS if it[0] == "appliance"), ids=" ".join)
def test_every_proposed_command_has_all_that_it_needs(argv: tuple[str, ...]) -> None:
    """A proposal that the command line refuses leaves a person alone."""
    words, command = [filled(it) for it in argv[1:]], root
    context = click.Context(root, info_name="appliance")
    while isinstance(command, click.Group):
        name, found, words = command.resolve_command(context, words)
        assert found is not None
        command, context = found, click.Context(found, parent=context, info_name=name)
    command.make_context("it", words)


def filled(word: str) -> str:
    """A word in capitals as the person who types it fills it in."""
    return word.lower() if word.isupper() else word


def test_every_check_that_can_be_bad_is_in_the_table_and_so_proposes_something() -> None:
    shown = {reason.check for case in CASES for it in judged(case).judged for reason in it.reasons}
    assert set(CHECKS) - shown == OF_MACHINES | NEVER_BAD


def test_the_kinds_of_proposals_exclude_each_other() -> None:
    for step in itertools.chain.from_iterable(map(steps_of, CASES)):
        assert len({"argv", "act", "wait"} & step.keys()) == 1, step
