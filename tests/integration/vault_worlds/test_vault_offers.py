"""The proofs of a push before a byte of it is kept: grants, signatures, chain, list, and that its epoch goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from appliance.errors import ApplianceError, Forbidden, IntegrityError, NoSpace, NotFound, Refused
from appliance.trust.generation import NO_PARENT, Header, read_header
from appliance.trust.grant import TYPE as GRANT
from appliance.trust.grant import Grant
from appliance.trust.keys import create_key, load_key, public_line
from appliance.trust.signed import make
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
    ask,
    assert_whole,
    head,
    push,
)

FILES = {"config": b"config", "data/0/0": b"segment"}


@dataclass
class Known:
    """The state each bad push starts from: docs-a in epoch 2 with two generations held."""

    vaults: VaultWorld
    grant: Grant
    first: Generation
    second: Generation

    def next(self, **fields: Any) -> Generation:
        return self.vaults.seal(self.grant, {**FILES, "data/0/9": b"new"}, self.second, **fields)


@pytest.fixture
def known(vaults: VaultWorld) -> Known:
    grant = vaults.grant()
    first, second = vaults.chain(grant, 2)
    vaults.put(first, grant)
    vaults.put(second)
    return Known(vaults, grant, first, second)


@dataclass(frozen=True)
class Bad:
    """One bad push: what is sent, by which node, and what comes back."""

    generation: Generation
    grants: Sequence[Grant] = ()
    before: Sequence[Generation] = ()
    caller: str = ORIGIN
    details: dict[str, Any] | None = None


def _raw(generation: Generation, change: Callable[[str], str]) -> dict[str, Any]:
    return {"headers": [change(generation.text)]}


def _resigned(known: Known, generation: Generation, **fields: Any) -> dict[str, Any]:
    """The header with other fields, signed by the origin's true key."""
    key = load_key(known.vaults.layout(ORIGIN).keys / "sign_ed25519")
    said = {name: value for name, value in generation.header.document.fields.items() if name not in ("type", "format")}
    return {"headers": [make("appliance/generation", {**said, **fields}, key).decode()]}


def _gap(known: Known) -> Bad:
    third = known.next()
    return Bad(known.vaults.seal(known.grant, FILES, third))


def _foreign_key(known: Known) -> Bad:
    """Signed by a key that no grant names, as somebody would who has no key of the origin's."""
    create_key(known.vaults.root / "foreign")
    raw = _signed_by(known, load_key(known.vaults.root / "foreign"))
    return Bad(known.next(), details={"headers": [raw]})


def _signed_by(known: Known, key: Any) -> str:
    said = known.next().header.document.fields
    return make("appliance/generation", {k: v for k, v in said.items() if k not in ("type", "format")}, key).decode()


def _self_made_grant(known: Known) -> Bad:
    """An epoch that the origin signed itself."""
    key = load_key(known.vaults.layout(ORIGIN).keys / "sign_ed25519")
    fields = {
        "service": SERVICE,
        "epoch": 4,
        "repository": REPOSITORY,
        "writer": ORIGIN,
        "writer_key": public_line(key),
        "previous": 2,
        "nonce_floor": 4 << 48,
        "reason": "mine",
    }
    raw = make(GRANT, fields, key).decode()
    return Bad(known.next(epoch=4, sequence=1), details={"grants": [raw]})


def _second_grant_of_an_epoch(known: Known) -> Bad:
    return Bad(known.next(), grants=[known.vaults.grant(STANDBY)])


def _grant_of_another_service(known: Known) -> Bad:
    return Bad(known.next(), grants=[known.vaults.grant(OUTSIDER, service="docs-d")])


def _writer_of_an_older_epoch(known: Known) -> Bad:
    newer = known.vaults.grant(STANDBY, known_epoch=2)
    known.vaults.put(known.vaults.seal(newer, FILES, known.second), newer, caller=STANDBY)
    return Bad(known.next())


def _grant_of_somebody_else(known: Known) -> Bad:
    newer = known.vaults.grant(STANDBY, known_epoch=2)
    return Bad(known.vaults.seal(newer, FILES, known.second), grants=[newer], caller=ORIGIN)


def _old_key_after_replacement(known: Known) -> Bad:
    """The origin's machine was replaced: a new key in the bundle. Who still has the old key is nobody."""
    (known.vaults.layout(ORIGIN).keys / "sign_ed25519").rename(known.vaults.root / "old")
    bad = Bad(known.second)
    create_key(known.vaults.layout(ORIGIN).keys / "sign_ed25519")
    known.vaults.sign()
    return bad


def _replayed_of_another_service(known: Known) -> Bad:
    grant = known.vaults.grant(OUTSIDER, service="docs-d")
    other = known.vaults.seal(grant, FILES)
    return Bad(replace(other, header=known.second.header), details={"headers": [other.text]})


CASES: dict[str, tuple[Callable[[Known], Bad], type[ApplianceError], str]] = {
    "no header": (lambda k: Bad(k.next(), details={"headers": []}), IntegrityError, "names no generation"),
    "a header that is no text": (
        lambda k: Bad(k.next(), details={"headers": [5]}),
        IntegrityError,
        'the request\'s "headers" is not a list of texts',
    ),
    "half a character": (
        lambda k: Bad(k.next(), details={"headers": ["\ud800"]}),
        IntegrityError,
        "is not readable JSON",
    ),
    "a flood of headers": (
        lambda k: Bad(k.next(), details={"headers": ["x"] * 20_001}),
        NoSpace,
        "20001 headers in one push are more",
    ),
    "an unknown format": (
        lambda k: Bad(k.next(), details=_raw(k.next(), lambda raw: raw.replace('"format": 1', '"format": 9'))),
        Refused,
        "has format 9; this version reads format",
    ),
    "another type": (
        lambda k: Bad(k.next(), details={"headers": [k.grant.document.raw.decode()]}),
        IntegrityError,
        "this is not appliance/generation",
    ),
    "a changed byte": (
        lambda k: Bad(k.next(), details=_raw(k.next(), lambda raw: raw.replace("08:00:00", "08:00:01"))),
        IntegrityError,
        "the signature does not match its content",
    ),
    "a forged signature": (_foreign_key, Refused, "signed by a key that may not sign it"),
    "no signature": (
        lambda k: Bad(k.next(), details=_raw(k.next(), lambda raw: raw.split("\n")[0] + "\n")),
        IntegrityError,
        "there is no SSH signature",
    ),
    "a missing header before it": (_gap, NotFound, "the header before 2.4 is missing"),
    "a sequence that skips": (
        lambda k: Bad(k.next(sequence=5)),
        IntegrityError,
        "generation 2.5 cannot come after 2.2",
    ),
    "a huge sequence": (
        lambda k: Bad(k.next(sequence=9_999_999_999)),
        IntegrityError,
        "generation 2.9999999999 cannot come after 2.2",
    ),
    "a sequence beyond all numbers": (
        lambda k: Bad(k.next(), details=_resigned(k, k.next(), sequence=10**10)),
        IntegrityError,
        'field "sequence" is missing or out of range',
    ),
    "a huge epoch": (lambda k: Bad(k.next(epoch=65_534, sequence=1)), Refused, "there is no grant of epoch 65534"),
    "an epoch beyond all numbers": (
        lambda k: Bad(k.next(), details=_resigned(k, k.next(), epoch=65_536)),
        IntegrityError,
        'field "epoch" is missing or out of range',
    ),
    "an epoch that is true": (
        lambda k: Bad(k.next(), details=_resigned(k, k.next(), epoch=True)),
        IntegrityError,
        'field "epoch" is missing or out of range',
    ),
    "a second beginning": (
        lambda k: Bad(k.next(previous=NO_PARENT)),
        IntegrityError,
        "generation 2.3 names no generation before it",
    ),
    "a self-made epoch": (_self_made_grant, Refused, "appliance/grant is signed by a key that may not sign it"),
    "another grant of the same epoch": (
        _second_grant_of_an_epoch,
        Refused,
        "there is already another grant of epoch 2",
    ),
    "a grant of another service": (_grant_of_another_service, Refused, "the grant is for docs-d, not docs-a"),
    "a generation of another service": (_replayed_of_another_service, Refused, "signed by a key that may not sign it"),
    "the same key, for another service": (
        lambda k: Bad(k.next(), details=_resigned(k, k.next(), service="docs-d")),
        Refused,
        "the generation is of docs-d, not docs-a",
    ),
    "an epoch that ended": (
        _writer_of_an_older_epoch,
        Refused,
        "epoch 2 of docs-a ended: epoch 4 belongs to hermitage",
    ),
    "somebody else's grant": (_grant_of_somebody_else, Refused, "the grant of epoch 4 is for another node"),
    "the old key after a replacement": (
        _old_key_after_replacement,
        Refused,
        "the grant of epoch 2 is for another node",
    ),
    "another list than was signed": (
        lambda k: Bad(replace(k.next(), listing=k.first.listing)),
        IntegrityError,
        "the list of generation 2.3 is not the one that its header signs",
    ),
    "totals that are not the list's": (
        lambda k: Bad(k.next(), details=_resigned(k, k.next(), bytes=5)),
        IntegrityError,
        "the totals of generation 2.3 do not match its list",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_not_proven_is_refused_and_nothing_of_it_is_kept(known: Known, name: str) -> None:
    make_bad, error, sentence = CASES[name]
    bad = make_bad(known)
    before = known.vaults.holding(HOLDER).stored()
    with known.vaults.session(HOLDER, bad.caller) as channel, pytest.raises(ApplianceError) as caught:
        push(channel, bad.generation, bad.grants, bad.before, details=bad.details)
    assert type(caught.value) is error
    assert sentence in caught.value.what
    assert known.vaults.exit_code == error.exit_code
    assert known.vaults.holding(HOLDER).stored() == before
    assert assert_whole(known.vaults)[:2] == [known.first.name, known.second.name]


def test_a_gap_is_taken_when_the_missing_headers_come_along(known: Known) -> None:
    chain = known.vaults.chain(known.grant, 30, known.second)
    known.vaults.put(chain[-1], before=chain[:-1])
    assert assert_whole(known.vaults) == [known.first.name, known.second.name, chain[-1].name]
    assert len(known.vaults.holding(HOLDER).stored()) == 32


def test_a_chain_too_long_for_one_push_goes_ahead_in_parts(known: Known) -> None:
    chain = known.vaults.chain(known.grant, 9, known.second)
    with known.vaults.session(HOLDER, ORIGIN) as channel:
        for part in (chain[:4], chain[4:8]):
            ask(channel, "put", headers=[made.text for made in part], list_bytes=0)
            assert channel.read_frame() == {"kept": 4}
        push(channel, chain[-1])
    assert assert_whole(known.vaults) == [known.first.name, known.second.name, chain[-1].name]
    assert len(known.vaults.holding(HOLDER).stored()) == 11


def test_headers_of_an_ended_epoch_go_ahead_of_the_first_push_of_the_next(known: Known) -> None:
    """A spare that never heard of the service gets all of its history from the present writer."""
    newer = known.vaults.grant(STANDBY, known_epoch=2)
    opened = known.vaults.seal(newer, FILES, known.second)
    with known.vaults.session(SPARE, STANDBY) as channel:
        grants = [grant.document.raw.decode() for grant in (known.grant, newer)]
        ask(channel, "put", grants=grants, headers=[known.first.text, known.second.text], list_bytes=0)
        assert channel.read_frame() == {"kept": 2}
        push(channel, opened)
    assert assert_whole(known.vaults, SPARE) == [opened.name]


@pytest.mark.parametrize("caller", [STANDBY, OUTSIDER, HOLDER])
def test_headers_that_go_ahead_must_be_the_writers_too(known: Known, caller: str) -> None:
    before = known.vaults.holding(HOLDER).stored()
    with known.vaults.session(HOLDER, caller) as channel:
        ask(channel, "put", headers=[known.next().text], list_bytes=0)
        with pytest.raises((Refused, Forbidden)):
            channel.read_frame()
    assert known.vaults.holding(HOLDER).stored() == before


def test_headers_that_do_not_link_up_do_not_go_ahead(known: Known) -> None:
    chain = known.vaults.chain(known.grant, 3, known.second)
    with known.vaults.session(HOLDER, ORIGIN) as channel:
        ask(channel, "put", headers=[made.text for made in chain[1:]], list_bytes=0)
        with pytest.raises(NotFound, match=r"the header before 2\.4 is missing"):
            channel.read_frame()
    assert len(known.vaults.holding(HOLDER).stored()) == 2


def test_a_replayed_push_gets_the_same_receipt_and_changes_nothing(known: Known) -> None:
    before = known.vaults.holding(HOLDER).read(known.first.name, "receipt")
    known.vaults.advance(5000)
    with known.vaults.session(HOLDER, ORIGIN) as channel:
        assert push(channel, known.first).encode() == before
    assert assert_whole(known.vaults) == [known.first.name, known.second.name]


def test_two_generations_with_one_number_are_both_kept_and_reported(known: Known) -> None:
    one, other = known.next(), known.next(time="2026-11-25T09:00:00Z")
    known.vaults.put(one)
    known.vaults.put(other)
    assert set(assert_whole(known.vaults)) == {known.first.name, known.second.name, one.name, other.name}
    with known.vaults.session(HOLDER, STANDBY) as channel:
        answer = head(channel)
    assert answer["forks"] == ["2.3"]
    assert {_id(known, raw) for raw in answer["tips"]} == {one.name, other.name}, "each side can see the other"
    events = list(known.vaults.open(HOLDER).journal.events("vault-fork"))
    assert [event["generation"] for event in events] == ["2.3"]


def test_a_newer_epoch_that_names_one_side_ends_a_fork(known: Known) -> None:
    one, other = known.next(), known.next(time="2026-11-25T09:00:00Z")
    known.vaults.put(one)
    known.vaults.put(other)
    grant = known.vaults.grant(known_epoch=2)
    known.vaults.put(known.vaults.seal(grant, FILES, other), grant)
    with known.vaults.session(HOLDER, STANDBY) as channel:
        assert head(channel)["forks"] == []


def test_later_siblings_of_a_parent_stay_as_a_branch(known: Known) -> None:
    """A takeover continues from 2.1 while the vault holds 2.2 too: 2.2 stays, under the same lock."""
    grant = known.vaults.grant(STANDBY, known_epoch=2)
    taken_over = known.vaults.seal(grant, FILES, known.first)
    known.vaults.put(taken_over, grant, caller=STANDBY)
    assert assert_whole(known.vaults) == [known.first.name, known.second.name, taken_over.name]


def test_an_epoch_may_open_after_a_parent_that_only_its_header_tells_of(known: Known) -> None:
    third = known.next()
    grant = known.vaults.grant(STANDBY, known_epoch=2)
    opened = known.vaults.seal(grant, FILES, third)
    known.vaults.put(opened, grant, caller=STANDBY, before=[third])
    assert assert_whole(known.vaults) == [known.first.name, known.second.name, opened.name]


def test_the_origin_may_come_back_with_a_newer_grant_after_a_takeover(known: Known) -> None:
    """The hand-back: the vault's newest grant is the standby's when the origin brings its own."""
    there = known.vaults.grant(STANDBY, known_epoch=2)
    taken_over = known.vaults.seal(there, FILES, known.second)
    known.vaults.put(taken_over, there, caller=STANDBY)
    back = known.vaults.grant(ORIGIN, known_epoch=4)
    handed_back = known.vaults.seal(back, FILES, taken_over)
    known.vaults.put(handed_back, back)
    assert assert_whole(known.vaults)[-1] == handed_back.name


def _id(known: Known, raw: str) -> str:
    header: Header = read_header(raw.encode(), known.grant.writer_key)
    return header.id.name
