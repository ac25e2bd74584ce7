"""The bundle: only its signer, only forward, and whole or refused."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.errors import ApplianceError, IntegrityError, NotFound, Refused
from appliance.territory.model import Placement, Schedule, Service
from appliance.trust import bundle as bundles
from appliance.trust import former as formers
from appliance.trust import signed
from appliance.trust.bundle import Member, accept_bundle, load_bundle, make_bundle, read_bundle
from appliance.trust.former import Former, FormerReplicaNode, FormerService
from appliance.trust.keys import PublicKeys, public_line
from appliance.units import GIB
from tests.worlds.small import node, service, territory

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
PUBLIC = public_line(KEY)
PLAN = territory([node("a"), node("b", "z1"), node("c", "z1")], [service("docs", "a", quota=100)])
KEYS = PublicKeys(sign=PUBLIC, ssh=PUBLIC, host=PUBLIC, age="age1test")


def _make(serial: int = 1, key: Ed25519PrivateKey = KEY, **changed: Any) -> bytes:
    said: dict[str, Any] = {
        "issued": "2026-11-25T08:00:00Z",
        "territory": PLAN,
        "placements": {"docs": Placement("docs", ("b", "c"), ())},
        "members": {name: Member(PLAN.nodes[name], "peer", KEYS) for name in PLAN.nodes},
        "recovery": "age1recovery",
        **changed,
    }
    return make_bundle(key, serial=serial, **said)


def test_a_bundle_is_read_back_as_it_was_made() -> None:
    read = read_bundle(_make(serial=7), PUBLIC)
    assert (read.serial, read.territory, read.recovery) == (7, PLAN, "age1recovery")
    assert read.member("a") == Member(PLAN.nodes["a"], "peer", KEYS)
    assert read.terms("docs").replica_nodes == ("b", "c")
    assert read.member("a").account_for("b") == "peer"
    assert Member(PLAN.nodes["a"], "vault-", KEYS).account_for("b") == "vault-b"
    assert read.counted("a", ("b", "c")) == ("b",), "b and c lie in one zone"
    assert read.counted("gone", ("b",)) == ()


def test_it_says_up_to_which_epoch_a_grant_may_be_unknown() -> None:
    read = read_bundle(_make(unconfirmed={"docs": (0, 2)}, term=3), PUBLIC)
    assert (read.unconfirmed_epoch("docs"), read.passed_epoch("docs")) == (1535, 1535)
    assert (read.unconfirmed_epoch("other"), read.passed_epoch("other")) == (0, 0)
    assert b"unconfirmed" not in _make()


def test_terms_say_what_a_holder_takes() -> None:
    terms = read_bundle(_make(), PUBLIC).terms("docs")
    assert (terms.origin, terms.quota_bytes) == ("a", 100 * GIB)
    assert terms.daily_bytes == GIB, "never less than one"
    assert terms.seed_bytes == terms.service.size_bytes * 4 // 3
    unplaced = read_bundle(_make(placements={}), PUBLIC).terms("docs")
    assert (unplaced.replica_nodes, unplaced.spares) == ((), ())


def test_strangers_are_named_with_those_who_are_known() -> None:
    read = read_bundle(_make(), PUBLIC)
    with pytest.raises(NotFound, match='"d" has no keys in the territory bundle') as caught:
        read.member("d")
    assert caught.value.remedy == "Known: a, b, c."
    with pytest.raises(NotFound, match='no service "x"'):
        read.terms("x")


LEFT = FormerService(replace(PLAN.services["docs"], name="old", standbys=("b",)), ("b",), (), 3, "2026-11-24T08:00:00Z")


def test_a_service_that_left_is_told_with_its_bundle_and_its_last_terms_stay_known() -> None:
    read = read_bundle(_make(serial=3, former=Former({"old": LEFT})), PUBLIC)
    with pytest.raises(NotFound, match='the service "old" left the territory in bundle 3') as caught:
        read.terms("old")
    assert "can be restored on a or b" in caught.value.remedy
    assert (read.last_terms("old").replica_nodes, read.trusted("old")) == (("b",), ("a", "b"))
    assert read.care_terms("x") is None
    with pytest.raises(NotFound, match='no service "x"'):
        read.last_terms("x")


def test_a_service_of_the_plan_counts_before_a_former_one_of_the_same_name() -> None:
    read = read_bundle(_make(former=Former({"docs": replace(LEFT, service=PLAN.services["docs"])})), PUBLIC)
    assert (read.left("docs"), read.last_terms("docs").replica_nodes) == (None, ("b", "c"))


@pytest.mark.parametrize(
    "former",
    [
        Former({"old": replace(LEFT, holders=("../b",))}),
        Former({"old": replace(LEFT, since="yesterday")}),
        Former({"old": replace(LEFT, service=replace(LEFT.service, name="../old"))}),
        Former({}, (FormerReplicaNode("docs", "b/", 1, 3, LEFT.since),)),
    ],
)
def test_a_former_service_with_a_name_or_a_time_that_is_none_is_refused(former: Former) -> None:
    with pytest.raises(IntegrityError, match="former: "):
        read_bundle(_make(former=former), PUBLIC)


def test_an_unknown_field_of_what_left_is_refused_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formers, "to_json", lambda former: {"former": {"services": [], "holders": [], "more": 1}})
    with pytest.raises(IntegrityError, match='former has a field "more" that this version does not know'):
        read_bundle(_make(), PUBLIC)


@pytest.mark.parametrize("called", [[], {"docs": "../x"}, {"docs": 1}, {"docs": "b", "b": "c"}, {"x": "c", "y": "c"}])
def test_a_name_given_later_that_is_none_or_another_ones_is_refused(
    monkeypatch: pytest.MonkeyPatch, called: object
) -> None:
    monkeypatch.setattr(bundles.renamed_services, "to_json", lambda services: {"called": called})
    with pytest.raises(IntegrityError, match='"called" is malformed'):
        read_bundle(_make(), PUBLIC)


def test_a_schedule_of_minutes_is_apart_from_what_earlier_versions_read() -> None:
    docs = replace(PLAN.services["docs"], schedule=Schedule.of_minutes(15))
    read = read_bundle(_make(territory=replace(PLAN, services={"docs": docs})), PUBLIC)
    assert read.terms("docs").service.schedule == Schedule.of_minutes(15)
    (said,) = read.document.fields["territory"]["services"]
    assert said["schedule"] == {"daily_at": "", "every_hours": 1}
    assert "minutes" not in read_bundle(_make(), PUBLIC).document.fields


@pytest.mark.parametrize("minutes", [[], {"x": 15}, {"docs": "15"}, {"docs": 0}, {"docs": True}, {"docs": 10081}])
def test_minutes_that_are_none_or_of_no_service_are_refused(monkeypatch: pytest.MonkeyPatch, minutes: object) -> None:
    monkeypatch.setattr(bundles.minute_schedules, "to_json", lambda services: {"minutes": minutes})
    with pytest.raises(IntegrityError, match='"minutes" is malformed'):
        read_bundle(_make(), PUBLIC)


def test_another_signer_is_refused() -> None:
    with pytest.raises(Refused, match="signed by a key that may not sign it"):
        read_bundle(_make(key=OTHER), PUBLIC)


@pytest.mark.parametrize(
    ("serials", "present"),
    [([1], 1), ([1, 2], 2), ([1, 2, 2], 2), ([3, 9], 9)],
)
def test_serials_go_up_and_the_same_bundle_may_come_again(tmp_path: Path, serials: list[int], present: int) -> None:
    for serial in serials:
        accept_bundle(tmp_path / "bundle", _make(serial), PUBLIC)
    assert load_bundle(tmp_path / "bundle", PUBLIC).serial == present


def test_the_bundle_that_is_there_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    accept_bundle(path, _make(2), PUBLIC)
    before = path.stat()
    accept_bundle(path, _make(2), PUBLIC)
    assert (path.stat().st_ino, path.stat().st_ctime_ns) == (before.st_ino, before.st_ctime_ns)
    accept_bundle(path, _make(3), PUBLIC)
    assert path.stat().st_ino != before.st_ino


@pytest.mark.parametrize(("first", "second"), [(2, 1), (9, 8), (2**40, 1)])
def test_a_lower_serial_is_refused(tmp_path: Path, first: int, second: int) -> None:
    accept_bundle(tmp_path / "bundle", _make(first), PUBLIC)
    with pytest.raises(Refused, match=f"bundle {second} would replace bundle {first}"):
        accept_bundle(tmp_path / "bundle", _make(second), PUBLIC)
    assert load_bundle(tmp_path / "bundle", PUBLIC).serial == first


def test_another_content_for_the_same_serial_is_refused(tmp_path: Path) -> None:
    accept_bundle(tmp_path / "bundle", _make(2), PUBLIC)
    with pytest.raises(Refused, match="bundle 2 would replace bundle 2"):
        accept_bundle(tmp_path / "bundle", _make(2, recovery="age1other"), PUBLIC)


def test_a_refused_bundle_leaves_the_present_one(tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    accept_bundle(path, _make(2), PUBLIC)
    before = path.read_bytes()
    for raw in (_make(3, key=OTHER), _make(3)[:-5], b"", _make(1)):
        with pytest.raises(ApplianceError):
            accept_bundle(path, raw, PUBLIC)
        assert path.read_bytes() == before


def test_a_damaged_bundle_on_disk_is_not_lived_by(tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    path.write_bytes(_make(2).replace(b'"recovery"', b'"recoverx"'))
    with pytest.raises(IntegrityError, match="does not match its content"):
        load_bundle(path, PUBLIC)
    with pytest.raises(NotFound, match="no territory bundle yet"):
        load_bundle(tmp_path / "none", PUBLIC)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(IntegrityError):
        load_bundle(tmp_path / "pipe", PUBLIC)


def _fields() -> dict[str, Any]:
    fields = signed.read(_make(), bundles.TYPE, (PUBLIC,), bytes_max=bundles.BYTES_MAX).fields
    return {name: value for name, value in fields.items() if name not in ("type", "format")}


ISSUED = "2026-11-25T08:00:00Z"
BAD: dict[str, dict[str, Any]] = {
    "a serial of nothing": {"serial": 0},
    "a serial below": {"serial": -1},
    "a serial in text": {"serial": "7"},
    "a serial that is true": {"serial": True},
    "no issue": {"issued": ""},
    "no territory": {"territory": None},
    "a territory of something else": {"territory": []},
    "an unknown field of the territory": {"territory": {**_fields()["territory"], "moons": 2}},
    "placements of something else": {"placements": [5]},
    "nodes of something else": {"nodes": [5]},
    "a node without keys": {"nodes": {"a": {"user": "peer"}}},
    "a node without user": {"nodes": {"a": {"keys": asdict(KEYS)}}},
    "a node with an unknown key": {"nodes": {"a": {"user": "peer", "keys": {**asdict(KEYS), "x": "y"}}}},
    "a node with a key too few": {"nodes": {"a": {"user": "peer", "keys": {"sign": PUBLIC}}}},
    "terms of something else": {"unconfirmed": [5]},
    "unknown grants of no term": {"unconfirmed": {"docs": []}},
    "unknown grants of a term twice": {"unconfirmed": {"docs": [1, 1]}},
    "unknown grants of a term that cannot be": {"unconfirmed": {"docs": [128]}},
    "unknown grants of a term that is true": {"unconfirmed": {"docs": [True]}},
    "unknown grants of what is no name": {"unconfirmed": {"../docs": [1]}},
    "former voters of something else": {"former_voters": [5], "term": 1},
    "former voters of no term": {"former_voters": {"keys": {}, "until": ISSUED}, "term": 1},
    "former voters of the present term": {"former_voters": {"keys": {}, "term": 1, "until": ISSUED}, "term": 1},
    "former voters until some time": {"former_voters": {"keys": {}, "term": 0, "until": "today"}, "term": 1},
    "former voters of no name": {"former_voters": {"keys": {"../a": PUBLIC}, "term": 0, "until": ISSUED}, "term": 1},
    "keys of something else": {"nodes": {"a": {"user": "peer", "keys": 5}}},
}


@pytest.mark.parametrize("name", BAD)
def test_a_signed_bundle_with_a_malformed_field_is_refused_with_a_sentence(name: str) -> None:
    raw = signed.make(bundles.TYPE, {**_fields(), **BAD[name]}, KEY)
    with pytest.raises(IntegrityError) as caught:
        read_bundle(raw, PUBLIC)
    assert str(caught.value)


def test_a_node_with_keys_and_no_place_in_the_territory_is_refused() -> None:
    outsider = {**_fields()["nodes"], "d": {"user": "peer", "keys": asdict(KEYS)}}
    with pytest.raises(NotFound, match='no node "d"'):
        read_bundle(signed.make(bundles.TYPE, {**_fields(), "nodes": outsider}, KEY), PUBLIC)


@pytest.mark.parametrize("missing", ["serial", "issued", "territory", "placements", "nodes", "recovery"])
def test_a_bundle_lacks_no_field(missing: str) -> None:
    fields = {name: value for name, value in _fields().items() if name != missing}
    with pytest.raises(IntegrityError, match="missing"):
        read_bundle(signed.make(bundles.TYPE, fields, KEY), PUBLIC)


def test_a_bundle_has_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "BYTES_MAX", 100)
    with pytest.raises(IntegrityError, match="more than the 100 allowed"):
        read_bundle(_make(), PUBLIC)


def test_a_bundle_in_force_with_a_control_character_is_lived_by_and_a_new_one_is_refused(tmp_path: Path) -> None:
    """A former version signed such a title; after the upgrade its nodes could do nothing at all."""
    titled = replace(PLAN.services["docs"], title="Documents\n root preexec = id\u202e")
    plan = replace(PLAN, services={"docs": titled})
    path, raw = tmp_path / "bundle", _make(2, territory=plan, former=Former({"old": left(titled)}))
    path.write_bytes(raw)
    found = load_bundle(path, PUBLIC)
    assert found.terms("docs").service.title == "Documents  root preexec = id "
    assert found.former.services["old"].service.title == "Documents  root preexec = id "
    assert accept_bundle(path, raw, PUBLIC).serial == 2, "the same may come again"
    with pytest.raises(IntegrityError, match=r"services > title contains a line break or another control character"):
        accept_bundle(path, _make(3, territory=plan), PUBLIC)
    signed_after = _make(3, territory=found.territory, former=found.former)
    assert accept_bundle(path, signed_after, PUBLIC).terms("docs").service.title == "Documents  root preexec = id "


def left(it: Service) -> FormerService:
    return FormerService(replace(it, name="old"), ("b",), (), 2, "2026-11-25T08:00:00Z")


def test_operators_are_the_people_with_their_keys() -> None:
    assert read_bundle(_make(territory=replace(PLAN)), PUBLIC).operators == ()
