"""The voters and the reasons for them, in territories small enough to check by hand."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.config.load import load
from appliance.territory.domains import conflict
from appliance.territory.model import Event, Link, Territory
from appliance.territory.quorum import majority
from appliance.territory.voters import Voters, voters
from tests.worlds.small import LINK, node, territory

INVENTORY = Path(__file__).parents[3] / "inventory"


def why(found: Voters, name: str) -> str:
    (reason,) = [reason.why for reason in found.reasons if reason.node == name]
    return reason


def test_five_vote_where_there_are_five_failure_domains_the_standby_first() -> None:
    here = territory([node(name) for name in "abcdef"] + [node("hermitage", roles=("standby",), offered=0)])
    found = voters(here)
    assert found.nodes == ("hermitage", "a", "b", "c", "d")
    assert (found.named, found.losses_survived, found.lost_by) == (False, 2, ())
    assert why(found, "hermitage") == "is the standby, the preferred leader"
    assert why(found, "a") == "shares no failure domain with another voter"
    assert why(found, "e") == "is not needed: there are 5 voters"


def test_three_vote_where_the_zones_do_not_give_five() -> None:
    here = territory([node("a", "flood"), node("b", "flood"), node("c"), node("d"), node("e", "flood")])
    found = voters(here)
    assert found.nodes == ("c", "d", "a")
    assert (found.losses_survived, why(found, "b")) == (1, "shares zone flood with a")
    assert [event for event in found.lost_by if event.startswith("nodes")] == [
        "nodes a and c lost",
        "nodes a and d lost",
        "nodes c and d lost",
    ]


def test_a_node_that_stands_in_the_way_of_others_makes_room() -> None:
    """b votes already and conflicts with two; without it there are three."""
    here = territory([node("b", "north", "south"), node("c", "north"), node("d", "south"), node("e")])
    assert voters(here, previous=("b",)).nodes == ("e", "c", "d")


@pytest.mark.parametrize("count", [0, 1, 2])
def test_nobody_votes_where_there_are_fewer_than_three(count: int) -> None:
    found = voters(territory([node(f"n{number}") for number in range(count)]))
    assert (found.nodes, found.losses_survived, found.lost_by) == ((), 0, ())
    assert all(reason.why == "would need 2 others in distinct failure domains" for reason in found.reasons)


def test_those_that_the_territory_names_stay_whoever_would_be_better() -> None:
    here = territory([node(name, roles=("voter",) if name in "def" else ()) for name in "abcdef"])
    found = voters(here, previous=("a", "b", "c"))
    assert (found.nodes, found.named) == (("d", "e", "f"), True)
    assert why(found, "d") == "is named a voter"
    assert why(found, "a") == "is not needed: there are 3 voters"


def test_a_node_that_joins_moves_no_vote() -> None:
    before = voters(territory([node(name) for name in "cdefg"]))
    after = voters(territory([node(name) for name in "abcdefg"]), before.nodes)
    assert set(after.nodes) == set(before.nodes)
    assert why(after, "c") == "votes already"


def test_who_cannot_be_called_and_who_pays_by_the_byte_come_last() -> None:
    hidden = replace(node("a"), mesh="10.64.0.1", mesh_port=0)
    metered = replace(node("b"), uplink="4g")
    here = territory([hidden, metered, *(node(name) for name in "cdefg")])
    here = replace(here, links={"fibre": LINK, "4g": Link("4g", "4G", 1, 1, metered=True)})
    assert voters(here).nodes == ("c", "d", "e", "f", "g")


def test_who_may_fall_with_fewer_zones_comes_first() -> None:
    assert voters(territory([node("a", "feeder-a", "flood"), *(node(name) for name in "bcdef")])).nodes == tuple(
        "bcdef"
    )


def test_tolerated_zones_are_avoided_and_what_they_take_is_told() -> None:
    south = [node(name, "south") for name in "abc"]
    here = territory([*south, node("d"), node("e"), node("f"), node("g")], tolerated=("south",))
    assert voters(here).nodes == ("a", "d", "e", "f", "g")
    here = territory([*south, node("d")], tolerated=("south",), events={"storm": Event("storm", "Storm", ("south",))})
    found = voters(here)
    assert found.nodes == ("a", "d", "b")
    assert {"storm", "zone south lost"} < set(found.lost_by)


@given(st.lists(st.sets(st.sampled_from("pqrs"), max_size=2), max_size=9))
def test_no_two_voters_ever_fall_together_and_no_set_is_missed(zones: list[set[str]]) -> None:
    here = territory([node(f"n{number}", *sorted(of_node)) for number, of_node in enumerate(zones)])
    found = voters(here)
    assert len(found.nodes) in (0, 3, 5)
    assert not any(conflict(here, one, other) for one, other in combinations(found.nodes, 2))
    assert {reason.node for reason in found.reasons} == set(here.nodes)
    assert len(found.nodes) == max(count for count in (0, 3, 5) if _possible(here, count))


def _possible(here: Territory, count: int) -> bool:
    return any(
        not any(conflict(here, one, other) for one, other in combinations(chosen, 2))
        for chosen in combinations(here.nodes, count)
    )


def test_a_territory_of_many_nodes_in_few_zones_is_judged_at_once() -> None:
    here = territory([node(f"n{number:02}", f"zone-{number % 4}") for number in range(32)])
    assert len(voters(here).nodes) == 3


def test_the_example_and_the_laboratory_have_their_voters() -> None:
    example = voters(load(INVENTORY / "example"))
    assert (len(example.nodes), example.named, example.nodes[0]) == (5, True, "hermitage")
    lab = voters(load(INVENTORY / "lab"))
    assert (lab.nodes, lab.named) == (("hermitage", "commune-b", "commune-c"), True)


def test_a_majority_is_more_than_half() -> None:
    assert [majority(count) for count in (1, 3, 5)] == [1, 2, 3]
