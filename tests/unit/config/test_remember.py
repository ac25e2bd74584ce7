"""A service that left the plan is remembered by each later bundle, counted in the room, and forgotten once it is
gone."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.backup.chain.growth import default_quota_of
from appliance.cli.territory.text import held_back_text
from appliance.clock import utc_text
from appliance.config.draft import Draft, draft
from appliance.config.remember import MARGIN_SECONDS, carry_on, kept, kept_until
from appliance.errors import Refused, UsageError
from appliance.territory.model import Service, Territory
from appliance.territory.placement import Infeasible
from appliance.territory.room import Room
from appliance.trust.bundle import Bundle, make_bundle, read_bundle
from appliance.trust.former import NOBODY
from appliance.trust.keys import public_line
from appliance.units import DAY, GIB
from tests.worlds.small import node, service, territory

KEY = Ed25519PrivateKey.from_private_bytes(b"\x99" * 32)
NOW = 1_790_000_000.0
NODES = tuple(node(name) for name in ("a", "b", "c", "d"))
DOCS = service("docs", "a", standbys=("b",))


def plan(*services: Service, offered: int = 1000, gone: Collection[str] = ()) -> Territory:
    nodes = [replace(it, offered_bytes=offered * GIB) for it in NODES if it.name not in gone]
    return territory(nodes, services)


def signed(made: Draft) -> Bundle:
    raw = make_bundle(
        KEY,
        serial=made.serial,
        issued=utc_text(NOW),
        territory=made.territory,
        placements=made.placements,
        members=made.members,
        recovery="",
        former=made.former,
    )
    return read_bundle(raw, public_line(KEY))


def after(before: Bundle | None, new: Territory, *, days: float = 0, forget: tuple[str, ...] = ()) -> Bundle:
    """The bundle that follows `before`, signed `days` after the first one."""
    return signed(draft(new, {}, now=NOW + days * DAY, previous=before, forget=forget))


FIRST = after(None, plan(DOCS, service("base", "c")))


def test_a_service_that_left_keeps_its_last_terms_in_every_bundle_after() -> None:
    second = after(FIRST, plan(service("base", "c")), days=1)
    third = after(second, plan(service("base", "c"), service("new", "d")), days=2)
    for bundle in (second, third):
        left = bundle.former.services["docs"]
        assert (left.serial, left.since, left.service) == (2, utc_text(NOW + DAY), FIRST.territory.services["docs"])
        assert left.holders == FIRST.placements["docs"].holders
        assert bundle.last_terms("docs") == FIRST.terms("docs")
        assert bundle.trusted("docs") == ("a", "b")


def test_a_service_that_comes_back_is_no_former_one() -> None:
    second = after(FIRST, plan(service("base", "c")))
    third = after(second, plan(DOCS, service("base", "c")))
    assert third.former.services == {}
    assert third.terms("docs").replica_nodes[0] == "b"


def test_a_service_that_left_is_forgotten_once_no_holder_can_keep_anything() -> None:
    second = after(FIRST, plan(service("base", "c")))
    end = (kept_until(second.former.services["docs"]) + MARGIN_SECONDS - NOW) / DAY
    assert "docs" in after(second, plan(service("base", "c")), days=end - 1).former.services
    assert after(second, plan(service("base", "c")), days=end).former.services == {}


@pytest.mark.long
def test_twelve_years_of_services_that_come_and_go_leave_a_bundle_that_stops_growing() -> None:
    bundle, sizes = FIRST, []
    for month in range(12 * 12):
        bundle = after(bundle, plan(service("base", "c"), service(f"m{month}", "d", quota=1)), days=31 * month)
        sizes.append(len(bundle.document.raw))
    assert sizes[-1] <= sizes[-6] + 100
    assert min(int(name[1:]) for name in bundle.former.services) > 0, "the oldest are forgotten"


def test_a_node_that_holds_a_service_no_more_is_remembered_while_both_are_in_the_plan() -> None:
    moved = replace(DOCS, standbys=("d",), copies=1)
    second = after(after(None, plan(replace(DOCS, copies=1))), plan(moved))
    assert [(it.service, it.node, it.serial) for it in second.former.holders] == [("docs", "b", 2)]
    third = after(second, plan(moved), days=700)
    assert third.former.holders == second.former.holders
    assert third.former.ceased("docs", "b")
    assert after(third, plan(replace(DOCS, copies=1))).former.holders[0].node == "d", "b holds it again"
    assert after(third, plan(moved, gone=("b",))).former.holders == ()


def test_room_of_what_left_is_not_promised_a_second_time() -> None:
    first = after(None, plan(replace(DOCS, copies=1), offered=150))
    assert first.placements["docs"].holders == ("b",)
    with pytest.raises(Infeasible, match="beside 100 GiB that it still holds of docs, needs 100 GiB"):
        after(first, plan(service("new", "a", standbys=("b",), copies=1), offered=150))
    after(first, plan(replace(DOCS, copies=1), offered=150))


def test_a_copy_that_comes_back_to_a_former_holder_needs_no_second_room() -> None:
    first = after(None, plan(replace(DOCS, copies=1), offered=150))
    second = after(first, plan(replace(DOCS, standbys=("c",), copies=1), offered=150))
    assert second.former.ceased("docs", "b")
    back = after(second, plan(replace(DOCS, copies=1), offered=150))
    assert back.placements["docs"].holders == ("b",)


def test_a_former_holder_takes_room_until_it_must_have_given_up_its_copy() -> None:
    moved = replace(DOCS, standbys=("c",), copies=1)
    second = after(after(None, plan(replace(DOCS, copies=1), offered=150)), plan(moved, offered=150))
    more = (moved, service("new", "d", standbys=("b",), copies=1))
    with pytest.raises(Infeasible, match="still holds of docs"):
        after(second, plan(*more, offered=150), days=89)
    assert after(second, plan(*more, offered=150), days=90).placements["new"].holders == ("b",)


def test_a_former_service_of_which_nobody_holds_anything_is_forgotten_when_told() -> None:
    second = after(FIRST, plan(service("base", "c")))
    assert after(second, plan(service("base", "c")), forget=("docs",)).former.services == {}
    with pytest.raises(UsageError, match='"base" is not a removed service'):
        after(second, plan(service("base", "c")), forget=("base",))


def test_room_of_a_copy_that_moves_away_is_not_promised_in_the_same_bundle() -> None:
    """It was, and the next bundle of the same plan found no room: nothing could be signed for 90 days."""
    first = after(None, plan(replace(DOCS, copies=1), offered=150))
    moved = replace(DOCS, standbys=("c",), copies=1)
    with pytest.raises(Infeasible, match="beside 100 GiB that it still holds of docs, needs 100 GiB"):
        after(first, plan(moved, service("new", "d", standbys=("b",), copies=1), offered=150))
    chosen = (moved, service("new", "d", copies=1))
    second = after(first, plan(*chosen, offered=150))
    assert second.placements["new"].holders == ("a",)
    assert after(second, plan(*chosen, offered=150), days=1).placements == second.placements


def test_a_copy_that_comes_back_has_no_room_where_another_service_has_left_its_own() -> None:
    kept = {("b", "docs"): 100 * GIB, ("b", "other"): 200 * GIB}
    why = Room(plan(DOCS, offered=250), kept).lack("b", DOCS)
    assert why == "offers 250 GiB and has 50 GiB of it left, beside 200 GiB that it still holds of other, needs 100 GiB"
    assert Room(plan(DOCS, offered=300), kept).lack("b", DOCS) == ""


def test_a_service_that_comes_back_to_other_nodes_leaves_former_holders() -> None:
    """They could not ask the present ones, and so never gave up what they had; nor was its room counted."""
    docs = replace(DOCS, copies=1)
    gone = after(after(None, plan(docs, service("base", "c"))), plan(service("base", "c")), days=1)
    back = after(gone, plan(replace(docs, standbys=("d",)), service("base", "c")), days=2)
    assert [(it.service, it.node) for it in back.former.holders] == [("docs", "b")]


def test_a_spare_that_is_in_no_list_any_more_may_still_learn_that_others_have_what_it_holds() -> None:
    """It may have stood in for a lost holder, and could never give that copy up. It takes no room that was promised."""
    first = after(None, plan(replace(DOCS, copies=1)))
    assert "d" in first.placements["docs"].spares
    nodes = [replace(it, offered_bytes=0 if it.name == "d" else 1000 * GIB) for it in NODES]
    second = after(first, territory(nodes, [replace(DOCS, copies=1)]), days=1)
    assert "d" not in second.placements["docs"].spares
    ceased = second.former.ceased("docs", "d")
    assert ceased
    assert (ceased.was_spare, ceased.serial, ceased.quota_bytes) == (True, 2, 0)
    assert kept(second.former, second.territory, NOW) == {}
    third = after(second, plan(replace(DOCS, copies=1)), days=2)
    assert third.former.holders == (), "it is a spare again"
    assert after(second, plan(service("base", "c")), days=2).former.services["docs"].holders == ("b",)


def test_a_service_that_leaves_is_held_by_its_former_holders_too() -> None:
    docs = replace(DOCS, copies=1)
    moved = after(after(None, plan(docs)), plan(replace(docs, standbys=("c",))), days=1)
    assert after(moved, plan(service("base", "c")), days=2).former.services["docs"].holders == ("c", "b")
    late = after(moved, plan(service("base", "c")), days=1 + 90)
    assert late.former.services["docs"].holders == ("c",), "b has given it up by then"


def test_a_service_that_comes_back_is_placed_where_its_copies_are() -> None:
    docs, base = service("docs", "a", copies=1), service("base", "c", standbys=("d",), copies=1)
    first = after(None, plan(docs, service("base", "c", standbys=("b",), copies=1)))
    held = first.placements["docs"].holders
    gone = after(first, plan(base), days=1)
    fresh = after(None, plan(docs, base)).placements["docs"].holders
    assert fresh != held, "it would go elsewhere if it was new"
    assert after(gone, plan(docs, base), days=2).placements["docs"].holders == held


def by_a_former_version(before: Bundle, new: Territory, *, days: float = 0) -> Bundle:
    """Return the bundle that a version without `former`, `called` and `confirmed` signs after `before`."""
    services = {name: replace(it, called="") for name, it in before.territory.services.items()}
    read = replace(
        before,
        territory=replace(before.territory, services=services),
        former=NOBODY,
        confirmed=frozenset(),
        unconfirmed={},
    )
    return signed(replace(draft(new, {}, now=NOW + days * DAY, previous=read), former=NOBODY))


BASE = service("base", "c")


def test_what_a_former_version_forgot_is_carried_on_and_said() -> None:
    """It was gone for ever, in silence: nothing was pruned, restored or counted, and those grants were refused."""
    first = after(None, plan(replace(DOCS, copies=1), BASE, service("gone", "d")))
    second = after(first, plan(replace(DOCS, standbys=("d",), copies=1), replace(BASE, called="basis")), days=1)
    second = replace(second, confirmed=frozenset({"c" * 64}), unconfirmed={"docs": (0,)})
    assert (set(second.former.services), bool(second.former.ceased("docs", "b"))) == ({"gone"}, True)
    third = by_a_former_version(second, plan(replace(DOCS, standbys=("d",), copies=1), BASE), days=2)
    assert (third.former, third.confirmed, third.territory.services["base"].called) == (NOBODY, frozenset(), "")
    found, told = carry_on(second, third)
    assert found.former == second.former
    assert found.confirmed == second.confirmed
    assert found.unconfirmed == second.unconfirmed
    assert found.territory.services["base"].called == "basis"
    assert [it.split(" lacks ")[1].split(" of bundle")[0] for it in told] == [
        "former services",
        "former holders",
        "later names",
        "confirmed grants",
        "services whose newest grant is not known",
    ]
    assert "gone" in after(found, plan(replace(DOCS, standbys=("d",), copies=1), BASE), days=3).former.services
    assert carry_on(found, found) == (found, ())


def test_what_left_in_the_bundle_of_a_former_version_is_found_too() -> None:
    second = by_a_former_version(FIRST, plan(BASE), days=1)
    found, (told,) = carry_on(FIRST, second)
    assert told == "Bundle 2 lacks former services of bundle 1; they are kept: docs."
    assert found.former.services["docs"].serial == 2


def test_nothing_is_carried_into_a_bundle_that_forgot_nothing() -> None:
    second = after(FIRST, plan(BASE), days=1)
    third = after(second, plan(BASE, service("new", "d")), days=2)
    for last, before in ((FIRST, third), (second, third), (third, third), (third, second)):
        assert carry_on(last, before) == (before, ())


def test_a_renamed_service_that_a_former_version_took_for_a_new_one_is_refused_with_the_way_out() -> None:
    second = after(FIRST, plan(DOCS, replace(BASE, called="basis")), days=1)
    third = by_a_former_version(second, plan(DOCS, service("basis", "c")), days=2)
    with pytest.raises(
        Refused, match='a new service "basis", but in bundle 2 that is the later name of "base"'
    ) as refused:
        carry_on(second, third)
    assert "--previous and add --serial 4" in refused.value.remedy


def grows(name: str, at: str, **words: Any) -> Service:
    """A service without a `quota` of its own, which a former version gave (size + change x lock) / 0.7."""
    it = replace(
        service(name, at, copies=1, **words), size_bytes=200 * GIB, change_bytes_per_day=GIB, lock_seconds=30 * DAY
    )
    return replace(it, quota_bytes=default_quota_of(it))


def as_before(it: Service) -> Service:
    return replace(it, quota_bytes=round((it.size_bytes + 30 * it.change_bytes_per_day) / 0.7))


def test_after_an_upgrade_a_default_quota_grows_only_where_room_is_and_the_bundle_can_be_signed() -> None:
    """The default quota of 200 GiB with 1 GiB a day became 2.9 TiB, and the first sign after it found no room."""
    large, small = grows("large", "a", standbys=("b",)), grows("small", "c", standbys=("b",))
    small = replace(small, size_bytes=20 * GIB, change_bytes_per_day=GIB // 10)
    small = replace(small, quota_bytes=default_quota_of(small))
    first = after(None, plan(as_before(large), as_before(small), offered=2000))
    made = draft(plan(large, small, offered=2000), {}, now=NOW, previous=first)
    assert dict(made.held_back) == {"large": large.quota_bytes}
    assert made.territory.services["large"].quota_bytes == as_before(large).quota_bytes
    assert made.territory.services["small"].quota_bytes == small.quota_bytes
    [line] = held_back_text(made.territory, made.held_back).splitlines()
    assert "large keeps the quota of 329 GiB that was signed before" in line
    assert "refuse backups from day" in line
    again = draft(plan(large, small, offered=9000), {}, now=NOW, previous=signed(made))
    assert (dict(again.held_back), again.territory.services["large"].quota_bytes) == ({}, large.quota_bytes)


def test_a_quota_that_was_asked_for_is_given_or_refused_and_never_held_back() -> None:
    large = grows("large", "a", standbys=("b",))
    first = after(None, plan(as_before(large), offered=2000))
    with pytest.raises(Infeasible, match="its standby b cannot hold a copy"):
        draft(plan(replace(large, quota_bytes=2500 * GIB), offered=2000), {}, now=NOW, previous=first)


def test_what_finds_no_room_with_the_former_quotas_either_is_refused_by_them() -> None:
    large = grows("large", "a", standbys=("b",))
    first = after(None, plan(as_before(large), offered=2000))
    with pytest.raises(Infeasible, match="its standby b cannot hold a copy"):
        draft(plan(large, offered=100), {}, now=NOW, previous=first)
