"""The grants of former voters that the next bundle confirms, and when the key holder must ask the nodes first."""

from __future__ import annotations

from typing import Any

import pytest

from appliance.config.collected import Collected
from appliance.config.confirming import Confirming, confirm, unconfirmed_after
from appliance.trust.bundle import Bundle
from appliance.units import DAY
from tests.unit.config.shown_grants import BY_VOTERS, NOW, STATEMENT, shown
from tests.worlds.documents import HOLDER, HOME, LOCAL, STANDBY, bundle, by_key
from tests.worlds.voters import OUTSIDER, asked, granted, voting

FIRST = by_key().document.raw


def confirmed(*said: dict[str, Collected], before: Bundle = LOCAL, **more: Any) -> Confirming:
    return confirm(before, {name: it for each in said for name, it in each.items()}, now=NOW, **more)


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
    assert confirmed(shown(HOLDER, BY_VOTERS), shown(STANDBY, key=OUTSIDER)).unknown == {}, "another machine by now"


@pytest.mark.parametrize(
    ("ago", "counts"),
    [
        (0, True),
        (7 * DAY, True),
        (7 * DAY + 1, False),
        (90 * DAY, False),
        (-DAY, True),
        (-2 * DAY, False),
        (None, False),
    ],
)
def test_what_was_shown_long_ago_is_confirmed_and_says_nothing_of_newer_grants(ago: float | None, counts: bool) -> None:
    """Months later the writer may have another grant, which its former voters signed and nobody would believe."""
    brought = None if ago is None else NOW - ago
    found = confirmed(shown(STANDBY, FIRST, BY_VOTERS, brought=brought))
    assert found.digests == {STATEMENT}
    assert (found.unknown == {}) == counts
    assert found.old == ({} if counts else {STANDBY: brought})
    if not counts:
        assert confirmed(shown(STANDBY, BY_VOTERS, brought=brought), gone=(STANDBY, HOME, HOLDER)).unknown == {}


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


UNSHOWN = bundle(term=1, unconfirmed={"docs-a": (0,)})


def test_a_service_is_remembered_as_unconfirmed_where_the_voters_change() -> None:
    assert unconfirmed_after(LOCAL, confirmed(), 1) == {"docs-a": (0,)}
    assert unconfirmed_after(LOCAL, confirmed(shown(STANDBY, FIRST, BY_VOTERS)), 1) == {}
    assert unconfirmed_after(LOCAL, confirmed(), LOCAL.term) == {}, "the same voters believe what they granted"


def test_it_stays_so_until_the_voters_of_that_time_judged_what_its_nodes_show() -> None:
    shows = shown(STANDBY, FIRST, BY_VOTERS)
    for found in (
        confirmed(before=UNSHOWN),
        confirmed(shows, before=UNSHOWN),
        confirmed(before=UNSHOWN, earlier=[LOCAL]),
    ):
        assert unconfirmed_after(UNSHOWN, found, 1) == {"docs-a": (0,)}
        assert unconfirmed_after(UNSHOWN, found, 2)["docs-a"][0] == 0
    assert unconfirmed_after(UNSHOWN, confirmed(shows, before=UNSHOWN, earlier=[LOCAL]), 1) == {}


def test_a_grant_above_what_was_not_shown_settles_it() -> None:
    above = by_key(HOME, 512).document.raw
    assert unconfirmed_after(UNSHOWN, confirmed(shown(HOME, above), before=UNSHOWN), 2) == {}
    assert unconfirmed_after(UNSHOWN, confirmed(shown(HOLDER, above), before=UNSHOWN), 2) == {"docs-a": (0, 1)}


def test_former_terms_that_are_unknown_add_up() -> None:
    assert unconfirmed_after(UNSHOWN, confirmed(before=UNSHOWN), 2) == {"docs-a": (0, 1)}
