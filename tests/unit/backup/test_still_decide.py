"""A run is still only where nothing, however small, says that a full run would save something else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.backup.still.decide import FULL_SECONDS_MAX, RACY_SECONDS, Full, Own, Peer, SayStill, decide
from appliance.backup.still.look import Look
from appliance.backup.still.note import NOTES, Note
from appliance.trust.generation import Entry, Header, make_header, read_header
from appliance.trust.keys import public_line

BEGUN, BOOT = 1_800_000_000.0, 5000.0
SAME = {"the source": "a", "the bundle": "b"}
TARGETS = ("commune-b", "hermitage")
QUARTER = 900.0


@cache
def header(epoch: int = 2, sequence: int = 7) -> Header:
    key = Ed25519PrivateKey.generate()
    raw = make_header(
        key,
        service="docs-a",
        epoch=epoch,
        sequence=sequence,
        previous="0" * 64,
        time="2027-01-15T08:00:00Z",
        listing=b"",
        entries=(Entry("config", "0" * 64, 1),),
    )
    return read_header(raw, public_line(key))


def note() -> Note:
    changed = int((BEGUN - RACY_SECONDS - 1) * 1e9)
    return Note(header().id.digest, "docs-a-2.7", 3, 100, dict(SAME), BEGUN, BOOT, changed)


def seen(passed: float = QUARTER) -> Look:
    return Look(SAME, BEGUN + passed, BOOT + passed, 0)


def own() -> Own:
    return Own(header(), 2)


def peers() -> dict[str, Peer]:
    return dict.fromkeys(TARGETS, Peer(takes=True, newest=header().id.digest, receipt=True))


def test_a_run_that_sees_what_the_one_before_saw_is_still() -> None:
    assert decide(note(), seen(), own(), TARGETS, peers()) == SayStill(header(), note())


def test_a_later_run_is_still_by_the_note_of_the_full_one() -> None:
    assert isinstance(decide(note(), seen(FULL_SECONDS_MAX), own(), TARGETS, peers()), SayStill)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda it: None, "the run before did not end"),
        (lambda it: replace(it, generation="f" * 64), "the newest generation is not of that run"),
        (lambda it: replace(it, same={**SAME, "the source": "x"}), "the source changed"),
        (lambda it: replace(it, same={**SAME, "the bundle": "x"}), "the bundle changed"),
        (lambda it: replace(it, same={"the source": "a"}), "another version"),
        (lambda it: replace(it, wall=it.wall + QUARTER + 1), "the clock went back"),
        (lambda it: replace(it, boottime=it.boottime + QUARTER + 1), "the clock went back"),
        (lambda it: replace(it, wall=it.wall - 61), "the clock was set"),
        (lambda it: replace(it, wall=it.wall - 86400, boottime=it.boottime - 86400), "saved 1 d 15 min ago"),
        (lambda it: replace(it, changed_ns=int((BEGUN - RACY_SECONDS + 1) * 1e9)), "a file had just changed"),
        (lambda it: replace(it, changed_ns=int((BEGUN + 1e6) * 1e9)), "a file had just changed"),
    ],
)
def test_each_doubt_about_the_run_before_makes_a_full_run(change: Callable[[Note], Note | None], reason: str) -> None:
    answer = decide(change(note()), seen(), own(), TARGETS, peers())
    assert isinstance(answer, Full)
    assert reason in answer.reason


@pytest.mark.parametrize(
    ("here", "reason"),
    [
        (Own(None, 2), "there is no generation"),
        (Own(header(), 3), "of another writer"),
        (Own(header(), 2, whole=False), "partial"),
        (Own(header(), 2, saving="docs-a-2.8"), "a run was cut"),
        (Own(header(), 2, shrunken="3 files"), "shrunk"),
    ],
)
def test_each_doubt_about_the_newest_generation_makes_a_full_run(here: Own, reason: str) -> None:
    answer = decide(note(), seen(), here, TARGETS, peers())
    assert isinstance(answer, Full)
    assert reason in answer.reason


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "hermitage does not answer"),
        (Peer(takes=False, newest=header().id.digest, receipt=True), "does not read"),
        (Peer(takes=True, newest="", receipt=True), r"does not hold generation 2.7"),
        (Peer(takes=True, newest=header(2, 8).id.digest, receipt=True), "does not hold generation 2.7"),
        (Peer(takes=True, newest=header().id.digest, receipt=False), "does not hold generation 2.7"),
    ],
)
def test_one_replica_node_in_doubt_makes_a_full_run(answer: Peer | None, reason: str) -> None:
    answered = {name: it for name, it in (peers() | {"hermitage": answer}).items() if it}
    found = decide(note(), seen(), own(), TARGETS, answered)
    assert isinstance(found, Full)
    assert reason in found.reason


def test_a_service_that_no_node_must_hold_is_never_still() -> None:
    assert decide(note(), seen(), own(), (), {}) == Full("no node must hold it")


def test_a_source_whose_times_say_too_little_is_never_still() -> None:
    found = decide(note(), replace(seen(), unfit="times on tmpfs do not tell each change"), own(), TARGETS, peers())
    assert found == Full("times on tmpfs do not tell each change")


def test_a_note_of_another_form_counts_as_none() -> None:
    assert NOTES.from_bytes(NOTES.to_bytes(note())) == note()
    with pytest.raises(ValueError, match="format"):
        NOTES.from_bytes(NOTES.to_bytes(note()).replace(b'"format": 1', b'"format": 2'))
