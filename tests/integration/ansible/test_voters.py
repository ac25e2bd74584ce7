"""Which voters a play starts: one that remembers nothing never by itself, for it could promise a second time."""

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
SETTLES = "appliance --json --quiet voter settle"
WAITS = "does not vote before the other voters take it in: play site without --limit"
ANSWER = '{"changed": [], "removed": [], "added": []}'


@dataclass(frozen=True)
class Case:
    """A play for `limit`, where the voters in `remember` do, and what is done at each node in which order."""

    remember: tuple[str, ...]
    limit: str
    done: list[str]
    wait: tuple[str, ...] = ()
    wanted: tuple[str, ...] = ()
    leave: str = ""


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
]


@pytest.mark.parametrize("case", CASES)
def test_a_voter_without_memory_starts_when_the_others_know_of_it(
    case: Case, control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = control.folder
    for node in ("hermitage", *VOTERS):
        control.is_local(node)
        found = [f"/{node}/certificate"] if node in VOTERS else []
        found += [MEMORY] if node in case.remember else []
        found += [WANTED] if node in case.wanted else []
        (folder / f"found.{node}").write_text("".join(f"{it}\n" for it in found))
    for number in (1, 2, 3):
        control.change((f"10.77.{number}.10, port: 22,", f"10.77.{number}.10, port: 22, roles: [voter],"))
    control.program("find", f'cat "{folder}/found.$(echo "$1" | cut -d / -f 2)"')
    told = f'echo "$(basename "$0") $*" >>{folder}/done'
    control.program("systemctl", told)
    there = control.program("appliance", f"{told}\necho '{ANSWER}'")
    monkeypatch.setenv("PATH", f"{there}:{os.environ['PATH']}")
    (folder / "voters.yaml").write_text(PLAY)
    told_to = {
        "agent_due": [],
        "pki_given": {"changed": False},
        "coordination_certificate": "/{{ inventory_hostname }}/certificate",
        "coordination_unit": "{{ inventory_hostname }}",
        "coordination_memory": MEMORY,
        "coordination_wanted": WANTED,
        "coordination_joins": str(folder / "voter.joins"),
    }
    played = control.play(str(folder / "voters.yaml"), "--limit", case.limit, "-e", json.dumps(told_to))
    said = played.stdout.decode()
    assert played.exit_code == 0, said
    done = (folder / "done").read_text().splitlines() if (folder / "done").exists() else []
    starting = [it for it in done if it.startswith(STARTS)]
    assert [it for it in done if it not in starting] + sorted(starting) == case.done
    assert done[len(done) - len(starting) :] == starting, "nobody starts before all is settled"
    assert tuple(name for name in VOTERS if f"{name}: remembers nothing, and {WAITS}" in said) == case.wait
    assert ("[hermitage -> commune-a" in said) is any(it.startswith(SETTLES) for it in case.done)
    leave = (folder / "voter.joins").read_text() if (folder / "voter.joins").exists() else ""
    assert leave == (f"ETCD_INITIAL_CLUSTER_STATE={case.leave}\n" if case.leave else "")
