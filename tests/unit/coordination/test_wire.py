"""The messages between a node and a broker, and the refusals on both sides."""

from __future__ import annotations

import inspect
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.coordination import wire
from appliance.coordination.port import (
    Alive,
    Coordination,
    Ended,
    Intent,
    LeaseHolder,
    Lost,
    Moved,
    NoLeader,
    Owner,
    ServiceRecord,
    Taken,
)
from appliance.errors import ApplianceError, Busy, Forbidden, IntegrityError, NotFound, Refused, Unreachable, UsageError
from appliance.voter.server import ARGUMENTS, caller_of
from tests.unit.coordination.claims import CLAIM, HOLDING

OWNER = Owner("commune-a", "crue annoncée", "2026-11-26T08:00:00Z", False, 42)
INTENT = Intent("docs-a", "move", "commune-b", "maintenance", "flood", 9, 60)
STATE = ServiceRecord("docs-a", 50, OWNER, LeaseHolder("commune-a", "boot-1", CLAIM.lease, 42), INTENT)
ANSWERS = [
    None,
    STATE,
    ServiceRecord("docs-a", 1),
    replace(HOLDING, sent=0.0),
    (Moved("commune-a", "flood", "2026-11-26T08:00:00Z", False, 42, 0),),
    (),
    (Alive("hermitage", "boot-1", 9, 60),),
    NoLeader("no majority"),
    Ended("watched"),
]


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: type(answer).__name__)
def test_an_answer_reads_back_as_it_was(answer: object) -> None:
    line = wire.write_answer(answer)
    assert line.count(b"\n") == 1
    assert wire.read_answer(line) == answer


@pytest.mark.parametrize("arguments", [{"claim": CLAIM}, {"report": INTENT}, {"seen": STATE}, {"service": "d", "n": 3}])
def test_a_call_reads_back_as_it_was(arguments: dict[str, Any]) -> None:
    call = wire.Call("acquire", arguments, 1.5)
    assert wire.read_call(wire.write_call(call)) == call


def test_no_moment_travels() -> None:
    """A broker's clock says nothing to a node: who renews dates the lease, from before it asked."""
    line = wire.write_answer(replace(HOLDING, sent=123.0))
    assert b"sent" not in line
    assert wire.read_answer(line).sent == 0.0


@pytest.mark.parametrize(
    "error",
    [
        kind("It is so.", remedy="Do that.")
        for kind in (Lost, Busy, Forbidden, Refused, UsageError, NotFound, IntegrityError, Unreachable, ApplianceError)
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_refusal_is_raised_as_it_was_meant(error: ApplianceError) -> None:
    with pytest.raises(type(error)) as refusal:
        wire.read_answer(wire.write_refusal(error))
    assert type(refusal.value) is type(error)
    assert (refusal.value.what, refusal.value.remedy) == (error.what, error.remedy)


@pytest.mark.parametrize(
    "line",
    [
        b'{"format":1,"answer":["a","\\ud800"]}\n',
        b'{"format":1,"answer":"\\uDFFF"}\n',
        b'{"format":1,"refused":"busy","what":"\\ud800","remedy":""}\n',
        b'{"format":1,"answer":"\xed\xa0\x80"}\n',
    ],
)
def test_half_a_character_is_refused_before_anything_is_written_by_it(line: bytes) -> None:
    with pytest.raises(IntegrityError, match="invalid JSON"):
        wire.read_answer(line)


def test_what_only_looks_like_half_a_character_is_text() -> None:
    for text in (r"C:\udocuments", "\N{GRINNING FACE}"):
        assert wire.read_answer(wire.write_answer(text)) == text
    assert wire.read_answer(b'{"format":1,"answer":"\\ud83d\\ude00"}\n') == "\N{GRINNING FACE}"


def test_who_finds_it_taken_learns_by_whom() -> None:
    with pytest.raises(Taken, match="is held") as refusal:
        wire.read_answer(wire.write_refusal(Taken("it is held.", STATE)))
    assert refusal.value.record == STATE


def test_an_error_of_another_kind_is_still_a_refusal() -> None:
    class Odd(ApplianceError): ...

    with pytest.raises(ApplianceError, match="odd"):
        wire.read_answer(wire.write_refusal(Odd("odd")))
    with pytest.raises(ApplianceError, match="new"):
        wire.read_answer(b'{"format":1,"refused":"of-tomorrow","what":"new"}\n')


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"format": 2}, Refused),
        ({"answer": {"is": "state"}}, IntegrityError),
        ({"answer": {"is": "elephant"}}, IntegrityError),
        ({"answer": {}}, IntegrityError),
        ({"answer": {"is": "ended", "why": 3}}, IntegrityError),
        ({"answer": {"is": "ended", "why": "", "more": ""}}, IntegrityError),
        ({"answer": {"is": "holder", "node": "a", "boot_id": "b", "lease": True, "revision": 1}}, IntegrityError),
        ({"refused": "taken", "state": 3}, IntegrityError),
    ],
)
def test_what_a_broker_should_not_send_is_refused(change: dict[str, Any], kind: type[ApplianceError]) -> None:
    with pytest.raises(kind):
        wire.read_answer(json.dumps({"format": 1, **change}).encode())


@given(st.binary(max_size=80) | st.just(b"[" * 100_000) | st.just(b'{"format":1}'))
def test_whatever_comes_is_no_call(line: bytes) -> None:
    with pytest.raises(ApplianceError):
        wire.read_call(line)


@pytest.mark.parametrize(
    "seconds",
    ["NaN", "Infinity", "-Infinity", "1e999", "-1", "true", '"1"', "null", pytest.param(400 * "1", id="400 digits")],
)
def test_a_call_that_may_take_a_time_that_is_none_is_refused(seconds: str) -> None:
    line = '{"format":1,"call":"alive","arguments":{},"seconds_max":%s}'
    assert wire.read_call((line % "1.5").encode()).seconds_max == 1.5
    with pytest.raises(IntegrityError, match=r"not a call|invalid JSON"):
        wire.read_call((line % seconds).encode())


def test_a_broker_takes_what_the_port_takes() -> None:
    methods = {name for name in vars(Coordination) if not name.startswith("_")}
    assert set(ARGUMENTS) == methods
    for name, expected in ARGUMENTS.items():
        assert {"self", *expected, "seconds_max"} == set(inspect.signature(getattr(Coordination, name)).parameters)


def test_a_caller_is_who_its_certificate_names() -> None:
    shown = {"subjectAltName": (("DNS", "commune-a.test.internal"),)}
    assert caller_of(shown, "test.internal") == "commune-a"
    for odd in (
        None,
        {},
        {"subjectAltName": (("DNS", "commune-a.other.internal"),)},
        {"subjectAltName": (("IP Address", "10.0.0.1"),)},
        {"subjectAltName": (("DNS", "a.test.internal"), ("DNS", "b.test.internal"))},
        {"subject": ((("commonName", "commune-a.test.internal"),),)},
    ):
        with pytest.raises(Forbidden, match="no certificate of a node"):
            caller_of(odd, "test.internal")
