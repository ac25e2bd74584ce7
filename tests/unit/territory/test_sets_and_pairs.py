"""Sets of nodes and services decide as the rules do pair by pair, in territories that are drawn."""

from __future__ import annotations

import re
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.cli.territory.text import survival_text
from appliance.territory.choice import complete
from appliance.territory.domains import conflict, tolerated_zones_shared
from appliance.territory.model import Event, ExternalPeer, OfflineDisk, Placement, Service, Territory
from appliance.territory.outcomes import outcomes
from appliance.territory.placement import possible_copies
from appliance.territory.room import Room, copies_wanted
from appliance.territory.survival import prove
from appliance.units import DAY, HOUR
from tests.unit.territory import pair_by_pair
from tests.worlds.drawn import territories
from tests.worlds.small import node, service, territory

EXAMPLES_MAX = min(60, settings.default.max_examples)
quick = settings(deadline=None, max_examples=EXAMPLES_MAX)


@st.composite
def full_of_everything(draw: st.DrawFn) -> Territory:
    """With nodes of one site, declared events, copies outside, and sealed keys."""
    here = draw(territories())
    names = st.sampled_from(sorted(here.nodes))
    hall = draw(st.sets(names, max_size=3))
    nodes = {name: replace(it, site="site-n0") if name in hall else it for name, it in here.nodes.items()}
    services = {name: _outside(draw, it) for name, it in here.services.items()}
    crue = Event("crue", "Crue", zones=tuple(sorted(here.zones)[:1]), nodes=(draw(names),))
    return replace(
        here,
        nodes=nodes,
        services=services,
        zones={name: replace(it, warning_seconds=draw(st.sampled_from([0, HOUR]))) for name, it in here.zones.items()},
        events={"crue": crue} if draw(st.booleans()) else {},
        external={"peer": ExternalPeer("peer", "Pair", "FR", "peer.example.org", 22, draw(st.booleans()))},
        offline={"disk": OfflineDisk("disk", "Disque", draw(st.sampled_from(["", "site-n0"])), 30 * DAY)},
    )


def _outside(draw: st.DrawFn, it: Service) -> Service:
    external, offline = draw(st.sampled_from([(), ("peer",)])), draw(st.sampled_from([(), ("disk",)]))
    return replace(it, external=external, offline=offline, key_access=draw(st.sampled_from(["hot", "sealed"])))


def holders(draw: st.DrawFn, here: Territory) -> dict[str, Placement]:
    """Any nodes hold a service, none or many: what is left of it is no question of whether that is a good placement."""
    return {
        name: Placement(name, tuple(draw(st.lists(st.sampled_from(others), max_size=3, unique=True))))
        for name, it in here.services.items()
        if (others := sorted(here.nodes.keys() - {it.node}))
    }


@quick
@given(full_of_everything())
def test_two_nodes_conflict_for_the_same_reason(here: Territory) -> None:
    for one in here.nodes:
        near = tolerated_zones_shared(here, (one, "n0"))
        for other in here.nodes:
            assert conflict(here, one, other) == pair_by_pair.conflict(here, one, other)
            shared = [pair_by_pair.shared_zones(here, it, other, tolerated=True) for it in (one, "n0")]
            assert near(other) == len(shared[0]) + len(shared[1])


@quick
@given(full_of_everything(), st.data())
def test_the_same_nodes_are_chosen_for_a_service(here: Territory, data: st.DataObject) -> None:
    room = Room(here)
    for it in here.services.values():
        spares = tuple(data.draw(st.lists(st.sampled_from(sorted(here.nodes)), max_size=3, unique=True)))
        wanted = copies_wanted(it)
        chosen = pair_by_pair.choose(here, it, room, wanted, it.standbys, spares)
        assert complete(here, it, room, it.standbys, spares) == chosen
        for holder in chosen:
            room.take(holder, it)


@quick
@given(full_of_everything())
def test_the_same_number_of_copies_is_possible(here: Territory) -> None:
    for it in here.services.values():
        small = replace(it, quota_bytes=0)
        found = pair_by_pair.choose(here, small, Room(here), copies_wanted(it), it.standbys, ())
        assert possible_copies(here, it) == len(found)


@quick
@given(full_of_everything(), st.data())
def test_each_event_takes_the_services_that_its_verdicts_say(here: Territory, data: st.DataObject) -> None:
    placements = holders(data.draw, here)
    verdicts = list(prove(here, placements))
    found = outcomes(here, placements)
    assert [it for outcome in found for it in outcome.lost] == [it for it in verdicts if not it.survives]
    for outcome in found:
        left = [it.copies_left for it in verdicts if it.event == outcome.loss.event and it.survives]
        assert (outcome.surviving, outcome.fewest) == (len(left), min(left, default=0))


@quick
@given(full_of_everything(), st.data())
def test_the_table_of_events_has_the_rows_of_all_verdicts(here: Territory, data: st.DataObject) -> None:
    placements = holders(data.draw, here)
    shown = survival_text(here, outcomes(here, placements)).splitlines()
    rows = [re.split(r" {2,}", line) for line in shown if not line.startswith(("Warning", "EVENT"))]
    planned = 5 if any(it.external or it.offline for it in here.services.values()) else 4
    assert rows == [row[:planned] for row in pair_by_pair.survival_rows(list(prove(here, placements)))]


def test_a_territory_without_services_has_no_outcome() -> None:
    here = territory([node("a"), node("b")])
    assert outcomes(here, {}) == tuple(prove(here, {})) == ()


def test_nodes_that_conflict_with_the_same_nodes_are_not_tried_one_by_one() -> None:
    """Four zones of sixty nodes never give five: to try each set of four would take days."""
    nodes = [node(f"n{index:03d}", f"zone-{index % 4}") for index in range(240)]
    docs = service("docs", "n000", copies=5)
    assert possible_copies(territory(nodes, [docs]), docs) == 3
