"""Vaults, and all who read grants, take the epoch that a majority of the voters grants, and no other of theirs."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.backup.chain.chain import chain_of
from appliance.backup.chain.grants import shown_grants
from appliance.backup.peers.fetch import fetch_newest
from appliance.backup.writer.begin import check_grant
from appliance.config.collected import Collected
from appliance.config.confirming import confirm
from appliance.errors import ApplianceError, IntegrityError, Refused
from appliance.trust.grant import Grant, make_grant, make_request, read_request
from appliance.trust.keys import public_line
from appliance.trust.voted import assemble, read_voted, vote
from tests.worlds.vaults import (
    HOLDER,
    ORIGIN,
    OUTSIDER,
    REPOSITORY,
    SERVICE,
    SPARE,
    STANDBY,
    Generation,
    VaultWorld,
    assert_whole,
    head,
    push,
)
from tests.worlds.vaults_in_process import World

FIVE = (ORIGIN, STANDBY, HOLDER, SPARE, OUTSIDER)
MAJORITY = (STANDBY, HOLDER, SPARE)
FILES = {"config": b"config", "data/0/0": b"zero"}


@pytest.fixture
def first(vaults: VaultWorld) -> Generation:
    """The origin's, under a grant of the territory key, at a vault of a territory with five voters."""
    vaults.sign(voters=FIVE)
    grant = vaults.grant()
    made = vaults.seal(grant, FILES)
    vaults.put(made, grant)
    return made


def go_on(vaults: VaultWorld, first: Generation, grant: Grant) -> Generation:
    """The standby goes on under `grant`, at the same vault."""
    made = vaults.seal(grant, {**FILES, "data/0/1": b"one"}, first)
    vaults.put(made, grant, caller=grant.writer)
    return made


def test_a_voted_grant_raises_the_epoch_and_fences_the_writer_before(vaults: VaultWorld, first: Generation) -> None:
    made = go_on(vaults, first, vaults.voted(MAJORITY))
    assert assert_whole(vaults) == [first.name, made.name]
    late = vaults.seal(vaults.grant(), {**FILES, "data/0/9": b"late"}, first)
    with pytest.raises(Refused, match=r"epoch 2 of docs-a ended: epoch 3 belongs to hermitage"):
        vaults.put(late)
    with vaults.session(HOLDER, STANDBY) as channel:
        assert len(head(channel)["grants"]) == 2


def test_the_territory_key_goes_on_above_it(vaults: VaultWorld, first: Generation) -> None:
    made = go_on(vaults, first, vaults.voted(MAJORITY))
    back = vaults.grant(known_epoch=3)
    assert back.epoch == 4
    home = vaults.seal(back, FILES, made)
    vaults.put(home, back)
    assert assert_whole(vaults) == [first.name, made.name, home.name]


def _refused(vaults: VaultWorld, first: Generation, grant: Grant, why: str) -> None:
    """Nothing of it is kept by the vault, and nobody else believes it either."""
    epochs = vaults.holding(HOLDER).epochs()
    with pytest.raises(ApplianceError, match=why):
        go_on(vaults, first, grant)
    assert vaults.holding(HOLDER).epochs() == epochs
    with pytest.raises(ApplianceError, match=why):
        check_grant(vaults.open(grant.writer), SERVICE, grant.document.raw)


def test_one_signature_short(vaults: VaultWorld, first: Generation) -> None:
    _refused(vaults, first, vaults.voted(MAJORITY[:2]), "signed by 2 of 5 voters; 3 are needed")


def test_a_broker_alone_whatever_it_says(vaults: VaultWorld, first: Generation) -> None:
    _refused(vaults, first, vaults.voted([STANDBY]), "signed by 1 of 5 voters")
    key = vaults.signing_key(STANDBY)
    asked = make_request(
        key, service=SERVICE, repository=REPOSITORY, writer=STANDBY, known_epoch=2, reason="I am the territory"
    )
    with pytest.raises(Refused, match="signed by a key that may not sign it"):
        check_grant(vaults.open(STANDBY), SERVICE, make_grant(key, read_request(asked, public_line(key))))


def test_one_broker_twice(vaults: VaultWorld, first: Generation) -> None:
    good = vaults.voted(MAJORITY).document.raw
    end = b"-----END SSH SIGNATURE-----\n"
    head_and_one, two, *_ = good.split(end)
    twice = head_and_one + end + two + end + two + end
    with pytest.raises(IntegrityError, match="signed twice by one key"):
        check_grant(vaults.open(STANDBY), SERVICE, twice)
    made = vaults.seal(vaults.voted(MAJORITY), FILES, first)
    with vaults.session(HOLDER, STANDBY) as channel, pytest.raises(IntegrityError, match="signed twice by one key"):
        push(channel, made, details={"grants": [twice.decode()]})


def test_a_node_that_does_not_vote(vaults: VaultWorld, first: Generation) -> None:
    vaults.sign(voters=(STANDBY, HOLDER, SPARE))
    _refused(
        vaults, first, vaults.voted((STANDBY, HOLDER, OUTSIDER)), "signed by a key that does not belong to a voter"
    )


def test_keys_of_nobody(vaults: VaultWorld, first: Generation) -> None:
    line = vaults.voted(MAJORITY).document.raw.partition(b"\n")[0] + b"\n"
    raw = assemble(line, [vote(Ed25519PrivateKey.generate(), line) for _ in range(3)])
    assert vaults.voting
    forged = read_voted(raw, vaults.voting, accepted=[vaults.voted(MAJORITY).statement])
    _refused(vaults, first, forged, "signed by a key that does not belong to a voter")


def test_a_territory_without_voters_takes_none(vaults: VaultWorld, first: Generation) -> None:
    grant = vaults.voted(MAJORITY)
    vaults.sign(voters=())
    _refused(vaults, first, grant, "this territory has no majority of them")


def test_a_voter_that_was_revoked(vaults: VaultWorld, first: Generation) -> None:
    """It kept its key, and two others' signatures of an older day."""
    old = vaults.voted((SPARE, HOLDER, OUTSIDER))
    vaults.sign(gone=(OUTSIDER,))
    _refused(vaults, first, old, "granted by other voters than the bundle declares")
    _refused(vaults, first, vaults.voted((SPARE, HOLDER, OUTSIDER)), "signed by a key that does not belong to a voter")
    assert go_on(vaults, first, vaults.voted((SPARE, HOLDER, STANDBY))).header.epoch == 513


def test_two_grants_of_one_epoch(vaults: VaultWorld, first: Generation) -> None:
    made = go_on(vaults, first, vaults.voted(MAJORITY))
    other = vaults.voted((ORIGIN, SPARE, OUTSIDER), writer=ORIGIN)
    assert other.epoch == made.header.epoch
    with pytest.raises(Refused, match="there is already another grant of epoch 3"):
        vaults.put(vaults.seal(other, FILES, first), other)
    chain = chain_of(vaults.open(STANDBY), SERVICE)
    chain.add_grant(vaults.voted(MAJORITY))
    with pytest.raises(Refused, match="there is already another grant of epoch 3 of docs-a"):
        chain.add_grant(other)


def test_one_grant_with_other_signatures_is_no_second_one(vaults: VaultWorld, first: Generation) -> None:
    made = go_on(vaults, first, vaults.voted(MAJORITY))
    again = vaults.voted(FIVE)
    vaults.put(made, again, caller=STANDBY)
    assert vaults.holding(HOLDER).grant(3) == vaults.voted(MAJORITY).document.raw


# When the voters change


def test_what_was_kept_stays_good_and_what_comes_new_is_judged_by_present_voters(
    vaults: VaultWorld, first: Generation
) -> None:
    grant = vaults.voted(MAJORITY)
    made = go_on(vaults, first, grant)
    vaults.sign(gone=(OUTSIDER,))
    more = vaults.seal(grant, {**FILES, "data/0/2": b"two"}, made)
    vaults.put(more, grant, caller=STANDBY)
    assert assert_whole(vaults) == [first.name, made.name, more.name]
    with pytest.raises(Refused, match="granted by other voters"):
        vaults.put(more, grant, vaults.grant(), at=SPARE, caller=STANDBY, before=[first, made])
    vaults.sign(confirmed=(grant.statement,))
    vaults.put(more, grant, vaults.grant(), at=SPARE, caller=STANDBY, before=[first, made])
    assert assert_whole(vaults, SPARE) == [more.name]


def test_whoever_fetches_reads_the_history_under_both_kinds(
    vaults: VaultWorld, first: Generation, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(vaults)
    monkeypatch.setattr("appliance.backup.peers.conversation.Line", world.line)
    grant = vaults.voted(MAJORITY)
    made = go_on(vaults, first, grant)
    node = vaults.open(ORIGIN)
    sealed, _ = fetch_newest(node, SERVICE, node.service(SERVICE).root / "fetched", chain_of(node, SERVICE))
    assert sealed.header.id == made.header.id
    assert {epoch: it.writer for epoch, it in chain_of(node, SERVICE).grants().items()} == {2: ORIGIN, 3: STANDBY}
    vaults.sign(gone=(OUTSIDER,))
    assert chain_of(vaults.open(ORIGIN), SERVICE).grant().statement == grant.statement


def test_who_never_saw_a_former_grant_does_not_believe_it_until_it_is_confirmed(
    vaults: VaultWorld, first: Generation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.backup.peers.conversation.Line", World(vaults).line)
    grant = vaults.voted(MAJORITY)
    made = go_on(vaults, first, grant)
    vaults.sign(gone=(OUTSIDER,))
    node = vaults.open(ORIGIN)
    with pytest.raises(ApplianceError, match="granted by other voters"):
        fetch_newest(node, SERVICE, node.service(SERVICE).root / "fetched", chain_of(node, SERVICE))
    vaults.sign(confirmed=(grant.statement,))
    node = vaults.open(ORIGIN)
    sealed, _ = fetch_newest(node, SERVICE, node.service(SERVICE).root / "fetched", chain_of(node, SERVICE))
    assert sealed.header.id == made.header.id


# A whole takeover


def test_a_standby_adopts_and_continues_under_a_voted_grant_and_is_handed_back(
    vaults: VaultWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    vaults.sign(voters=FIVE)
    world = World(vaults)
    monkeypatch.setattr("appliance.backup.peers.conversation.Line", world.line)
    world.begin()
    world.run(ORIGIN)
    world.fetch_to_continue(STANDBY)
    world.adopt(STANDBY, vaults.voted(MAJORITY).document.raw)
    sealed, _ = world.run(STANDBY)
    assert sealed.header.epoch == 3
    with pytest.raises(Refused):
        world.run(ORIGIN)
    world.fetch_to_continue(ORIGIN)
    world.adopt(ORIGIN, vaults.voted(MAJORITY, writer=ORIGIN, known_epoch=3).document.raw)
    assert world.run(ORIGIN)[0].header.epoch == 5


def test_what_a_node_shows_with_its_keys_lets_the_next_bundle_confirm_it(vaults: VaultWorld, first: Generation) -> None:
    """A new holder refused every generation: "epoch 3 is granted by other voters than the bundle declares"."""
    grant = vaults.voted(MAJORITY)
    made = go_on(vaults, first, grant)
    before, keys = vaults.open(HOLDER).bundle, vaults.open(HOLDER).bundle.member(HOLDER).keys
    shown = Collected("peer", keys, tuple(it.encode() for it in shown_grants(vaults.open(HOLDER))))
    found = confirm(before, {HOLDER: shown}, now=vaults.clocks[HOLDER].now(), gone=(STANDBY,))
    assert found.digests == {grant.statement}
    vaults.sign(gone=(OUTSIDER,), confirmed=tuple(found.digests))
    vaults.put(made, grant, vaults.grant(), at=SPARE, caller=STANDBY, before=[first])
    assert assert_whole(vaults, SPARE) == [made.name]
    assert len(shown_grants(vaults.open(HOLDER))) == 1, "of what is confirmed the newest alone is shown"


def test_a_service_that_left_can_be_fetched_after_the_voters_changed(
    vaults: VaultWorld, first: Generation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its grant was shown by no node, so that a new machine refused all that was held of it."""
    grant = vaults.voted(MAJORITY)
    made = go_on(vaults, first, grant)
    vaults.sign(left=True)
    keys = vaults.open(HOLDER).bundle.member(HOLDER).keys
    shown = Collected("peer", keys, tuple(it.encode() for it in shown_grants(vaults.open(HOLDER))))
    found = confirm(vaults.open(HOLDER).bundle, {HOLDER: shown}, now=vaults.clocks[HOLDER].now())
    vaults.sign(gone=(OUTSIDER,), confirmed=tuple(found.digests))
    monkeypatch.setattr("appliance.backup.peers.conversation.Line", World(vaults).line)
    sealed, _ = fetch_newest(vaults.open(ORIGIN), SERVICE, tmp_path / "fetched")
    assert sealed.header.id.name == made.name
