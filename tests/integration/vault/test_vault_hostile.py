"""An attacker with all of an origin's keys can add to its quota at a vault, up to its limits, and do nothing else.

After each attack every sealed generation is whole at each peer, and the refusal was one sentence with its exit code,
which ssh passes on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from appliance.backup.vault.replicas import replica_of
from appliance.backup.vault.session import SESSIONS_PER_CALLER_MAX
from appliance.errors import ApplianceError, Busy, NoSpace, Refused
from appliance.trust.generation import NO_PARENT
from appliance.trust.grant import make_request, read_grant
from appliance.trust.keys import load_key
from appliance.units import MIB
from tests.integration.vault.attacks import ATTACKS, claims
from tests.integration.vault.siege import SERVICE, Siege
from tests.worlds.vaults import head, offer, push

PEER = "commune-b"


@pytest.fixture(autouse=True)
def unharmed(siege: Siege) -> Iterator[None]:
    """After each attack."""
    yield
    siege.assert_unharmed()


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
        offer(session.channel, claims(1200, MIB)(siege))
        needed = session.channel.read_frame()["need"]
    assert 1000 < len(needed) <= 1024


def test_a_stranger_may_add_and_what_it_adds_takes_nothing_away(siege: Siege) -> None:
    """Sealed generations cannot be unmade by their author: all the attacker can do is seal one more."""
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
    """The attacker fills its own session slots; the others, and its own victim's replacement later, have theirs."""
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
    """The attacker holds the turn; the node with the next epoch ends that session and publishes."""
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
