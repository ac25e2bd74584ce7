"""Properties of every placement, tested in random territories; each failing one is printed by Hypothesis."""

from __future__ import annotations

from itertools import combinations

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from appliance.territory.domains import conflict
from appliance.territory.model import Node, Service, Territory
from appliance.territory.placement import Infeasible, place, replacements
from appliance.territory.room import copies_wanted
from tests.worlds.drawn import ZONES, node_lists, territories
from tests.worlds.small import node, service, territory

EXAMPLES_MAX = min(60, settings.default.max_examples)  # each is a territory that is planned, some of them often
quick = settings(deadline=None, max_examples=EXAMPLES_MAX, suppress_health_check=[HealthCheck.filter_too_much])


def with_nodes(here: Territory, nodes: list[Node]) -> Territory:
    tolerated = tuple(name for name, zone in here.zones.items() if zone.tolerated)
    return territory(nodes, here.services.values(), tolerated=tolerated)


def feasible(here: Territory) -> bool:
    try:
        place(here)
    except Infeasible:
        return False
    return True


@quick
@given(territories())
def test_copies_are_in_distinct_failure_domains_and_within_what_is_offered(here: Territory) -> None:
    assume(feasible(here))
    placements = place(here)
    used = dict.fromkeys(here.nodes, 0)
    for it in here.services.values():
        holders = placements[it.name].holders
        assert len(holders) == copies_wanted(it)
        assert holders[: len(it.standbys)] == it.standbys
        assert not any(conflict(here, one, other) for one, other in combinations((it.node, *holders), 2))
        for holder in holders:
            used[holder] += it.quota_bytes
    assert all(used[name] <= here.nodes[name].offered_bytes for name in used)


@quick
@given(territories(), st.randoms(use_true_random=False))
def test_the_order_of_the_file_changes_nothing(here: Territory, random: object) -> None:
    assume(feasible(here))
    nodes, services = list(here.nodes.values()), list(here.services.values())
    random.shuffle(nodes)  # type: ignore[attr-defined]
    random.shuffle(services)  # type: ignore[attr-defined]
    tolerated = tuple(name for name, zone in here.zones.items() if zone.tolerated)
    assert place(territory(nodes, services, tolerated=tolerated)) == place(here)


@quick
@given(territories(), st.lists(st.sampled_from(ZONES), max_size=2, unique=True), st.integers(0, 20))
def test_a_node_that_joins_moves_nothing(here: Territory, zones: list[str], offered: int) -> None:
    assume(feasible(here))
    before = place(here)
    after = place(with_nodes(here, [*here.nodes.values(), node("joined", *zones, offered=offered)]), before)
    assert {name: it.holders for name, it in after.items()} == {name: it.holders for name, it in before.items()}


@quick
@given(territories(offered=st.just(1000)), st.data())
def test_a_node_that_leaves_moves_only_what_it_held(here: Territory, data: st.DataObject) -> None:
    assume(feasible(here))
    needed = {it.node for it in here.services.values()} | {
        name for it in here.services.values() for name in it.standbys
    }
    free = sorted(set(here.nodes) - needed)
    assume(free)
    gone = data.draw(st.sampled_from(free))
    rest = with_nodes(here, [it for it in here.nodes.values() if it.name != gone])
    assume(feasible(rest))
    before = place(here)
    after = place(rest, before)
    for name, placement in before.items():
        if gone not in placement.holders:
            assert after[name].holders == placement.holders


@quick
@given(territories())
def test_every_node_is_told_why_once_for_each_service(here: Territory) -> None:
    assume(feasible(here))
    for placement in place(here).values():
        assert sorted(reason.node for reason in placement.reasons) == sorted(here.nodes)
        accepted = [reason.node for reason in placement.reasons if reason.accepted]
        assert accepted == [*placement.holders, *placement.spares]
        assert all(reason.why for reason in placement.reasons)


@quick
@given(territories(), st.data())
def test_a_replacement_is_distinct_from_the_origin_and_from_every_holder_left(
    here: Territory, data: st.DataObject
) -> None:
    assume(feasible(here))
    for placement in place(here).values():
        lost = data.draw(st.sets(st.sampled_from(placement.holders), max_size=2))
        left = [name for name in placement.holders if name not in lost]
        for stand_in in replacements(here, placement, lost):
            others = (here.services[placement.service].node, *left)
            assert not any(conflict(here, stand_in, other) for other in others)


@quick
@given(node_lists(st.integers(0, 5)), st.integers(1, 5), st.integers(1, 3))
def test_a_single_service_is_refused_only_if_no_set_of_holders_exists(
    nodes: list[Node], quota: int, copies: int
) -> None:
    only: Service = service("docs", "n0", quota=quota, copies=copies)
    here = territory(nodes, [only])
    able = [it.name for it in nodes if it.offered_bytes >= only.quota_bytes and not conflict(here, it.name, "n0")]
    sets = [
        chosen
        for chosen in combinations(able, copies)
        if not any(conflict(here, one, other) for one, other in combinations(chosen, 2))
    ]
    assert feasible(here) is bool(sets)
