"""Territories that Hypothesis draws: few zones and little room, so that nodes are in each other's way."""

from __future__ import annotations

from hypothesis import strategies as st

from appliance.territory.domains import conflict
from appliance.territory.model import Node, Territory
from tests.worlds.small import node, service, territory

SCARCE = st.integers(0, 10)
ZONES = ("flood", "south", "north", "feeder", "region")


@st.composite
def node_lists(draw: st.DrawFn, offered: st.SearchStrategy[int]) -> list[Node]:
    count = draw(st.integers(3, 8))
    zones = st.lists(st.sampled_from(ZONES), max_size=2, unique=True)
    return [node(f"n{index}", *draw(zones), offered=draw(offered)) for index in range(count)]


@st.composite
def territories(draw: st.DrawFn, offered: st.SearchStrategy[int] = SCARCE) -> Territory:
    nodes = draw(node_lists(offered))
    tolerated = draw(st.sampled_from([(), ("region",), ("region", "south", "north")]))
    services = []
    for index in range(draw(st.integers(1, 6))):
        origin = draw(st.sampled_from(nodes)).name
        others = [it.name for it in nodes if not conflict(territory(nodes, tolerated=tolerated), it.name, origin)]
        standbys = tuple(draw(st.lists(st.sampled_from(others), max_size=1))) if others else ()
        quota, copies = draw(st.integers(1, 4)), draw(st.integers(1, 3))
        services.append(service(f"s{index}", origin, quota=quota, copies=copies, standbys=standbys))
    return territory(nodes, services, tolerated=tolerated)
