"""How a node is judged: the table tests/cases/monitor/status.yml, and what holds for every row."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from typing import Any

import pytest

from appliance.cli.status.text import EXIT_CODES, status_json, status_text
from appliance.monitor.measures import state_of
from appliance.monitor.next_steps import next_steps
from appliance.monitor.states import ORDER, Judged
from appliance.monitor.status import Status
from appliance.units import KIB, MIB
from tests.unit.monitor.status_cases import EVERY_CASE, ROOT, judged


def found(status: Status, what: str) -> Judged:
    (one,) = [it for it in status.judged if f"{it.role} {it.subject}" == what]
    return one


@pytest.mark.parametrize("case", EVERY_CASE)
def test_status_judges(case: dict[str, Any]) -> None:
    status = judged(case)
    it = found(status, case["of"])
    assert it.state == case["state"], it
    told = " ".join((it.summary, *(f"{reason.sentence} {reason.remedy}" for reason in it.reasons)))
    for piece in case.get("says", ()):
        assert piece in told
    made = case.get("checks", {})
    assert {check: state_of(it, check)[0] for check in made} == made
    assert set(made) <= set(it.checks)
    assert status.state == min((one.state for one in status.judged), key=ORDER.index)
    assert [it for it in case.get("lacks", ()) if it in told] == []


@pytest.mark.parametrize("case", EVERY_CASE)
def test_what_is_not_ok_has_a_reason_and_both_prints_show_it(case: dict[str, Any]) -> None:
    status = judged(case)
    text, values = status_text(status), json.loads(json.dumps(status_json(status)))
    assert values["state"] == status.state
    for it, plain in zip(status.judged, values["judged"], strict=True):
        assert bool(it.reasons) == (it.state != "ok")
        assert plain["state"] == it.state
        for reason in it.reasons:
            assert reason.sentence in text
            assert reason.sentence.endswith((".", "again: mass deletion")), reason.sentence


def test_the_worst_comes_first() -> None:
    given = {"written": [{"sequence": 3, "sealed": "20m"}], "held": [{"damage": ["rotten ab"]}, {"service": "docs-y"}]}
    status = judged({"given": given})
    assert [it.state for it in status.judged] == ["failed", "ok", "ok", "ok"]
    assert status.judged[0].subject == "docs-z"
    assert status_text(status).startswith("failed   docs-z")


def test_repositories_that_moves_put_aside_are_counted_and_named() -> None:
    given = {"written": [{"sequence": 3, "sealed": "20m", "put_aside": ["replaced-5", "replaced-7"]}]}
    status = judged({"given": given})
    assert "2 put aside by moves, each of the size of the service: replaced-5, replaced-7" in status_text(status)
    told = [it["put_aside"] for it in status_json(status)["judged"] if "put_aside" in it]
    assert told == [["replaced-5", "replaced-7"]]


def test_trees_that_moves_put_aside_are_counted_and_what_was_never_saved_is_a_warning() -> None:
    saved = {"folder": "/srv/shares/.replaced/docs-a.1", "files": 9, "bytes": 3 * MIB}
    lost = {"folder": "/srv/shares/.replaced/docs-a", "files": 2, "bytes": MIB, "unsaved": 1, "unsaved_bytes": KIB}
    given = {"written": [{"sequence": 3, "sealed": "20m", "trees": [{**lost, "first": "a\nb.odt"}, saved]}]}
    text = status_text(judged({"given": given}))
    assert "files that moves put aside, 4 MiB: /srv/shares/.replaced/docs-a, /srv/shares/.replaced/docs-a.1" in text
    assert (
        "warning: a move put aside 1 file (1 KiB) of which no backup or branch is known, such as a\\nb.odt. "
        "It stays in /srv/shares/.replaced/docs-a. Copy what is needed into the service; then, as root: "
        "`rm -r /srv/shares/.replaced/docs-a`." in text
    )
    given = {"written": [{"sequence": 3, "sealed": "20m", "trees": [saved]}]}
    assert judged({"given": given}).state == "ok"


def test_names_with_line_ends_and_broken_bytes_stay_on_one_line() -> None:
    given = {
        "written": [{"sequence": 3, "sealed": "20m"}],
        "attempts": {"backup docs-a": {"ok": "20m", "left_out": [["/srv/a\nb\udcff", "may not be read"]]}},
    }
    text = status_text(judged({"given": given}))
    assert "/srv/a\\nb\\xff" in text
    text.encode()


@pytest.mark.parametrize(
    ("reason", "typed"),
    [
        ("file changed while we backed it up", ["appliance", "backup", "run", "docs-a"]),
        ("open: [Errno 13] Permission denied", ["appliance", "backup", "confirm", "docs-a", "--left-out", "/srv/a"]),
    ],
)
def test_only_a_file_that_can_never_be_read_is_accepted_for_ever(reason: str, typed: list[str]) -> None:
    given = {
        "written": [{"sequence": 3, "sealed": "20m"}],
        "attempts": {"backup docs-a": {"ok": "20m", "left_out": [["/srv/a", reason]]}},
    }
    reasons = [it for judged_ in judged({"given": given}).judged for it in judged_.reasons]
    steps = [step for it in reasons for step in next_steps(it)]
    assert [it["argv"] for it in steps if "argv" in it] == [typed]


@pytest.mark.parametrize("case", EVERY_CASE)
def test_every_reason_says_what_to_do(case: dict[str, Any]) -> None:
    assert [reason for it in judged(case).judged for reason in it.reasons if not reason.remedy] == []


def test_no_reason_can_be_given_without_a_remedy() -> None:
    calls = [
        (file, node)
        for file in (
            path for room in ("monitor", "agent", "voter", "failover") for path in ROOT.glob(f"appliance/{room}/*.py")
        )
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Reason"
    ]
    given = {(file.name, node.lineno): len(node.args) > 2 for file, node in calls}
    lacking = {where for where, has in given.items() if not has}
    of_what_it_lacks = {"failover.py", "credentials.py"}
    assert {name for name, _ in lacking} <= of_what_it_lacks
    assert len(lacking) == 3


def test_judging_is_pure_and_loads_neither_keys_nor_borg() -> None:
    heavy = ("cryptography", "appliance.borg", "appliance.trust", "subprocess")
    code = f"import sys, appliance.monitor.measures; print(*(it for it in sys.modules if it.startswith({heavy})))"
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert told.stdout.split() == []


def test_every_state_has_an_exit_code_and_only_ok_ends_with_0() -> None:
    assert set(EXIT_CODES) == set(ORDER)
    assert [state for state, code in EXIT_CODES.items() if code == 0] == ["ok"]
