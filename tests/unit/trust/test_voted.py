"""An epoch that voters grant: by a majority of those that the bundle declares, and in no other way."""

from __future__ import annotations

import re
from typing import Any

import pytest

from appliance.borg.nonce import floor_of
from appliance.errors import IntegrityError, Refused
from appliance.trust.grant import TYPE as GRANT
from appliance.trust.grant import make_grant, read_grant
from appliance.trust.granters import Granters
from appliance.trust.keys import public_line
from appliance.trust.signed import digest_of, make
from appliance.trust.voted import BYTES_MAX, TYPE, assemble, read_voted, statement, vote
from appliance.trust.voting import Voting
from tests.worlds.voters import KEYS, NAMES, OUTSIDER, REPOSITORY, asked, granted, voting

FIVE = voting()
TERRITORY = OUTSIDER
GRANTERS = Granters(public_line(TERRITORY), FIVE)


def test_a_majority_of_the_voters_grants_what_was_asked() -> None:
    request = asked(4, reason="commune A est sous l'eau")
    grant = read_voted(granted(request, FIVE), FIVE)
    assert (grant.service, grant.writer, grant.writer_key) == ("docs-a", "hermitage", public_line(KEYS["hermitage"]))
    assert (grant.epoch, grant.previous, grant.nonce_floor) == (5, 4, floor_of(5))
    assert (grant.repository, grant.reason) == (REPOSITORY, "commune A est sous l'eau")


@pytest.mark.parametrize("count", [3, 4, 5])
def test_more_than_a_majority_may_sign_and_it_is_the_same_grant(count: int) -> None:
    grant = read_voted(granted(asked(), FIVE, NAMES[:count]), FIVE)
    assert grant.statement == digest_of(statement(asked(), FIVE))


@pytest.mark.parametrize("names", [NAMES, NAMES[:3]])
def test_one_signature_short_grants_nothing(names: tuple[str, ...]) -> None:
    voters = voting(names)
    with pytest.raises(Refused, match=rf"is signed by \d of {len(names)} voters; {voters.needed} are needed"):
        read_voted(granted(asked(), voters, names[: voters.needed - 1]), voters)


def test_the_same_broker_twice_is_one() -> None:
    line = statement(asked(), FIVE)
    one, other = sorted(vote(KEYS[name], line) for name in ("commune-a", "commune-b"))
    with pytest.raises(IntegrityError, match="signed twice by one key"):
        read_voted(line + one + one + other, FIVE)
    with pytest.raises(Refused, match="2 of 5 voters"):
        read_voted(assemble(line, [one, one, other]), FIVE)


def test_two_voters_with_one_key_are_one() -> None:
    keys = {**FIVE.keys, "commune-d": FIVE.keys["commune-c"], "hermitage": FIVE.keys["commune-c"]}
    shared = Voting(keys)
    assert shared.can_sign
    with pytest.raises(Refused, match="2 of 5 voters"):
        read_voted(granted(asked(), shared, ["commune-b", "commune-c"]), shared)


def test_a_signature_of_who_does_not_vote_spoils_it() -> None:
    line = statement(asked(), FIVE)
    for names in (NAMES[:2], NAMES[:3]):
        votes = [*(vote(KEYS[name], line) for name in names), vote(OUTSIDER, line)]
        with pytest.raises(Refused, match=r"signed by a key that does not belong to a voter \(SHA256:"):
            read_voted(assemble(line, votes), FIVE)


def test_signatures_over_other_lines_do_not_add_up() -> None:
    one, other = statement(asked(reason="one"), FIVE), statement(asked(reason="another"), FIVE)
    raw = one + b"".join(sorted([*(vote(KEYS[name], one) for name in NAMES[:2]), vote(KEYS["commune-c"], other)]))
    with pytest.raises(IntegrityError, match="does not match its content"):
        read_voted(raw, FIVE)
    with pytest.raises(IntegrityError, match="does not match its content"):
        assemble(one, [vote(KEYS["commune-c"], other)])


FIELDS: dict[str, Any] = {
    "service": "docs-b",
    "epoch": 5,
    "repository": "cd" * 32,
    "writer": "commune-a",
    "writer_key": public_line(OUTSIDER),
    "previous": 0,
    "nonce_floor": floor_of(5),
    "reason": "another",
    "voters": "cd" * 32,
}


@pytest.mark.parametrize("name", [*FIELDS, "format"])
def test_every_signature_covers_every_word(name: str) -> None:
    raw = granted(asked(), FIVE)
    said = {**FIELDS, "format": 2}[name]
    shown = f'"{said}"' if isinstance(said, str) else str(said)
    changed = re.sub(rf'"{name}": ("[^"]*"|[0-9]+)'.encode(), f'"{name}": {shown}'.encode(), raw, count=1)
    assert changed != raw
    with pytest.raises(IntegrityError, match="does not match its content"):
        read_voted(changed, FIVE)


BAD = {
    "another format": ({"format": 2}, "voted-grant has format 2; this version reads format 1"),
    "an even epoch": (
        {"epoch": 4, "nonce_floor": floor_of(4)},
        "epoch 4 is even: only the territory key grants even epochs",
    ),
    "a floor of another epoch": ({"nonce_floor": floor_of(5)}, "contradicts itself"),
    "an epoch that does not follow": ({"previous": 3}, "contradicts itself"),
    "the next term": ({"epoch": 513, "nonce_floor": floor_of(513)}, "epoch 513 of docs-a is outside 1 to 511"),
    "other voters": ({"voters": "cd" * 32}, "granted by other voters than the bundle declares"),
    "no voters": ({"voters": ""}, 'field "voters" is missing or malformed'),
    "an epoch beyond all": ({"epoch": 65_537}, 'field "epoch" is missing or out of range'),
    "a service with another alphabet": ({"service": "../docs"}, 'field "service" is missing or malformed'),
}


@pytest.mark.parametrize(("said", "why"), BAD.values(), ids=BAD)
def test_what_even_all_voters_cannot_grant(said: dict[str, Any], why: str) -> None:
    said = dict(said)
    format_ = said.pop("format", 1)
    raw = granted(asked(), FIVE, NAMES, **said)
    if format_ != 1:
        line = statement(asked(), FIVE).replace(b'"format": 1', b'"format": 2')
        raw = assemble(line, [vote(KEYS[name], line) for name in NAMES])
    with pytest.raises((IntegrityError, Refused), match=why):
        read_voted(raw, FIVE)


def test_voters_of_before_grant_nothing_any_more() -> None:
    """One was revoked, one replaced by a box with other keys, one more declared, the same in a later term."""
    raw = granted(asked(), FIVE, NAMES)
    present = {
        "revoked": Voting({**FIVE.keys, "hermitage": ""}, 1),
        "replaced": Voting({**FIVE.keys, "hermitage": public_line(OUTSIDER)}, 1),
        "fewer": voting(NAMES[:3], 1),
        "replaced, in a bundle that forgot the term": Voting({**FIVE.keys, "hermitage": public_line(OUTSIDER)}, 0),
    }
    for voters in present.values():
        with pytest.raises(Refused, match="granted by other voters"):
            read_voted(raw, voters)
    with pytest.raises(Refused, match="outside 513 to 1023"):
        read_voted(raw, Voting(FIVE.keys, 1))


def test_a_revoked_voter_signs_nothing_but_is_counted_still() -> None:
    """Else losing two of five would let two decide."""
    left = Voting({**FIVE.keys, "commune-c": "", "hermitage": ""}, 1)
    assert left.needed == 3
    with pytest.raises(Refused, match="does not belong to a voter"):
        read_voted(granted(asked(), left, ["commune-a", "commune-b", "hermitage"]), left)
    assert read_voted(granted(asked(), left, ["commune-a", "commune-b", "commune-d"]), left).epoch == 513
    assert not Voting({**FIVE.keys, "commune-b": "", "commune-c": "", "hermitage": ""}).can_sign


@pytest.mark.parametrize("names", [(), NAMES[:1], NAMES[:2]])
def test_fewer_than_three_voters_grant_nothing(names: tuple[str, ...]) -> None:
    voters = voting(names)
    with pytest.raises(Refused, match="this territory has no majority of them"):
        read_voted(granted(asked(), voters, names or NAMES), voters)


def test_an_old_grant_that_was_accepted_stays_good_and_only_that_one() -> None:
    old = granted(asked(), FIVE)
    granters = Granters(public_line(TERRITORY), voting(NAMES[:3], 1))
    with pytest.raises(Refused, match="The holder of the territory key confirms it in the next bundle"):
        granters.read(old)
    assert granters.keeping([old]).read(old).epoch == 3
    assert granters.keeping([old]).read(granted(asked(), FIVE, NAMES)).epoch == 3, "one line is one grant"
    with pytest.raises(Refused, match="granted by other voters"):
        granters.keeping([old]).read(granted(asked(reason="another"), FIVE))
    line = statement(asked(), FIVE)
    with pytest.raises(IntegrityError, match="does not match its content"):
        granters.keeping([old]).read(line + vote(KEYS["commune-a"], line + b" "))


# Both kinds


def test_each_kind_is_read_by_its_own_rules() -> None:
    by_key = make_grant(TERRITORY, asked())
    assert GRANTERS.read(by_key).epoch == 4
    assert GRANTERS.read(granted(asked(), FIVE)).epoch == 3
    with pytest.raises(IntegrityError, match="the signature is for 'appliance/voted-grant'"):
        read_grant(granted(asked(), FIVE, NAMES[:1]), public_line(KEYS["commune-a"]))


def test_no_voter_and_no_majority_of_them_signs_like_the_territory_key() -> None:
    for name in NAMES:
        with pytest.raises(Refused, match="signed by a key that may not sign it"):
            GRANTERS.read(make_grant(KEYS[name], asked()))
    line = b"".join(make_grant(TERRITORY, asked()).partition(b"\n")[:2])
    votes = [vote(KEYS[name], line) for name in NAMES]
    with pytest.raises(IntegrityError):
        GRANTERS.read(line + b"".join(votes))


def test_the_territory_key_signs_no_odd_epoch_and_no_voters_grant() -> None:
    odd = {"service": "docs-a", "epoch": 3, "repository": REPOSITORY, "writer": "hermitage", "previous": 2}
    odd |= {"writer_key": public_line(KEYS["hermitage"]), "nonce_floor": floor_of(3), "reason": "test"}
    with pytest.raises(IntegrityError, match="odd epochs belong to the voters"):
        GRANTERS.read(make(GRANT, odd, TERRITORY))
    with pytest.raises(Refused, match="does not belong to a voter"):
        GRANTERS.read(make(TYPE, {**odd, "voters": FIVE.digest}, TERRITORY))


def test_accepting_a_line_makes_no_even_epoch_good() -> None:
    even = granted(asked(), FIVE, NAMES, epoch=4, nonce_floor=floor_of(4))
    with pytest.raises(IntegrityError, match="epoch 4 is even"):
        GRANTERS.keeping([even]).read(even)


# Votes of unknown keys


def test_only_one_order_of_signatures_is_read() -> None:
    line = statement(asked(), FIVE)
    by_key = {public_line(KEYS[name]): vote(KEYS[name], line) for name in NAMES[:3]}
    falling = b"".join(by_key[key] for key in sorted(by_key, reverse=True))
    with pytest.raises(IntegrityError, match="another order"):
        read_voted(line + falling, FIVE)


@pytest.mark.parametrize("cut", [1, 20, 300])
def test_a_cut_document_is_refused(cut: int) -> None:
    with pytest.raises(IntegrityError):
        read_voted(granted(asked(), FIVE)[:-cut], FIVE)


def test_what_is_too_long_or_has_too_many_signatures_is_not_looked_at() -> None:
    raw = granted(asked(), FIVE)
    line, rest = raw.split(b"\n", 1)
    with pytest.raises(IntegrityError, match="9 signatures, more than there can be voters"):
        read_voted(line + b"\n" + rest * 3, FIVE)
    with pytest.raises(IntegrityError, match=f"more than the {BYTES_MAX} allowed"):
        read_voted(raw + b"x" * BYTES_MAX, FIVE)
    with pytest.raises(Refused, match="the reason is too long for a grant"):
        statement(asked(reason="x" * 9000), FIVE)


@pytest.mark.parametrize("more", [b"x", b"\n", b"-----END SSH SIGNATURE-----\n"])
def test_nothing_may_follow_the_signatures(more: bytes) -> None:
    with pytest.raises(IntegrityError):
        read_voted(granted(asked(), FIVE) + more, FIVE)
