"""A whole session with a hostile caller: whatever it says, it gets one sentence and a code, and the journal a line."""

from __future__ import annotations

import struct
from contextlib import ExitStack
from typing import Any

import pytest

from appliance.backup.vault import give
from appliance.backup.vault.session import REFUSALS_TOLD_MAX, SESSIONS_PER_CALLER_MAX
from appliance.backup.vault.wire import PROTOCOL
from appliance.errors import ApplianceError, Busy, Forbidden, IntegrityError, NotFound, Refused
from tests.worlds.vaults import (
    HOLDER,
    MONITOR,
    ORIGIN,
    OUTSIDER,
    SERVICE,
    SPARE,
    STANDBY,
    Generation,
    VaultWorld,
    ask,
    assert_whole,
    head,
    offer,
    send_frame,
)

# What is sent instead of a request; the error; a part of its sentence.
REQUESTS: dict[str, tuple[Any, type[ApplianceError], str]] = {
    "nothing": ({}, Refused, "this vault speaks protocol 1"),
    "another protocol": ({"appliance": 2, "verb": "head", "service": SERVICE}, Refused, "this vault speaks protocol 1"),
    "a list": ([1], IntegrityError, "a frame is not an object"),
    "no verb": ({"appliance": 1, "service": SERVICE}, Refused, "a vault does not know this request"),
    "a verb that deletes": (
        {"appliance": 1, "verb": "delete", "service": SERVICE},
        Refused,
        "a vault does not know this request",
    ),
    "a verb that is a list": (
        {"appliance": 1, "verb": ["put"], "service": SERVICE},
        Refused,
        "a vault does not know this request",
    ),
    "a service that climbs": (
        {"appliance": 1, "verb": "head", "service": "../../etc"},
        Refused,
        "a vault does not know this request",
    ),
    "an absolute service": (
        {"appliance": 1, "verb": "head", "service": "/etc"},
        Refused,
        "a vault does not know this request",
    ),
    "an option for a service": (
        {"appliance": 1, "verb": "head", "service": "--help"},
        Refused,
        "a vault does not know this request",
    ),
    "a service with an end of line": (
        {"appliance": 1, "verb": "head", "service": "docs-a\n"},
        Refused,
        "a vault does not know this request",
    ),
    "an unknown service": ({"appliance": 1, "verb": "head", "service": "docs-z"}, NotFound, 'no service "docs-z"'),
    "another one's service": (
        {"appliance": 1, "verb": "head", "service": "docs-d"},
        Forbidden,
        '"commune-a" may not "head" docs-d here',
    ),
    "another's generations": (
        {"appliance": 1, "verb": "get", "service": SERVICE},
        Forbidden,
        '"commune-a" may not "get" docs-a here',
    ),
    "a relay by the origin": (
        {"appliance": 1, "verb": "put-relayed", "service": SERVICE},
        Forbidden,
        '"commune-a" may not "put-relayed" docs-a here',
    ),
    "a refusal": ({"refused": "no-space", "sentence": "you are full"}, ApplianceError, "you are full"),
    "a generation that climbs": (
        {"appliance": 1, "verb": "get-own", "service": SERVICE, "generation": "../../../keys"},
        NotFound,
        "no such generation here",
    ),
    "a generation that is a list": (
        {"appliance": 1, "verb": "get-own", "service": SERVICE, "generation": [1]},
        NotFound,
        "no such generation here",
    ),
    "a proof without challenge": (
        {"appliance": 1, "verb": "prove", "service": SERVICE, "blobs": []},
        IntegrityError,
        "a proof takes a challenge",
    ),
    "too many proofs": (
        {"appliance": 1, "verb": "prove", "service": SERVICE, "challenge": "a" * 64, "blobs": ["b"] * 65},
        IntegrityError,
        "at most 64 blobs",
    ),
    "proofs that are no texts": (
        {"appliance": 1, "verb": "prove", "service": SERVICE, "challenge": "a" * 64, "blobs": [{}]},
        IntegrityError,
        "is not a list of texts",
    ),
}


@pytest.fixture
def held(vaults: VaultWorld) -> Generation:
    grant = vaults.grant()
    made = vaults.chain(grant, 1)[0]
    vaults.put(made, grant)
    return made


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_that_is_none_gets_a_sentence_and_a_code(vaults: VaultWorld, held: Generation, name: str) -> None:
    request, error, sentence = REQUESTS[name]
    with vaults.session(HOLDER, ORIGIN) as channel:
        send_frame(channel, request)
        with pytest.raises(error) as caught:
            channel.read_frame()
    assert sentence in caught.value.what
    assert vaults.exit_code == caught.value.exit_code != 0
    assert assert_whole(vaults) == [held.name]
    (line,) = vaults.open(HOLDER).journal.events("vault-refused")
    assert line["caller"] == ORIGIN


def refused(vaults: VaultWorld, caller: str) -> None:
    with vaults.session(HOLDER, caller) as channel:
        send_frame(channel, {"appliance": PROTOCOL, "verb": "delete", "service": SERVICE})
        with pytest.raises(Refused, match="does not know this request"):
            channel.read_frame()


def test_a_caller_that_is_refused_without_end_fills_no_journal(vaults: VaultWorld, held: Generation) -> None:
    """Else a night of it would push out of the journal all that tells of it."""
    for _ in range(20):
        refused(vaults, ORIGIN)
    refused(vaults, STANDBY)
    *lines, other = vaults.open(HOLDER).journal.events("vault-refused")
    assert [line["times"] for line in lines] == [1] * REFUSALS_TOLD_MAX
    assert (other["caller"], other["times"]) == (STANDBY, 1), "nobody is silenced by another"
    vaults.advance(60)
    refused(vaults, ORIGIN)
    *_, line = vaults.open(HOLDER).journal.events("vault-refused")
    assert line["times"] == 21 - REFUSALS_TOLD_MAX, "it stands for those that were not written"


def test_a_frame_larger_than_any_request_is_not_read(vaults: VaultWorld) -> None:
    with vaults.session(HOLDER, ORIGIN) as channel:
        channel.write(struct.pack(">I", 17 << 20))
        with pytest.raises(IntegrityError, match="a frame of 17825792 bytes is more than the 16777216 allowed"):
            channel.read_frame()


def test_a_caller_that_hangs_up_is_no_event(vaults: VaultWorld) -> None:
    with vaults.session(HOLDER, ORIGIN) as channel:
        channel.write(b"\0\0")
    assert vaults.exit_code == 0


def test_a_failure_of_ours_is_told_without_our_paths(vaults: VaultWorld, held: Generation) -> None:
    grants = vaults.holding(HOLDER).grants
    (grants / "00002").unlink()
    (grants / "00002").mkdir()
    with vaults.session(HOLDER, ORIGIN) as channel, pytest.raises(ApplianceError) as caught:
        head(channel)
    assert str(caught.value) == "the vault failed at this request. Its journal says why; try again later."
    assert vaults.exit_code == ApplianceError.exit_code
    (line,) = vaults.open(HOLDER).journal.events("vault-failed")
    assert "IsADirectoryError" in line["error"]


def test_a_caller_has_a_few_seats_and_no_more(vaults: VaultWorld) -> None:
    with ExitStack() as stack:
        channels = [stack.enter_context(vaults.session(HOLDER, STANDBY)) for _ in range(SESSIONS_PER_CALLER_MAX)]
        for channel in channels:
            head(channel)
        with (
            vaults.session(HOLDER, STANDBY) as channel,
            pytest.raises(Busy, match="hermitage already has 6 sessions here"),
        ):
            channel.read_frame()
        with vaults.session(HOLDER, ORIGIN) as channel:
            assert head(channel)["holder"] == HOLDER, "nobody takes a seat of somebody else's"
    with vaults.session(HOLDER, STANDBY) as channel:
        assert head(channel)["holder"] == HOLDER


def test_one_session_asks_many_things(vaults: VaultWorld, held: Generation) -> None:
    with vaults.session(HOLDER, ORIGIN) as channel:
        first = head(channel)
        ask(channel, "prove", challenge="ab" * 32, blobs=[held.entries[0].sha256, "0" * 64, "../../x"])
        proofs = channel.read_frame()["proofs"]
        assert head(channel) == first
    assert len(proofs[0]) == 64
    assert proofs[1:] == [None, None]
    assert proofs[0] != held.entries[0].sha256


@pytest.mark.parametrize("caller", [OUTSIDER, "nobody"])
def test_a_stranger_learns_nothing(vaults: VaultWorld, held: Generation, caller: str) -> None:
    with vaults.session(HOLDER, caller) as channel, pytest.raises(Forbidden):
        head(channel)


def test_the_monitor_sees_the_head_only(vaults: VaultWorld, held: Generation) -> None:
    with vaults.session(HOLDER, MONITOR) as channel:
        assert head(channel)["held"] == [held.name]
        ask(channel, "get")
        with pytest.raises(Forbidden):
            channel.read_frame()


def _get(channel: Any, verb: str = "get", **details: Any) -> tuple[dict[str, Any], bytes]:
    ask(channel, verb, **details)
    answer = channel.read_frame()
    return answer, channel.read(answer["list_bytes"])


@pytest.mark.parametrize(("caller", "verb"), [(ORIGIN, "get-own"), (STANDBY, "get"), (SPARE, "get")])
def test_those_who_may_get_every_byte_from_any_offset(
    vaults: VaultWorld, held: Generation, caller: str, verb: str
) -> None:
    with vaults.session(HOLDER, caller) as channel:
        answer, listing = _get(channel, verb)
        assert answer["generation"] == held.name
        assert listing == held.listing
        wanted = [(entry.sha256, offset) for entry in held.entries for offset in (0, 3, entry.size)]
        send_frame(channel, {"want": wanted})
        for digest, offset in wanted:
            assert channel.read(len(held.blobs[digest]) - offset) == held.blobs[digest][offset:]
        send_frame(channel, {"done": True})
        assert head(channel)["held"] == [held.name], "the session goes on"


@pytest.mark.parametrize(
    "want",
    [
        [["0" * 64, 0]],
        [["../../../keys/sign_ed25519", 0]],
        [5],
        5,
        "all",
        [[[], 0]],
        [["x"]],
        [[None, None]],
        {"a": 1},
        [["HELD", -1]],
        [["HELD", 10**9]],
        [["HELD", "0"]],
        [["HELD", 0, 0]],
    ],
)
def test_only_files_of_the_generation_are_given(vaults: VaultWorld, held: Generation, want: Any) -> None:
    with vaults.session(HOLDER, STANDBY) as channel:
        _get(channel)
        text = held.entries[0].sha256
        filled = [[text if part == "HELD" else part for part in pair] for pair in want] if _is_pairs(want) else want
        send_frame(channel, {"want": filled})
        with pytest.raises(Refused, match="that file is not of this generation"):
            channel.read_frame()


def _is_pairs(want: Any) -> bool:
    return isinstance(want, list) and all(isinstance(pair, list) for pair in want)


def test_a_blob_thinned_while_it_is_given_is_said_to_be_gone(vaults: VaultWorld, held: Generation) -> None:
    with vaults.session(HOLDER, STANDBY) as channel:
        _get(channel)
        digest = held.entries[0].sha256
        vaults.holding(HOLDER).discard(digest)
        send_frame(channel, {"want": [[digest, 0]]})
        with pytest.raises(NotFound, match="a file of this generation is missing here"):
            channel.read_frame()


def test_nothing_held_is_said_so(vaults: VaultWorld) -> None:
    with vaults.session(HOLDER, STANDBY) as channel:
        answer = head(channel)
        assert (answer["held"], answer["tips"], answer["newest"], answer["receipt"]) == ([], [], None, None)
        ask(channel, "get")
        with pytest.raises(NotFound, match="docs-a has no such generation here"):
            channel.read_frame()


def test_a_header_without_its_files_is_known_and_not_held(vaults: VaultWorld) -> None:
    """An attacker with the origin's keys can leave this behind: the head still attests what is held."""
    grant = vaults.grant()
    first, second = vaults.chain(grant, 2)
    vaults.put(first, grant)
    with vaults.session(HOLDER, ORIGIN) as channel:
        offer(channel, second)
        channel.read_frame()
    with vaults.session(HOLDER, STANDBY) as channel:
        answer = head(channel)
    assert (answer["held"], answer["known"]) == ([first.name], 2)
    assert answer["newest"] == first.text
    assert answer["tips"] == [second.text]


def test_the_head_shows_at_most_a_few_sides_of_a_fork(vaults: VaultWorld) -> None:
    grant = vaults.grant()
    first = vaults.chain(grant, 1)[0]
    vaults.put(first, grant)
    for second in range(give.SIDES_MAX + 3):
        vaults.put(vaults.seal(grant, {"config": b"c"}, first, time=f"2026-11-25T08:00:{second:02d}Z"))
    with vaults.session(HOLDER, STANDBY) as channel:
        answer = head(channel)
    assert len(answer["tips"]) == give.SIDES_MAX
    assert answer["forks"] == ["2.2"]
