"""Where the control machine asks a node: at its address, or behind a carrier's NAT as ssh_config leads to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from appliance.config.load import load
from appliance.config.machines import machines_of
from appliance.host.network.machines import Machine
from appliance.territory.model import Territory

CASE = Path(__file__).parents[2] / "cases/hosts/territory.yml"
MET = {"hermitage": "ssh-ed25519 HHHH", "commune-a": "ssh-ed25519 AAAA"}
HERMITAGE = Machine("hermitage", "10.77.0.10", 22, MET["hermitage"])


def territory(**changed: object) -> Territory:
    """The lab's, in which commune-a is changed."""
    found = load(CASE)
    node = replace(found.nodes["commune-a"], mesh="10.64.0.2", **changed)  # type: ignore[arg-type]
    return replace(found, nodes={**found.nodes, "commune-a": node})


def machine(found: Territory, *way: str) -> Machine:
    (made,) = machines_of(found, [found.nodes["commune-a"]], MET, lambda address: (way[0], way[1]))
    return made


def test_a_node_that_takes_connections_is_asked_at_its_address_whatever_ssh_config_says() -> None:
    found = machine(territory(mesh_port=51820), "10.64.0.2", "hermitage")
    assert found == Machine("commune-a", "10.77.1.10", 22, MET["commune-a"])


@pytest.mark.parametrize("jump", ["hermitage", "root@hermitage", "root@10.77.0.10:22"])
def test_a_node_behind_nat_is_asked_through_the_node_that_ssh_config_names(jump: str) -> None:
    found = machine(territory(mesh_port=0), "10.64.0.2", jump)
    assert found == Machine("commune-a", "10.64.0.2", 22, MET["commune-a"], through=HERMITAGE)


def test_a_node_behind_nat_is_asked_at_its_address_where_ssh_config_says_nothing() -> None:
    assert machine(territory(mesh_port=0), "10.77.1.10", "") == Machine("commune-a", "10.77.1.10", 22, MET["commune-a"])


@pytest.mark.parametrize("jump", ["bastion.example", "hermitage,commune-b"])
def test_one_that_is_no_node_of_the_territory_has_no_host_key(jump: str) -> None:
    through = machine(territory(mesh_port=0), "10.64.0.2", jump).through
    assert through is not None
    assert through.host_key == ""
