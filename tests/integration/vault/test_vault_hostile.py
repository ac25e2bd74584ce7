"""What a stranger with all of an origin's keys can do to a vault: add to its share, up to its limits, and nothing else.

After each attack every sealed generation is whole at each peer, and the refusal was one sentence with its exit code,
which ssh passes on.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from appliance.backup.vault.replicas import replica_of
from appliance.backup.vault.session import SESSIONS_PER_CALLER_MAX
from appliance.errors import ApplianceError, Busy, Forbidden, IntegrityError, NoSpace, NotFound, Postponed, Refused
from appliance.trust.generation import NO_PARENT, Entry
from appliance.trust.grant import make_grant, make_request, read_grant, read_request
from appliance.trust.keys import create_key, load_key, public_line
from appliance.units import GIB, MIB
from tests.integration.vault.siege import SERVICE, Session, Siege
from tests.integration.vault_worlds.world import ask, head, offer, push

PEER = "commune-b"


@pytest.fixture(autouse=True)
def unharmed(siege: Siege) -> Iterator[None]:
    """After each attack."""
    yield
    siege.assert_unharmed()


@dataclass(frozen=True)
class Attack:
    """What is tried in a session, the error it ends with, and a part of its sentence."""

    do: Callable[[Siege, Session], Any]
    error: type[ApplianceError]
    sentence: str


def _ask(verb: str, service: str = SERVICE, **details: Any) -> Callable[[Siege, Session], Any]:
    def do(siege: Siege, session: Session) -> Any:
        ask(session.channel, verb, service, **details)
        return session.channel.read_frame()

    return do


def _push(make: Callable[[Siege], Any], **details: Any) -> Callable[[Siege, Session], Any]:
    return lambda siege, session: push(session.channel, make(siege), details=details or None)


def _send_raw(data: bytes) -> Callable[[Siege, Session], Any]:
    def do(siege: Siege, session: Session) -> Any:
        session.channel.write(data)
        return session.channel.read_frame()

    return do


def _send(data: bytes) -> Callable[[Siege, Session], Any]:
    return _send_raw(len(data).to_bytes(4, "big") + data)


def _push_other_bytes(siege: Siege, session: Session) -> Any:
    offer(session.channel, siege.forge({"data/0/9": b"honest" * 100}))
    assert session.channel.read_frame()["need"]
    session.channel.write(b"hostil" + b"honest" * 99)
    return session.channel.read_frame()


def _entries(count: int, size: int, start: int = 0) -> tuple[Entry, ...]:
    return tuple(Entry(f"data/0/{n}", f"{n:064x}", size) for n in range(start, start + count))


def _claims(count: int, size: int) -> Callable[[Siege], Any]:
    """A generation whose list promises files that nobody has to send: what counts is that none is waited for."""
    return lambda siege: siege.forge({}, _entries(count, size))


def _self_granted(siege: Siege, session: Session) -> Any:
    """An epoch granted by a territory key of the stranger's own."""
    create_key(siege.stolen.layout.root / "own_territory_ed25519")
    key = load_key(siege.stolen.layout.root / "own_territory_ed25519")
    node_key = load_key(siege.stolen.signing_key)
    request = make_request(
        node_key, service=SERVICE, repository="ab" * 32, writer="commune-a", known_epoch=2, reason="mine"
    )
    grant = read_grant(make_grant(key, read_request(request, public_line(node_key))), public_line(key))
    return push(session.channel, siege.forge({"config": b"x"}, epoch=4, sequence=1), [grant])


def _rewritten(siege: Siege) -> Any:
    """Other content under the newest generation's very header."""
    newest = siege.newest.header
    other = siege.forge({"config": b"ransom"}, sequence=newest.sequence, previous=newest.previous, time=newest.time)
    return replace(other, header=newest)


ATTACKS: dict[str, Attack] = {
    "delete": Attack(_ask("delete"), Refused, "a vault does not know this request"),
    "prune": Attack(_ask("prune"), Refused, "a vault does not know this request"),
    "thin": Attack(_ask("thin"), Refused, "a vault does not know this request"),
    "rename": Attack(_ask("rename"), Refused, "a vault does not know this request"),
    "climb out of the holding": Attack(_ask("head", "../../keys"), Refused, "a vault does not know this request"),
    "look at the vault's own service": Attack(_ask("head", "docs-z"), NotFound, 'no service "docs-z"'),
    "relay as if a holder": Attack(_ask("put-relayed"), Forbidden, 'may not "put-relayed" docs-a here'),
    "get what holders get": Attack(_ask("get"), Forbidden, 'may not "get" docs-a here'),
    "get another generation's folder": Attack(
        _ask("get-own", generation="../../../keys"), NotFound, "has no such generation here"
    ),
    "speak tomorrow's protocol": Attack(
        _send(json.dumps({"appliance": 9, "verb": "head", "service": SERVICE}).encode()),
        Refused,
        "this vault speaks protocol 1",
    ),
    "rewrite the newest generation": Attack(_push(_rewritten), IntegrityError, "is not the one that its header signs"),
    "skip ahead": Attack(
        _push(lambda siege: siege.forge({"config": b"x"}, sequence=9_999_999_999)),
        IntegrityError,
        "generation 2.9999999999 cannot come after 2.2",
    ),
    "invent an epoch": Attack(
        _push(lambda siege: siege.forge({"config": b"x"}, epoch=65_534, sequence=1)),
        Refused,
        "there is no grant of epoch 65534",
    ),
    "grant itself an epoch": Attack(_self_granted, Refused, "appliance/grant is signed by a key that may not sign it"),
    "name files outside a repository": Attack(
        _push(lambda siege: siege.forge({"../../../.ssh/authorized_keys": b"x"})),
        IntegrityError,
        "is not a file of a repository",
    ),
    "name a lock": Attack(
        _push(lambda siege: siege.forge({"lock.exclusive": b"x"})),
        IntegrityError,
        "is not a file of a repository",
    ),
    "send what its list does not say": Attack(
        _push_other_bytes, IntegrityError, "the received file data/0/9 does not match the hash in the list"
    ),
    "overfill the quota": Attack(_push(_claims(1, 2 * GIB)), NoSpace, "the quota at this peer is full"),
    "overfill the day": Attack(
        _push(_claims(1, 1200 * MIB)), Postponed, "this peer takes 1 GiB of this service in a day"
    ),
    "overflow the numbers": Attack(_push(_claims(900, 10**15 - 1)), NoSpace, "the quota at this peer is full"),
    "flood it with inodes": Attack(_push(_claims(75_000, 1)), NoSpace, "more than a regular service makes"),
    "flood it with headers": Attack(
        _push(_claims(1, 1), headers=["x"] * 20_001), NoSpace, "20001 headers in one push are more"
    ),
    "flood it with lists": Attack(
        _push(_claims(1, 1), list_bytes=17 * MIB), IntegrityError, "a push comes with a list of at most 16777216 bytes"
    ),
    "flood it with one frame": Attack(_send_raw(b"\xff" * 4), IntegrityError, "is more than the 16777216 allowed"),
    "fill its memory with brackets": Attack(
        _send(b'{"a":[' + b"[]," * (8 * MIB // 3) + b"0]}"), IntegrityError, "a frame has more parts"
    ),
    "make it prove for ever": Attack(
        _ask("prove", challenge="ab" * 32, blobs=["cd" * 32] * 65), IntegrityError, "at most 64 blobs"
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_stranger_with_all_keys_is_refused(siege: Siege, name: str) -> None:
    attack = ATTACKS[name]
    with siege.session(PEER) as session, pytest.raises(ApplianceError) as caught:
        attack.do(siege, session)
    assert type(caught.value) is attack.error
    assert attack.sentence in caught.value.what
    assert session.exit_code == attack.error.exit_code
    assert session.said == "", "no traceback, no path"


def test_of_a_push_that_overfills_the_day_in_pieces_only_the_days_part_is_asked_for(siege: Siege) -> None:
    with siege.session(PEER) as session:
        offer(session.channel, _claims(1200, MIB)(siege))
        needed = session.channel.read_frame()["need"]
    assert 1000 < len(needed) <= 1024


def test_a_stranger_may_add_and_what_it_adds_takes_nothing_away(siege: Siege) -> None:
    """Sealed generations cannot be unmade by their author: all the stranger can do is seal one more."""
    ransom = siege.forge({"config": b"ransom", "data/0/0": os.urandom(1000)})
    with siege.session(PEER) as session:
        push(session.channel, ransom)
        answer = head(session.channel)
    assert session.exit_code == 0
    assert set(siege.held[PEER]) < set(answer["held"])
    with siege.session(PEER) as session:
        push(session.channel, siege.forge({"config": b"another"}))
        push(session.channel, siege.forge({"config": b"again"}, sequence=1, previous=NO_PARENT))
        answer = head(session.channel)
    assert answer["forks"] == ["2.1", "2.3"], "a second one of the same number is reported, a second beginning too"
    assert max(answer["held"]).startswith("00002.0000000003."), "and is not the newest"


def test_blobs_cut_short_and_stalls_leave_nothing_claimed(siege: Siege) -> None:
    cut = siege.forge({"data/5/5": os.urandom(300_000)}, time="2026-11-25T09:00:00Z")
    before = siege.held_at(PEER)
    for size in (0, 1, 70_000, 299_999):
        with siege.session(PEER) as session:
            offer(session.channel, cut)
            ((_, offset),) = session.channel.read_frame()["need"]
            data = cut.blobs[cut.entries[0].sha256]
            session.channel.write(data[offset : max(offset, size)])
        assert siege.held_at(PEER) == before


def test_partials_are_counted_so_that_a_flood_of_them_ends(siege: Siege) -> None:
    """Each cut session leaves one more partial; at the quota of the share no other begins."""
    territory = siege.territory
    replica = replica_of(territory.open(PEER), SERVICE)
    plan, room = territory.territory, replica.used_bytes() + 1_500_000
    docs = replace(plan.services[SERVICE], quota_bytes=int(room / 0.7))
    territory.territory = replace(plan, services={SERVICE: docs})
    territory.sign()
    try:
        refusals = []
        for number in range(12):
            flood = siege.forge({f"data/7/{number}": os.urandom(200_000)}, time=f"2026-11-25T10:00:{number:02d}Z")
            with siege.session(PEER) as session:
                offer(session.channel, flood)
                try:
                    session.channel.read_frame()
                    session.channel.write(flood.blobs[flood.entries[0].sha256][:199_999])
                except NoSpace as error:
                    refusals.append(error.what)
            assert replica.used_bytes() <= room
        assert 0 < len(refusals) < 12
        assert all("the quota at this peer is full" in refusal for refusal in refusals)
    finally:
        territory.territory = plan
        territory.sign()


def test_sessions_that_never_end_keep_nobody_else_out(siege: Siege) -> None:
    """The stranger fills its own seats; the others, and its own victim's replacement later, have theirs."""
    sessions = []
    for _ in range(SESSIONS_PER_CALLER_MAX):
        context = siege.session(PEER)
        sessions.append((context, context.__enter__()))
    try:
        for _, session in sessions:
            assert head(session.channel)["holder"] == PEER
        with siege.session(PEER) as one_more, pytest.raises(Busy, match=r"commune-a already has 6 sessions here"):
            one_more.channel.read_frame()
        assert one_more.exit_code == Busy.exit_code
        with Siege(siege.territory, siege.territory.open("hermitage")).session(PEER) as other:
            assert head(other.channel)["holder"] == PEER
    finally:
        for context, _ in sessions:
            context.__exit__(None, None, None)


def test_a_push_that_never_ends_does_not_keep_the_replacement_out(siege: Siege) -> None:
    """The stranger holds the turn; whoever is granted the next epoch ends that session and publishes."""
    territory, hermitage = siege.territory, siege.territory.open("hermitage")
    key = load_key(hermitage.signing_key)
    request = make_request(
        key, service=SERVICE, repository="ab" * 32, writer="hermitage", known_epoch=2, reason="ransom at commune-a"
    )
    grant = read_grant(territory.grant(request, "hermitage"), hermitage.bundle.territory_key)
    replacement, parent = Siege(territory, hermitage), siege.newest.header.id.digest
    with siege.session(PEER) as stalling:
        offer(stalling.channel, siege.forge({"data/8/8": os.urandom(1_000_000)}, time="2026-11-25T11:00:00Z"))
        assert stalling.channel.read_frame()["need"]
        taken_over = siege.forge({"config": b"c"}, signer=hermitage, epoch=grant.epoch, sequence=1, previous=parent)
        with replacement.session(PEER) as session:
            push(session.channel, taken_over, [grant])
            assert taken_over.name in head(session.channel)["held"]
        assert stalling.process.wait(10) != 0
    with siege.session(PEER) as session, pytest.raises(Refused, match=r"epoch 2 of docs-a ended: epoch 4 belongs to"):
        push(session.channel, siege.forge({"config": b"too late"}, time="2026-11-25T12:00:00Z"))
