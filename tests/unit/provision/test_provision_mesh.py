"""The mesh from the bundle: who is whose peer, who begins, who meets at the relay, and what wg reads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from appliance.errors import IntegrityError
from appliance.provision import mesh
from appliance.territory.model import Node
from tests.worlds.towns import bundle, town

CASES = Path(__file__).parents[2] / "cases/provision"
HERMITAGE = town("hermitage", 1, roles=("standby", "control"))
NATTED = (town("commune-a", 2, port=0), town("commune-b", 3, port=0))
OPEN = town("commune-c", 4)
FOUR = (HERMITAGE, *NATTED, OPEN)


@pytest.mark.parametrize("name", ["hermitage", "commune-a", "commune-c"])
def test_the_configuration_is_as_it_was_read_by_people(name: str) -> None:
    found = mesh.plan(bundle(FOUR), name)
    assert found is not None
    assert mesh.render(found) == (CASES / f"{name}.mesh0.conf").read_text()


@pytest.mark.parametrize(
    ("nodes", "name", "peers", "keepalive", "allowed_by_relay"),
    [
        pytest.param(
            FOUR, "commune-a", "commune-c hermitage", 25, "10.90.0.1 10.90.0.3", id="behind NAT: by the relay"
        ),
        pytest.param(FOUR, "commune-c", "commune-a commune-b hermitage", 0, "10.90.0.1", id="open: everybody itself"),
        pytest.param((HERMITAGE, OPEN), "commune-c", "hermitage", 0, "10.90.0.1", id="both open"),
        pytest.param((HERMITAGE, NATTED[0]), "commune-a", "hermitage", 25, "10.90.0.1", id="one behind NAT"),
    ],
)
def test_each_node_has_all_the_others_as_peers_or_behind_the_relay(
    nodes: tuple[Node, ...], name: str, peers: str, keepalive: int, allowed_by_relay: str
) -> None:
    found = mesh.plan(bundle(nodes), name)
    assert found is not None
    by_name = {peer.name: peer for peer in found.peers}
    assert " ".join(by_name) == peers
    assert by_name["hermitage"].keepalive_seconds == keepalive
    assert " ".join(by_name["hermitage"].allowed) == allowed_by_relay
    assert found.cut_off == ()


def test_only_the_relay_hands_on_and_only_between_those_behind_nat() -> None:
    known = bundle(FOUR)
    relayed = {name: found.relayed for name in known.members if (found := mesh.plan(known, name))}
    assert relayed == {"hermitage": ("10.90.0.2", "10.90.0.3"), "commune-a": (), "commune-b": (), "commune-c": ()}
    alone = mesh.plan(bundle((HERMITAGE, NATTED[0], OPEN)), "hermitage")
    assert alone is not None
    assert alone.relayed == (), "one alone has nobody to be brought to"


def test_without_a_relay_those_who_cannot_meet_are_named() -> None:
    part = mesh.part(bundle((*NATTED, OPEN)), "commune-a")
    assert part.warnings == ("commune-a and commune-b are behind NAT, and no standby relays packets for them.",)
    assert mesh.part(bundle((*NATTED, OPEN)), "commune-c").warnings == ()


def test_a_node_without_a_place_or_a_key_has_no_mesh() -> None:
    apart = (HERMITAGE, town("commune-a", 2, mesh=False))
    assert mesh.plan(bundle(apart), "commune-a") is None
    assert mesh.part(bundle(apart), "commune-a").files == ()
    keyless = bundle((HERMITAGE, OPEN), keys={"commune-c": ""})
    assert mesh.plan(keyless, "commune-c") is None
    assert mesh.addresses(keyless) == ("10.90.0.1",)


def test_an_ipv6_address_stands_in_brackets_and_a_name_as_it_is() -> None:
    nodes = (town("x", 1, address="2001:db8::1"), town("y", 2, address="y.example.org"), OPEN)
    found = mesh.plan(bundle(nodes), "commune-c")
    assert found is not None
    assert [peer.endpoint for peer in found.peers] == ["[2001:db8::1]:51820", "y.example.org:51820"]


def test_what_is_no_address_is_refused_before_it_reaches_a_file() -> None:
    with pytest.raises(IntegrityError, match="is not an address of a mesh"):
        mesh.plan(bundle((HERMITAGE, replace(OPEN, mesh="10.90.0.4 PostUp = x"))), "hermitage")
