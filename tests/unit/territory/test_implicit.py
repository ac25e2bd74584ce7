"""The service that each node has of its own: where its copies may go, and when there is none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from appliance.territory.codec import from_json, to_json
from appliance.territory.implicit import homes, implicit_name, is_implicit, with_implicit
from appliance.territory.model import Service, Territory
from appliance.territory.placement import place
from tests.worlds.small import node, service, territory

NODES = (node("a"), node("b"), node("c"), node("d"))


def own(of: Territory, name: str) -> Service:
    return with_implicit(of).services[implicit_name(name)]


def test_each_node_has_one_and_every_copy_its_place() -> None:
    made = with_implicit(territory(NODES, [service("docs", "a", standbys=("c",))]))
    assert set(made.services) == {"docs", "appliance-a", "appliance-b", "appliance-c", "appliance-d"}
    assert [name for name, it in made.services.items() if is_implicit(it)] == [f"appliance-{it.name}" for it in NODES]
    placements = place(made)
    assert placements["appliance-a"].holders[0] == "c"
    assert all(len(placements[f"appliance-{it.name}"].holders) == 2 for it in NODES)


def test_only_its_standbys_open_what_a_node_saves_of_itself() -> None:
    made = with_implicit(territory(NODES, [service("docs", "a", standbys=("c",)), service("mail", "b")]))
    assert {it.name: homes(made, it.name) for it in NODES} == {"a": (), "b": (), "c": ("a",), "d": ()}
    sealed = replace(own(made, "a"), key_access="sealed")
    assert homes(replace(made, services={**made.services, sealed.name: sealed}), "c") == ()


def test_what_was_placed_before_does_not_move() -> None:
    plain = territory(NODES, [service("docs", "a"), service("mail", "b")])
    before = place(plain)
    assert {name: it.holders for name, it in place(with_implicit(plain), before).items() if name in before} == {
        name: it.holders for name, it in before.items()
    }


@pytest.mark.parametrize(
    ("standbys", "usual"),
    [
        ([], ()),
        ([("c",)], ("c",)),
        ([("c",), ("d",)], ()),
        ([("c",), ("c",), ("d",)], ("c",)),
        ([("c", "d"), ("d", "c"), ("c",)], ("c", "d")),
        ([("c",), ()], ()),
    ],
)
def test_its_standbys_are_those_that_most_services_of_the_node_name(
    standbys: list[tuple[str, ...]], usual: tuple[str, ...]
) -> None:
    services = [service(f"s{number}", "a", standbys=named) for number, named in enumerate(standbys)]
    assert own(territory(NODES, services), "a").standbys == usual


def test_where_a_share_moves_its_standbys_have_the_accounts_of_its_people() -> None:
    share = replace(service("docs", "a", standbys=("d",)), share="Documents", address="10.64.8.1")
    others = [service("one", "a", standbys=("c",)), service("two", "a", standbys=("c",))]
    assert own(territory(NODES, [*others, share]), "a").standbys == ("d",)
    assert own(territory(NODES, [*others, replace(share, address="")]), "a").standbys == ("c",)


def test_copies_outside_are_those_that_most_services_of_the_territory_have() -> None:
    services = [
        service("one", "a", offline=("disk",)),
        service("two", "b", offline=("disk",), external=("amiens",)),
        service("three", "b", offline=("disk",), external=("amiens",)),
    ]
    made = own(territory(NODES, services), "d")
    assert (made.offline, made.external) == (("disk",), ("amiens",))


@pytest.mark.parametrize(
    ("nodes", "copies"),
    [
        ([node("a"), node("b"), node("c")], {"a": 2, "b": 2, "c": 2}),
        ([node("a"), node("b")], {"a": 1, "b": 1}),
        ([node("a"), node("b", offered=0)], {"b": 1}),
        ([node("a"), node("b", site="site-a")], {}),
        ([node("a")], {}),
    ],
)
def test_it_asks_for_as_many_copies_as_the_zones_allow(nodes: list[object], copies: dict[str, int]) -> None:
    made = with_implicit(territory(nodes))  # type: ignore[arg-type]
    assert {it.node: it.copies for it in made.services.values()} == copies
    place(made)


def test_a_territory_may_want_none() -> None:
    plain = replace(territory(NODES), own_backup=False)
    assert with_implicit(plain) == plain


def test_making_them_twice_changes_nothing_and_the_bundle_keeps_them() -> None:
    made = with_implicit(territory(NODES, [service("docs", "a", standbys=("c",))]))
    assert with_implicit(made) == made
    assert from_json(to_json(made)) == made
