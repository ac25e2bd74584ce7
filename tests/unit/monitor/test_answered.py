"""A node's word about its own status is believed of itself alone, and printed as harmless text."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.cli.status.text import status_json
from appliance.errors import IntegrityError
from appliance.monitor.answered import NAME_MAX, TEXT_MAX, read_status
from tests.unit.monitor.status_cases import EVERY_CASE, judged

NODE: dict[str, Any] = {
    "subject": "commune-b",
    "role": "node",
    "state": "ok",
    "summary": "agent running",
    "reasons": [],
}
WORSE = {"state": "failed", "sentence": "the disk is full.", "remedy": "Free space.", "check": "disk"}


def answer(*judged: dict[str, Any], **changed: Any) -> bytes:
    return json.dumps({"schema": 1, "node": "commune-b", "state": "ok", "judged": judged or [NODE], **changed}).encode()


@pytest.mark.parametrize("case", EVERY_CASE)
def test_every_status_that_a_node_prints_comes_back_with_its_states_and_sentences(case: dict[str, Any]) -> None:
    said = judged(case)
    raw = json.dumps({"schema": 1, **status_json(said)}, ensure_ascii=False).encode()
    found = read_status(raw, said.node)
    assert found.state == said.state
    assert [(it.subject, it.role, it.state, it.summary) for it in found.judged] == [
        (it.subject, it.role, it.state, it.summary) for it in said.judged
    ]
    assert [[(it.state, it.check) for it in both.reasons] for both in found.judged] == [
        [(it.state, it.check) for it in both.reasons] for both in said.judged
    ]


@pytest.mark.parametrize(
    ("raw", "say"),
    [
        (b"", "not readable JSON"),
        (b"Welcome to commune-b\n", "not readable JSON"),
        (b'{"schema": 1, "node": NaN}', "not readable JSON"),
        (b'{"schema": 1, "node": "\\ud800"}', "not readable JSON"),
        (b"[" * 100_000, "not readable JSON"),
        (b"\xff\xfe", "not readable JSON"),
        (b"[]", "not the status of a node"),
        (b"{}", "not the status of a node"),
        (answer(schema=2), "another schema"),
        (answer(node="commune-a"), "identifies itself as commune-a"),
        (answer(node="a\x1b[2Jb"), r"identifies itself as a\x1b[2Jb"),
        (answer(node=["commune-b"]), "not the status of a node"),
        (answer(judged={}), "says nothing of the node itself"),
        (answer(judged=3), "not the status of a node"),
        (answer({**NODE, "subject": "commune-a"}), "says nothing of the node itself"),
        (answer(NODE, {**NODE, "subject": "commune-a"}), "says nothing of the node itself"),
        (answer({**NODE, "state": "fine"}), "not the status of a node"),
        (answer({**NODE, "state": "failed"}), "not the status of a node"),
        (answer({**NODE, "reasons": [WORSE]}), "not the status of a node"),
        (answer({**NODE, "state": "failed", "reasons": "failed"}), "not the status of a node"),
        (answer({**NODE, "summary": 5}), "not the status of a node"),
    ],
)
def test_anything_else_is_one_sentence(raw: bytes, say: str) -> None:
    with pytest.raises(IntegrityError) as told:
        read_status(raw, "commune-b")
    assert say in str(told.value)
    assert str(told.value).isprintable()


def test_its_state_is_that_of_its_worst_reason_and_not_what_it_claims() -> None:
    found = read_status(answer({**NODE, "state": "failed", "reasons": [WORSE]}, state="ok"), "commune-b")
    assert found.state == "failed"


def test_the_worst_comes_first_in_whatever_order_it_says_them() -> None:
    served = {**NODE, "subject": "docs-b", "role": "written", "state": "failed", "reasons": [WORSE]}
    assert [it.subject for it in read_status(answer(NODE, served), "commune-b").judged] == ["docs-b", "commune-b"]


def test_what_would_move_a_cursor_is_escaped_and_what_is_long_is_cut() -> None:
    reason = {**WORSE, "sentence": "\x1b]0;owned\x07\u202e\x9b2J" + "é" * TEXT_MAX}
    found = read_status(answer({**NODE, "summary": "a\nb\tc", "state": "failed", "reasons": [reason]}), "commune-b")
    assert found.judged[0].summary == r"a\nb\tc"
    sentence = found.judged[0].reasons[0].sentence
    assert sentence.startswith(r"\x1b]0;owned\x07\u202e\x9b2J")
    assert sentence.isprintable()
    assert sentence.endswith("...")
    assert len(sentence) < 2 * TEXT_MAX


def test_its_remedies_become_no_commands_for_programs() -> None:
    reason = {**WORSE, "remedy": "Type `appliance act sign lost commune-a`.", "next": [{"argv": ["rm"]}]}
    found = read_status(answer({**NODE, "state": "failed", "reasons": [reason]}), "commune-b")
    assert ["argv" in it for it in status_json(found)["judged"][0]["reasons"][0]["next"]] == [False]


def test_of_its_facts_only_whether_its_agent_runs_is_kept() -> None:
    facts = (
        read_status(answer({**NODE, "agent_running": False, "disk_free_bytes": 10**400}), "commune-b").judged[0].facts
    )
    assert facts == {"agent_running": False}
    assert read_status(answer({**NODE, "agent_running": "no"}), "commune-b").judged[0].facts == {}


def test_a_long_name_is_cut() -> None:
    served = {**NODE, "subject": "x" * (NAME_MAX + 1), "role": "written"}
    assert len(read_status(answer(NODE, served), "commune-b").judged[1].subject) == NAME_MAX + len("...")


SCRAP = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(["ok", "failed", "node", "commune-b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*NODE, *WORSE]), inner, max_size=6),
    max_leaves=12,
)


@given(st.lists(SCRAP, max_size=3))
def test_no_answer_makes_it_raise_anything_but_its_sentence(scraps: list[Any]) -> None:
    found = None
    with contextlib.suppress(IntegrityError):
        found = read_status(answer(judged=[*scraps, NODE]), "commune-b")
    assert found is None or "commune-b" in {it.subject for it in found.judged}
