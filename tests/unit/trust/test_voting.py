"""Which voters count, and that no two sets of them could ever grant one epoch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import IntegrityError, Refused
from appliance.trust import signed
from appliance.trust.bundle import TYPE, Bundle, Member, accept_bundle, make_bundle, read_bundle
from appliance.trust.generation import EPOCH_MAX
from appliance.trust.keys import PublicKeys, public_line
from appliance.trust.voting import TERM_MAX, Voting, check_term, next_term
from tests.worlds.small import node, territory
from tests.worlds.voters import KEYS, NAMES, OUTSIDER, voting

TERRITORY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
PUBLIC = public_line(TERRITORY)


def _bundle(voters: tuple[str, ...], serial: int = 1, without: tuple[str, ...] = (), **fields: Any) -> bytes:
    plan = territory([node(name, roles=("voter",) if name in voters else ("standby",)) for name in NAMES])
    members = {
        name: Member(plan.nodes[name], "peer", PublicKeys(public_line(KEYS[name]), f"ssh {name}", f"host {name}", "a"))
        for name in NAMES
        if name not in without
    }
    said = {"issued": "2026-11-25T08:00:00Z", "territory": plan, "placements": {}, "members": members, "recovery": ""}
    return make_bundle(TERRITORY, serial=serial, **{**said, **fields})


def _read(raw: bytes) -> Bundle:
    return read_bundle(raw, PUBLIC)


def test_only_the_declared_role_makes_a_voter() -> None:
    """A plan proposes others from the same territory; no proposal may grant anything."""
    bundle = _read(_bundle(NAMES[:3]))
    assert bundle.voting == voting(NAMES[:3])
    assert bundle.granters == replace(bundle.granters, territory_key=PUBLIC, voting=bundle.voting, accepted=frozenset())
    assert not _read(_bundle(())).voting.can_sign


def test_a_voter_without_keys_counts_and_cannot_sign() -> None:
    voters = _read(_bundle(NAMES, without=NAMES[3:])).voting
    assert (voters.needed, voters.can_sign, voters.keys["hermitage"]) == (3, True, "")
    assert not _read(_bundle(NAMES, without=NAMES[2:])).voting.can_sign


def test_the_bundle_keeps_the_term_and_what_was_confirmed_and_older_ones_have_neither() -> None:
    bundle = _read(_bundle(NAMES, term=3, confirmed=["ab" * 32, "01" * 32]))
    assert (bundle.term, bundle.voting.first, bundle.confirmed) == (3, 1537, {"ab" * 32, "01" * 32})
    assert bundle.granters.accepted == bundle.confirmed
    plain = _bundle(NAMES)
    assert b'"term"' not in plain
    assert b'"confirmed"' not in plain
    assert (_read(plain).term, _read(plain).confirmed) == (0, frozenset())


@pytest.mark.parametrize(
    ("name", "value"),
    [("term", -1), ("term", 128), ("term", "1"), ("term", True), ("confirmed", "ab"), ("confirmed", ["AB" * 32])],
)
def test_a_bundle_with_a_term_or_digests_of_another_form_is_refused(name: str, value: object) -> None:
    fields = signed.read(_bundle(NAMES), TYPE, (PUBLIC,), bytes_max=10**6).fields
    said = {key: kept for key, kept in fields.items() if key not in ("type", "format")}
    with pytest.raises(IntegrityError, match=name):
        _read(signed.make(TYPE, {**said, name: value}, TERRITORY))


@given(st.integers(0, TERM_MAX), st.integers(0, EPOCH_MAX))
def test_a_term_grants_odd_epochs_of_its_own_range_above_what_is_known(term: int, known: int) -> None:
    voters = voting(term=term)
    try:
        epoch = voters.epoch_above(known, "docs-a")
    except Refused:
        assert known >= voters.last
        return
    assert epoch % 2 == 1
    assert known < epoch <= max(known + 2, voters.first)
    assert [other for other in (term - 1, term, term + 1) if voting(term=other).owns(epoch)] == [term]


def test_the_last_term_ends_with_the_last_epoch() -> None:
    assert (voting().first, voting().last) == (1, 511)
    assert voting(term=TERM_MAX).last == EPOCH_MAX
    with pytest.raises(Refused, match="no epoch above 511 left for docs-a in their term 0"):
        voting().epoch_above(511, "docs-a")


OTHERS = Voting({**voting().keys, "hermitage": public_line(OUTSIDER)})
STEPS = {
    "the first bundle": (None, voting(), 0),
    "nothing changed": (voting(term=2), voting(), 2),
    "one was replaced": (voting(term=2), OTHERS, 3),
    "one left": (voting(term=2), voting(NAMES[:3]), 3),
    "none are declared any more": (voting(term=2), Voting({}), 3),
    "some are declared again": (Voting({}, 3), voting(), 3),
    "before enough had keys nothing could be signed": (
        Voting({**dict.fromkeys(NAMES, ""), "hermitage": public_line(KEYS["hermitage"])}),
        voting(),
        0,
    ),
}


@pytest.mark.parametrize(("before", "after", "term"), STEPS.values(), ids=STEPS)
def test_another_set_has_another_term(before: Voting | None, after: Voting, term: int) -> None:
    assert next_term(before, after.keys) == term
    if before:
        check_term(replace(after, term=term), before)
    if before and term > before.term:
        with pytest.raises(Refused, match=f"voters of term {term - 1}, after term {before.term}: they could grant"):
            check_term(replace(after, term=term - 1), before)


def test_epochs_that_a_revocation_ended_end_the_term() -> None:
    assert next_term(voting(term=2), voting().keys, ended=True) == 3
    assert next_term(Voting({}, 2), {}, ended=True) == 2, "nobody could have granted any"


def test_how_far_voters_may_have_come_is_known_without_asking_them() -> None:
    assert [voting(term=term).reached for term in (0, 1)] == [511, 1023]
    assert [Voting({}, term).reached for term in (0, 1)] == [0, 511], "former ones may have"


def test_there_is_no_term_after_the_last() -> None:
    assert next_term(voting(term=TERM_MAX), voting().keys) == TERM_MAX
    with pytest.raises(Refused, match="all their 128 terms"):
        next_term(voting(term=TERM_MAX), OTHERS.keys)


def test_a_node_takes_no_bundle_with_other_voters_in_the_same_term(tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    accept_bundle(path, _bundle(NAMES), PUBLIC)
    with pytest.raises(Refused, match="they could grant an epoch twice") as caught:
        accept_bundle(path, _bundle(NAMES[:3], serial=2), PUBLIC)
    assert "--previous" in caught.value.remedy
    accept_bundle(path, _bundle(NAMES[:3], serial=2, term=1), PUBLIC)
    with pytest.raises(Refused, match="voters of term 0, after term 1"):
        accept_bundle(path, _bundle(NAMES[:3], serial=3), PUBLIC)
