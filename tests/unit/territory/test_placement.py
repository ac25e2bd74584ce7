"""Where copies go and why, in territories small enough to check by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from appliance.territory.domains import conflict, counting_replica_nodes
from appliance.territory.model import Placement, Territory
from appliance.territory.placement import Infeasible, place, possible_copies, replacements
from appliance.units import GIB
from tests.worlds.small import node, service, territory


def why(placement: Placement, name: str) -> str:
    (found,) = [reason.why for reason in placement.reasons if reason.node == name]
    return found


def test_the_origin_and_its_zones_never_hold_a_copy() -> None:
    nodes = [node("attichy", "flood"), node("jaulzy", "flood"), node("tracy"), node("nampcel")]
    placement = place(territory(nodes, [service("docs", "attichy")]))["docs"]
    assert placement.holders == ("nampcel", "tracy")
    assert why(placement, "attichy").startswith("is the origin")
    assert why(placement, "jaulzy") == "shares zone flood with attichy"


def test_two_holders_never_share_a_zone_either() -> None:
    nodes = [node("a"), node("b", "feeder"), node("c", "feeder", offered=900), node("d", offered=800)]
    placement = place(territory(nodes, [service("docs", "a")]))["docs"]
    assert placement.holders == ("b", "d")
    assert placement.spares == ("c",)
    assert why(placement, "c") == "is a spare for one replica node only: shares zone feeder with b"


def test_two_nodes_of_one_site_share_a_failure_domain_that_nobody_declared() -> None:
    nodes = [node("a"), node("b", site="hall"), node("c", site="hall"), node("d", offered=100)]
    assert conflict(territory(nodes), "b", "c") == "is at the same site as c"
    assert place(territory(nodes, [service("docs", "a")]))["docs"].holders == ("b", "d")


def test_the_zones_of_the_site_count_as_those_of_the_node() -> None:
    nodes = [node("a", "flood"), node("b"), node("c")]
    here = territory(nodes, [service("docs", "a", copies=1)], site_zones={"site-b": ("flood",)})
    assert place(here)["docs"].holders == ("c",)


def test_named_standbys_come_first_in_their_order() -> None:
    nodes = [node("a"), node("b"), node("c"), node("d")]
    placement = place(territory(nodes, [service("docs", "a", copies=3, standbys=("d", "c"))]))["docs"]
    assert placement.holders == ("d", "c", "b")
    assert why(placement, "d") == "is a standby named for the service"


def test_every_named_standby_holds_a_copy_even_if_fewer_are_asked_for() -> None:
    nodes = [node("a"), node("b"), node("c")]
    assert place(territory(nodes, [service("docs", "a", copies=1, standbys=("c", "b"))]))["docs"].holders == ("c", "b")


def test_tolerated_zones_do_not_forbid_a_copy_but_are_avoided() -> None:
    nodes = [node("a", "south"), node("b", "south"), node("c", "north", offered=200), node("d", "south")]
    here = territory(nodes, [service("docs", "a", copies=2)], tolerated=("south", "north"))
    assert place(here)["docs"].holders == ("c", "b")


def test_a_node_without_room_says_what_it_offers_and_what_is_needed() -> None:
    nodes = [node("a"), node("b", offered=200), node("c"), node("d", offered=0)]
    placement = place(territory(nodes, [service("docs", "a", quota=340, copies=1)]))["docs"]
    assert why(placement, "b") == "offers 200 GiB, needs 340 GiB"
    assert why(placement, "d") == "offers nothing"


def test_a_node_that_is_full_says_what_is_left() -> None:
    nodes = [node("a"), node("b", offered=500), node("c", offered=500)]
    services = [service("one", "a", quota=300, copies=1), service("two", "a", quota=250, copies=1)]
    placement = place(territory(nodes, services))["two"]
    assert placement.holders == ("c",)
    assert why(placement, "b") == "offers 500 GiB and has 200 GiB of it left, needs 250 GiB"


def test_what_a_node_is_given_follows_what_it_lends() -> None:
    nodes = [node("origin"), node("small", offered=200), node("large", offered=600)]
    services = [service(f"docs-{index}", "origin", quota=10, copies=1) for index in range(8)]
    holders = [placement.holders for placement in place(territory(nodes, services)).values()]
    assert (holders.count(("large",)), holders.count(("small",))) == (6, 2)


def test_when_room_is_short_it_is_short_for_who_offers_less_than_it_asks() -> None:
    nodes = [node("giver", "z", offered=100), node("taker", "z", offered=0), node("peer", offered=100)]
    services = [service("a-docs-taker", "taker", copies=1), service("docs-giver", "giver", copies=1)]
    with pytest.raises(Infeasible, match="it needs 100 GiB of others and offers 0 B") as caught:
        place(territory(nodes, services))
    assert caught.value.service == "a-docs-taker"


def test_who_offers_what_it_asks_gets_the_better_place() -> None:
    nodes = [
        node("giver", "z", "south", offered=60),
        node("taker", "z", "south", offered=0),
        node("near", "south", offered=100),
        node("far", offered=100),
    ]
    services = [service("a-taker", "taker", copies=1, quota=60), service("giver", "giver", copies=1, quota=60)]
    placements = place(territory(nodes, services, tolerated=("south",)))
    assert placements["giver"].holders == ("far",)
    assert placements["a-taker"].holders == ("near",)


def test_a_copy_that_may_stand_elsewhere_makes_way_for_one_that_may_not() -> None:
    nodes = [node("a", "z"), node("b", "y"), node("c", "z", "x"), node("d", offered=100)]
    services = [service("easy", "b", copies=1), service("hard", "a", copies=2)]
    here = territory(nodes, services)
    now = {"easy": Placement("easy", ("d",))}
    placements = place(here, now)
    assert placements["hard"].holders == ("b", "d")
    assert placements["easy"].holders != ("d",)


def test_a_joining_node_moves_nothing_however_much_it_offers() -> None:
    here = territory([node("a"), node("b"), node("c")], [service("docs", "a")])
    before = place(here)
    joined = replace(
        territory([*here.nodes.values(), node("giant", offered=10_000)], here.services.values()), name=here.name
    )
    after = place(joined, before)
    assert after["docs"].holders == before["docs"].holders
    assert after["docs"].spares == ("giant",)
    assert why(after["docs"], "b") == "already holds it"


def test_a_lost_holder_is_replaced_by_the_first_spare_and_by_nobody_else() -> None:
    here = territory([node(name) for name in "abcdef"], [service("docs", "a")])
    before = place(here)
    lost = before["docs"].holders[0]
    rest = territory([it for it in here.nodes.values() if it.name != lost], here.services.values())
    after = place(rest, before)
    assert after["docs"].holders == (before["docs"].holders[1], before["docs"].spares[0])


def test_a_copy_leaves_a_node_that_has_moved_into_the_origins_zone() -> None:
    here = territory([node("a", "flood"), node("b"), node("c"), node("d")], [service("docs", "a")])
    before = {"docs": Placement("docs", ("b", "c"))}
    flooded = territory([node("a", "flood"), node("b", "flood"), node("c"), node("d")], here.services.values())
    assert place(flooded, before)["docs"].holders == ("c", "d")


def test_a_last_holder_gives_way_when_no_whole_set_contains_it() -> None:
    nodes = [node("a"), node("hub", "x", "y"), node("b", "x"), node("c", "y")]
    here = territory(nodes, [service("docs", "a")])
    assert place(here, {"docs": Placement("docs", ("hub",))})["docs"].holders == ("b", "c")


def test_what_cannot_be_placed_says_why_of_each_node() -> None:
    nodes = [node("a", "flood"), node("b", "flood"), node("c", offered=10), node("d")]
    with pytest.raises(Infeasible) as caught:
        place(territory(nodes, [service("docs", "a")]))
    assert caught.value.exit_code == 8
    assert str(caught.value).splitlines() == [
        "docs: 2 copies are requested, only 1 can be placed. "
        "Offer more space, declare a smaller quota, name another standby or ask for fewer copies.",
        "  a: is the origin, which never counts",
        "  b: shares zone flood with a",
        "  c: offers 10 GiB, needs 100 GiB",
        "  d: could hold one, but not together with enough others",
    ]


@pytest.mark.parametrize(
    ("standby", "said"),
    [
        (node("b", "flood"), "b: shares zone flood with a"),
        (node("b", offered=50), "b: offers 50 GiB, needs 100 GiB"),
    ],
    ids=["zone", "room"],
)
def test_a_standby_that_cannot_hold_the_copy_is_refused_rather_than_skipped(standby: object, said: str) -> None:
    here = territory([node("a", "flood"), standby, node("c")], [service("docs", "a", standbys=("b",))])  # type: ignore[list-item]
    with pytest.raises(Infeasible, match="its standby b cannot hold a copy") as caught:
        place(here)
    assert said in str(caught.value)


def test_only_spares_distinct_from_the_holders_left_may_stand_in() -> None:
    nodes = [node("a"), node("b", "x"), node("c", "y"), node("d", "x", offered=900), node("e", offered=800)]
    here = territory(nodes, [service("docs", "a")])
    placement = Placement("docs", ("b", "c"), ("e", "d"))
    assert replacements(here, placement, {"b"}) == ("e", "d")
    assert replacements(here, placement, {"c"}) == ("e",)
    assert replacements(here, placement, {"b", "e"}) == ("d",)


def test_after_a_takeover_copies_are_counted_from_the_new_writer() -> None:
    here = territory([node("a"), node("standby", "x"), node("b", "x"), node("c")])
    assert counting_replica_nodes(here, "a", ("standby", "c")) == ("standby", "c")
    assert counting_replica_nodes(here, "standby", ("standby", "b", "c")) == ("c",)


def test_as_many_acknowledged_copies_count_as_can_stand_together() -> None:
    here = territory([node("a"), node("hub", "x", "y"), node("b", "x"), node("c", "y")])
    assert counting_replica_nodes(here, "a", ("hub", "b", "c")) == ("b", "c")
    assert counting_replica_nodes(here, "a", ()) == ()


def test_possible_copies_look_at_zones_and_not_at_room() -> None:
    nodes = [node("a"), node("b", "x", offered=1), node("c", "x"), node("d", offered=0)]
    here: Territory = territory(nodes, [service("docs", "a", quota=100, copies=3)])
    assert possible_copies(here, here.services["docs"]) == 1
    assert here.nodes["b"].offered_bytes == GIB
