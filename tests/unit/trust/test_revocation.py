"""A revoked key stays revoked: in every later bundle, for every grant, for ever."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.errors import IntegrityError, Refused
from appliance.trust import revocation
from appliance.trust.bundle import Member, accept_bundle, make_bundle, read_bundle
from appliance.trust.grant import Grant
from appliance.trust.keys import PublicKeys, public_line
from appliance.trust.revocation import NOTHING, Ended, Revocation, Revoked, revoke
from appliance.trust.signed import Document
from tests.worlds.small import node, service, territory

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = public_line(KEY)
PLAN = territory([node("a"), node("b", "z1"), node("c", "z2")], [service("docs", "a")])
STOLEN = Revocation("b", PublicKeys("sign b", "ssh b", "host b", "age b", mesh="mesh b"), "2026-11-30T08:00:00Z", "why")


def _keys(name: str) -> PublicKeys:
    return PublicKeys(f"sign {name}", f"ssh {name}", f"host {name}", f"age {name}", mesh=f"mesh {name}")


def _bundle(serial: int, revoked: Revoked = NOTHING, **keys: PublicKeys) -> bytes:
    members = {name: Member(PLAN.nodes[name], "vault-", shown) for name, shown in keys.items()}
    return make_bundle(
        KEY,
        serial=serial,
        issued="2026-11-30T08:00:00Z",
        territory=PLAN,
        placements={},
        members=members,
        recovery="",
        revoked=revoked,
    )


def _grant(epoch: int, repository: str) -> Grant:
    nothing = Document("", {}, "", b"")
    return Grant("docs", epoch, repository, "a", "sign a", epoch - 2, 0, "", nothing)


def test_a_bundle_without_revocations_has_the_bytes_it_always_had() -> None:
    assert b"revoked" not in _bundle(1, a=_keys("a"))
    assert b"ended" not in _bundle(1, a=_keys("a"))


def test_it_is_read_back_as_it_was_signed() -> None:
    revoked = revoke(NOTHING, STOLEN, [Ended("docs", 4)])
    read = read_bundle(_bundle(1, revoked, a=_keys("a")), PUBLIC)
    assert read.revoked == revoked
    assert read.revoked_nodes == {"b"}
    assert (read.revoked.ended_epoch("docs"), read.revoked.ended_epoch("other")) == (4, 0)


def test_a_new_box_takes_the_place_with_keys_of_its_own() -> None:
    revoked = revoke(NOTHING, STOLEN, [])
    read = read_bundle(_bundle(1, revoked, a=_keys("a"), b=_keys("new b")), PUBLIC)
    assert read.revoked_nodes == frozenset()


@pytest.mark.parametrize("kind", ["sign", "ssh", "host", "age", "mesh"])
def test_no_key_of_it_comes_back_alone_or_under_another_name(kind: str) -> None:
    revoked = revoke(NOTHING, STOLEN, [])
    shown = replace(_keys("c"), **{kind: f"{kind} b"})
    with pytest.raises(Refused, match="c shows a key that was revoked"):
        read_bundle(_bundle(1, revoked, c=shown), PUBLIC)


def test_a_later_bundle_that_forgets_is_refused_whoever_signed_it(tmp_path: Path) -> None:
    path, revoked = tmp_path / "bundle", revoke(NOTHING, STOLEN, [Ended("docs", 4)])
    accept_bundle(path, _bundle(1, revoked, a=_keys("a")), PUBLIC)
    for serial, forgetful in enumerate((NOTHING, replace(revoked, ended={}), replace(revoked, ended={"docs": 2})), 2):
        with pytest.raises(Refused, match="lacks a revocation"):
            accept_bundle(path, _bundle(serial, forgetful, a=_keys("a")), PUBLIC)
    more = revoke(revoked, replace(STOLEN, node="c", keys=_keys("c")), [Ended("docs", 6), Ended("more", 2)])
    assert accept_bundle(path, _bundle(9, more, a=_keys("a")), PUBLIC).revoked.ended == {"docs": 6, "more": 2}


def test_what_is_ended_never_becomes_less() -> None:
    first = revoke(NOTHING, STOLEN, [Ended("docs", 6)])
    assert revoke(first, STOLEN, [Ended("docs", 4)]).ended_epoch("docs") == 6


CASES = [
    ("never revoked", NOTHING, {2: "old"}, True),
    ("ended", Revoked((), {"docs": 2}), {2: "old"}, False),
    ("started over", Revoked((), {"docs": 2}), {2: "old", 4: "new"}, True),
    ("a new grant for the old repository", Revoked((), {"docs": 2}), {2: "old", 4: "old"}, False),
    ("started over, then back to the old one", Revoked((), {"docs": 2}), {2: "old", 4: "new", 6: "old"}, False),
    ("ended twice", Revoked((), {"docs": 4}), {2: "old", 4: "new"}, False),
    ("another service ended", Revoked((), {"mail": 8}), {2: "old"}, True),
]


@pytest.mark.parametrize(("case", "revoked", "grants", "good"), CASES, ids=[case for case, *_ in CASES])
def test_who_may_write_what(case: str, revoked: Revoked, grants: dict[int, str], good: bool) -> None:
    known = {epoch: _grant(epoch, repository) for epoch, repository in grants.items()}
    if good:
        revoked.check_writing(known)
        return
    with pytest.raises(Refused, match="a node that was revoked could know its key"):
        revoked.check_writing(known)


@pytest.mark.parametrize(
    "fields",
    [
        {"revoked": [{"node": "b"}]},
        {"revoked": [{"node": "b", "keys": {"unknown": "x"}, "since": "x", "reason": "x"}]},
        {"revoked": 3},
        {"ended": [{"service": "docs", "epoch": 0}]},
        {"ended": [{"service": "docs", "epoch": True}]},
        {"ended": [{"service": "docs", "epoch": 65_536}]},
        {"ended": ["docs"]},
    ],
)
def test_anything_else_is_malformed(fields: dict[str, Any]) -> None:
    with pytest.raises((IntegrityError, KeyError, TypeError)):
        revocation.from_json(fields)
