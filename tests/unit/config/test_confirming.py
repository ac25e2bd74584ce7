"""What the next bundle confirms of former voters' grants, and when the key holder must ask the nodes first."""

from __future__ import annotations

from typing import Any

from appliance.config.collected import Collected
from appliance.config.confirming import Confirming, confirm
from appliance.trust.bundle import Bundle
from appliance.trust.keys import PublicKeys, public_line
from appliance.trust.voted import read_voted
from tests.unit.failover.test_granting import HOLDER, HOME, LOCAL, STANDBY, bundle, by_key
from tests.unit.trust.voters import KEYS, STRANGER, asked, granted, voting

FIRST = by_key().document.raw
BY_VOTERS = granted(asked(2, STANDBY), voting())
STATEMENT = read_voted(BY_VOTERS, voting()).statement


def shown(name: str, *grants: bytes, says: bool = True, key: Any = None) -> dict[str, Collected]:
    keys = PublicKeys(public_line(key or KEYS[name]), f"ssh {name}", f"host {name}", "a")
    return {name: Collected("peer", keys, grants if says else None)}


def confirmed(*said: dict[str, Collected], before: Bundle = LOCAL, **more: Any) -> Confirming:
    return confirm(before, {name: it for each in said for name, it in each.items()}, **more)


def test_a_voted_grant_that_its_writer_shows_is_confirmed_and_nothing_is_unknown() -> None:
    found = confirmed(shown(STANDBY, FIRST, BY_VOTERS), shown(HOLDER, FIRST))
    assert found.digests == {STATEMENT}
    assert {name: grant.epoch for name, grant in found.newest.items()} == {"docs-a": 3}
    assert (found.unknown, found.refused) == ({}, ())


def test_a_grant_of_the_key_holder_needs_no_confirming() -> None:
    found = confirmed(shown(HOME, FIRST))
    assert (found.digests, found.newest, found.unknown) == (frozenset(), {}, {})


def test_a_service_is_unknown_when_no_node_that_may_know_its_grant_said_so() -> None:
    for said in ({}, shown(HOME, says=False), shown("commune-d", BY_VOTERS)):
        assert set(confirmed(said).unknown["docs-a"]) == {HOME, STANDBY, HOLDER}


def test_the_writer_of_the_newest_grant_that_was_shown_must_say_so_itself() -> None:
    """A holder that was away for a month may show an old one: that writer, or who followed it, knows a newer one."""
    assert confirmed(shown(HOLDER, BY_VOTERS)).unknown == {"docs-a": (STANDBY,)}
    assert confirmed(shown(HOLDER, FIRST)).unknown == {"docs-a": (HOME,)}
    assert confirmed(shown(HOLDER, BY_VOTERS), gone=(STANDBY,)).unknown == {}
    assert confirmed(shown(HOLDER, BY_VOTERS), shown(STANDBY, key=STRANGER)).unknown == {}, "another machine by now"


def test_what_others_than_the_voters_signed_is_named_and_not_confirmed() -> None:
    by_few = granted(asked(2, STANDBY), voting(), ("commune-a", "commune-b"))
    found = confirmed(shown(STANDBY, by_few, b"no grant at all"), shown(HOME, FIRST))
    assert found.digests == frozenset()
    assert [it.split(" shows")[0] for it in found.refused] == [STANDBY]


def test_an_earlier_bundle_lets_grants_of_its_voters_be_confirmed() -> None:
    before = bundle(voters=("commune-b", "commune-c", "commune-d"), term=1)
    assert confirmed(shown(STANDBY, BY_VOTERS), before=before).refused
    found = confirmed(shown(STANDBY, BY_VOTERS), before=before, earlier=[LOCAL])
    assert (found.digests, found.refused) == ({STATEMENT}, ())
