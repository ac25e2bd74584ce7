"""A time counts once as many replica nodes signed for it as make a generation safe; one of them makes nothing fresh."""

from __future__ import annotations

import json

import pytest

from appliance.backup.still.words import Signed, Word, as_of, read_signed, read_word
from appliance.clock import SKEW_SECONDS_MAX, utc_seconds
from appliance.trust.bundle import Member
from appliance.trust.generation import Entry, GenerationId, Header, make_header, read_header
from appliance.trust.keys import public_line
from appliance.trust.still.receipt import make_still_receipt
from appliance.trust.still.statement import BYTES_MAX, make_still, read_still
from tests.worlds.documents import HOLDER, HOME, LOCAL, STANDBY
from tests.worlds.voters import KEYS

NOW = 1_800_000_000.0
GENERATION = GenerationId(2, 7, "a" * 64)
TIME = "2027-01-15T08:00:00Z"


def word(holder: str, time: float, generation: GenerationId = GENERATION) -> Word:
    return Word(holder, generation, time, time, 1)


def told(*words: Word, lost: tuple[str, ...] = (), now: float = NOW) -> float:
    return as_of(LOCAL, "docs-a", HOME, GENERATION, words, lost, now)


def test_the_time_that_enough_replica_nodes_took_counts() -> None:
    assert told(word(STANDBY, NOW - 60), word(HOLDER, NOW - 900)) == NOW - 900


@pytest.mark.parametrize(
    "words",
    [
        (),
        (word(STANDBY, NOW),),
        (word(STANDBY, NOW), word(STANDBY, NOW - 60)),
        (word(STANDBY, NOW), word(HOME, NOW)),
        (word(STANDBY, NOW), word(HOLDER, NOW, GenerationId(2, 7, "b" * 64))),
        (word(STANDBY, NOW), word(HOLDER, NOW + SKEW_SECONDS_MAX + 1)),
    ],
    ids=["none", "one", "one twice", "the writer", "another generation", "the future"],
)
def test_one_replica_node_makes_nothing_fresh(words: tuple[Word, ...]) -> None:
    assert told(*words) == 0.0


def test_the_word_of_a_lost_replica_node_counts_for_nothing() -> None:
    assert told(word(STANDBY, NOW), word(HOLDER, NOW), lost=(HOLDER,)) == 0.0


def test_an_older_word_that_one_peer_shows_takes_nothing_from_the_others() -> None:
    assert told(word(STANDBY, NOW - 60), word(HOLDER, NOW - 60), word(HOLDER, NOW - 9000)) == NOW - 60


def header(service: str = "docs-a") -> Header:
    raw = make_header(
        KEYS[HOME],
        service=service,
        epoch=2,
        sequence=7,
        previous="0" * 64,
        time=TIME,
        listing=b"",
        entries=(Entry("config", "0" * 64, 1),),
    )
    return read_header(raw, public_line(KEYS[HOME]))


def signed(service: str = "docs-a", writer: str = HOME, holder: str = STANDBY) -> Signed:
    statement = make_still(KEYS[writer], header=header(service), number=1, time=TIME)
    said = read_still(statement, public_line(KEYS[writer]))
    receipt = make_still_receipt(KEYS[holder], holder=holder, still=said, time=TIME, age_seconds=5)
    return Signed(statement.decode(), receipt.decode())


def read(shown: Signed, holder: str = STANDBY) -> Word | None:
    member: Member = LOCAL.member(holder)
    return read_word(member, "docs-a", shown, {2: public_line(KEYS[HOME])}.get)


def test_a_word_is_read_with_the_keys_of_its_writer_and_of_its_holder() -> None:
    assert read(signed()) == Word(STANDBY, header().id, utc_seconds(TIME), utc_seconds(TIME), 5)


@pytest.mark.parametrize(
    "shown",
    [
        signed(writer=STANDBY),
        signed(holder=HOLDER),
        signed(service="docs-b"),
        Signed(signed().statement, signed("docs-b").receipt),
        Signed("x", "y"),
        Signed('{"type": "appliance/still", "format": 1, "epoch": true}\n', ""),
    ],
    ids=["a forged word", "the receipt of another", "another service", "a receipt for another", "none", "no epoch"],
)
def test_what_does_not_verify_is_no_word(shown: Signed) -> None:
    assert read(shown) is None


def test_a_word_of_an_epoch_whose_grant_is_not_known_is_none() -> None:
    assert read_word(LOCAL.member(STANDBY), "docs-a", signed(), {}.get) is None


@pytest.mark.parametrize(
    "values", [None, 1, [], {}, {"statement": "x", "receipt": []}, {"statement": "x" * (BYTES_MAX + 1), "receipt": "x"}]
)
def test_what_a_peer_shows_in_the_place_of_a_word_is_none(values: object) -> None:
    assert read_signed(json.loads(json.dumps(values))) is None
