"""Which voters a play starts: one that remembers nothing only by leave, for it could promise a second time."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

import pytest

from tests.integration.ansible.control import Control

PLAY = """
- hosts: nodes
  gather_facts: false
  roles: [coordination]
"""
VOTERS = ("commune-a", "commune-b", "commune-c")
MEMORY, WANTED = "/etcd/member/wal", "/wants/appliance-voter.service"
STARTS = "systemctl enable --now --no-block --no-reload "
STOPS = "systemctl disable --now --no-reload --no-warn "
SETTLES = "appliance --json --quiet internal voter sync-members"
WAITS = "does not vote before the other voters take it in: play site without --limit"
ANSWER = '{"changed": [], "removed": [], "added": [], "joins": "ETCD_INITIAL_CLUSTER_STATE=existing\\\\n"}'


@dataclass(frozen=True)
class Case:
    """A play for `limit`, where the voters in `remember` do, and what is done at each node in which order.

    Those in `let` have leave to begin from a play before, `given`; `leave` is what lies there at the end.
    """

    remember: tuple[str, ...]
    limit: str
    done: list[str]
    wait: tuple[str, ...] = ()
    wanted: tuple[str, ...] = ()
    leave: str = ""
    let: tuple[str, ...] = ()
    given: str = ""
    words_changed: bool = False
    uncertified: tuple[str, ...] = ()


def start(*names: str) -> list[str]:
    return [f"{STARTS}{name}" for name in names]


CASES = [
    pytest.param(Case((), "all", start(*VOTERS), leave="new"), id="all_begin_together"),
    pytest.param(Case(VOTERS, "commune-b", start("commune-b")), id="one_that_remembers_needs_nobody"),
    pytest.param(
        Case(("commune-a", "commune-c"), "commune-b", [], wait=("commune-b",)), id="one_that_remembers_nothing_alone"
    ),
    pytest.param(Case((), "commune-b,commune-c", [], wait=("commune-b", "commune-c")), id="new_ones_without_the_third"),
    pytest.param(
        Case(
            ("commune-a", "commune-c"),
            "all",
            [f"{STOPS}commune-b", f"{SETTLES} --empty=commune-b", *start(*VOTERS)],
            wanted=VOTERS,
            leave="existing",
        ),
        id="one_that_was_refused_is_taken_in_though_the_first_node_of_the_play_does_not_vote",
    ),
    pytest.param(
        Case(("commune-a", "commune-c"), "commune-b", [f"{STOPS}commune-b"], wait=("commune-b",), wanted=VOTERS),
        id="one_that_was_refused_stops_trying",
    ),
    pytest.param(
        Case(("commune-a",), "all", start(*VOTERS), wanted=VOTERS, let=VOTERS[1:], given="new", leave="new"),
        id="a_first_start_that_was_cut_goes_on_though_one_alone_can_settle_nothing",
    ),
    pytest.param(
        Case((), "all", start(*VOTERS), let=("commune-a",), given="new", leave="new"),
        id="a_first_start_that_was_cut_before_anybody_began_is_given_to_all",
    ),
    pytest.param(
        Case((), "commune-b", start("commune-b"), let=("commune-b",), given="new", leave="new"),
        id="one_that_has_leave_needs_nobody",
    ),
    pytest.param(
        Case(("commune-a", "commune-c"), "all", start(*VOTERS), let=("commune-b",), given="existing", leave="existing"),
        id="one_that_was_taken_in_is_not_taken_out_again_before_it_began",
    ),
    pytest.param(
        Case((), "all", start(*VOTERS), let=("commune-b",), given="existing", leave="new"),
        id="leave_to_join_those_who_remember_is_for_a_first_start_when_nobody_does",
    ),
    pytest.param(
        Case(
            ("commune-a", "commune-c"),
            "all",
            [f"{STOPS}commune-b", f"{SETTLES} --empty=commune-b", *start(*VOTERS)],
            wanted=VOTERS,
            let=("commune-b",),
            given="new",
            leave="existing",
            words_changed=True,
        ),
        id="leave_for_a_first_start_ends_when_others_vote",
    ),
    pytest.param(
        Case(VOTERS, "all", start(*VOTERS), let=("hermitage",), given="new"),
        id="one_that_does_not_vote_any_more_keeps_no_leave",
    ),
]


def votes(control: Control, monkeypatch: pytest.MonkeyPatch, waits: str = "") -> None:
    """Three voters that are this machine and remember what was agreed; the one named `waits` finds no majority."""
    for number, node in enumerate(VOTERS, 1):
        control.is_local(node)
        control.change((f"10.77.{number}.10, port: 22,", f"10.77.{number}.10, port: 22, roles: [voter],"))
    control.program("find", f'echo "/$(echo "$1" | cut -d / -f 2)/certificate\n{MEMORY}"')
    told = f'echo "$*" >>{control.folder}/done'
    control.program("systemctl", f"""{told}; case "$*" in *restart*"{waits or "nobody"}") sleep 60 ;; esac""")
    there = control.program("appliance", """echo '{"changed": ["served.json"], "removed": [], "added": []}'""")
    monkeypatch.setenv("PATH", f"{there}:{os.environ['PATH']}")


def played(control: Control, role: str, **words: object) -> str:
    (control.folder / "one.yaml").write_text(PLAY.replace("coordination", role))
    told_to = {"agent_due": [], "coordination_certificate": "/{{ inventory_hostname }}/certificate", **words}
    result = control.play(str(control.folder / "one.yaml"), "--limit", "voter", "-e", json.dumps(told_to))
    assert result.exit_code == 0, result.stdout.decode()
    return result.stdout.decode()


def done(control: Control, what: str) -> list[str]:
    return [it for it in (control.folder / "done").read_text().splitlines() if what in it]


@pytest.mark.parametrize("waits", ["", "commune-a"])
def test_a_new_certificate_is_shown_by_one_voter_after_the_other_and_none_is_waited_for_without_end(
    waits: str, control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    votes(control, monkeypatch, waits)
    settings = {"coordination_unit": "{{ inventory_hostname }}", "coordination_memory": MEMORY}
    known = {"coordination_joins": "/joins", "coordination_wanted": WANTED, "coordination_patience": "1s"}
    said = played(control, "coordination", pki_given={"changed": True}, **settings, **known)
    assert sorted(done(control, "try-restart")) == [f"try-restart {name}" for name in VOTERS]
    told = "votes with a new certificate, and no majority answered it in 1s"
    assert [name for name in VOTERS if f"{name}: {told}" in said] == ([waits] if waits else [])
    (control.folder / "done").write_text("")
    played(control, "coordination", pki_given={"changed": False}, **settings, **known)
    assert done(control, "try-restart") == []


@pytest.mark.parametrize("due", [["failover"], []])
def test_a_new_certificate_is_shown_by_what_follows_the_voters_whatever_else_changed(
    due: list[str], control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    votes(control, monkeypatch)
    found = {"coordination_found": ["/{{ inventory_hostname }}/certificate"], "coordination_votes": True}
    shows = "try-restart appliance-broker.service appliance-failover.service"
    played(control, "failover", pki_given={"changed": True}, agent_due=due, **found)
    assert done(control, "restart") == [shows] * len(VOTERS)
    (control.folder / "done").write_text("")
    played(control, "failover", pki_given={"changed": False}, agent_due=due, **found)
    assert done(control, "restart") == []


@pytest.mark.parametrize("case", CASES)
def test_a_voter_without_memory_starts_when_the_others_know_of_it(
    case: Case, control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, said = done_in(case, control, monkeypatch)
    starting = [it for it in done if it.startswith(STARTS)]
    assert [it for it in done if it not in starting] + sorted(starting) == case.done
    assert done[len(done) - len(starting) :] == starting, "nobody starts before all is settled"
    assert tuple(name for name in VOTERS if f"{name}: remembers nothing, and {WAITS}" in said) == case.wait
    assert ("[hermitage -> commune-a" in said) is any(it.startswith(SETTLES) for it in case.done)
    leave = control.folder / "voter.joins"
    left = leave.read_text() if leave.exists() else ""
    assert left == (f"ETCD_INITIAL_CLUSTER_STATE={case.leave}\n" if case.leave else "")


def test_two_voters_without_memory_are_let_in_one_after_the_other(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, _ = done_in(Case(("commune-a",), "all", [], words_changed=True), control, monkeypatch)
    first, second = f"{SETTLES} --empty=commune-b --empty=commune-c", f"{SETTLES} --empty=commune-c"
    assert done == [first, *start("commune-b"), second, *start("commune-c"), *start("commune-a")]


def test_a_new_voter_without_a_certificate_comes_after_those_that_have_one(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(("commune-a",), "all", [], words_changed=True, uncertified=("commune-b",))
    done, _ = done_in(case, control, monkeypatch)
    assert done == [f"{SETTLES} --empty=commune-c --empty=commune-b", *start("commune-c"), *start("commune-a")]


def done_in(case: Case, control: Control, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], str]:
    """The commands at the nodes in the play of `case`, in order, and what the play prints."""
    folder = control.folder
    leave = folder / "voter.joins"
    if case.given:
        leave.write_text(f"ETCD_INITIAL_CLUSTER_STATE={case.given}\n")
    for node in ("hermitage", *VOTERS):
        control.is_local(node)
        found = ["/certificate"] if node in VOTERS and node not in case.uncertified else []
        found += [MEMORY] if node in case.remember else []
        found += [WANTED] if node in case.wanted else []
        found += [str(leave)] if node in case.let else []
        (folder / f"found.{node}").write_text("".join(f"{it}\n" for it in found))
    for number in (1, 2, 3):
        control.change((f"10.77.{number}.10, port: 22,", f"10.77.{number}.10, port: 22, roles: [voter],"))
    control.program("find", f'cat "{folder}/found.$(basename "$5")"')
    told = f'echo "$(basename "$0") $*" >>{folder}/done'
    control.program("systemctl", told)
    applied = json.dumps({"changed": ["words"] if case.words_changed else []})
    answers = f"""case "$*" in *"internal node apply"*) echo '{applied}';; *) {told}; echo '{ANSWER}';; esac"""
    there = control.program("appliance", answers)
    monkeypatch.setenv("PATH", f"{there}:{os.environ['PATH']}")
    (folder / "voters.yaml").write_text(PLAY)
    told_to = {
        "agent_due": ["voter"] if case.words_changed else [],
        "pki_given": {"changed": False},
        "coordination_certificate": "/certificate",
        "failover_idle_links": ["/{{ inventory_hostname }}"],
        "coordination_unit": "{{ inventory_hostname }}",
        "coordination_memory": MEMORY,
        "coordination_wanted": WANTED,
        "coordination_joins": str(leave),
    }
    played = control.play(str(folder / "voters.yaml"), "--limit", case.limit, "-e", json.dumps(told_to))
    said = played.stdout.decode()
    assert played.exit_code == 0, said
    done = (folder / "done").read_text().splitlines() if (folder / "done").exists() else []
    return done, said
