"""The packet filter from the bundle: declared callers get in, and the person who applies it is not locked out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from appliance.errors import Refused, UsageError
from appliance.provision import firewall
from appliance.provision.firewall import Snippet
from tests.worlds.towns import bundle, town

CASES = Path(__file__).parents[2] / "cases/provision"
FOUR = bundle(
    (
        town("hermitage", 1, roles=("standby", "control")),
        town("commune-a", 2, port=0),
        town("commune-b", 3, port=0),
        town("commune-c", 4),
    )
)
OPERATORS = ("198.18.0.0/15", "2001:db8:1::/48")
SAMBA = Snippet("share.nft", "ip saddr 10.1.2.0/24 tcp dport 445 accept\n")


@pytest.mark.parametrize("name", ["hermitage", "commune-a", "commune-c"])
def test_the_rules_are_as_they_were_read_by_people(name: str) -> None:
    snippets = (SAMBA,) if name == "commune-a" else ()
    assert firewall.render(FOUR, name, OPERATORS, snippets) == (CASES / f"{name}.nft").read_text()


@pytest.mark.parametrize(
    ("lan", "rules"),
    [
        (
            ("10.2.0.0/24", "10.2.1.0/24", "fd00:2::/64"),
            ["ip saddr { 10.2.0.0/23 } tcp dport 445 accept", "ip6 saddr { fd00:2::/64 } tcp dport 445 accept"],
        ),
        ((), []),
    ],
)
def test_a_role_says_at_which_port_it_serves_pcs_and_the_bundle_where_they_are(
    lan: tuple[str, ...], rules: list[str]
) -> None:
    plan = FOUR.territory
    site = replace(plan.sites[plan.nodes["commune-a"].site], lan=lan)
    found = replace(FOUR, territory=replace(plan, sites={**plan.sites, site.name: site}))
    snippet = Snippet("share.nft", "# of the role share\n  from lan tcp dport 445 accept\n")
    text = firewall.render(found, "commune-a", OPERATORS, (snippet,))
    lines = [line.strip() for line in text.splitlines()]
    assert [line for line in lines if "445" in line] == rules
    assert "from lan" not in text.partition("table")[2]


@pytest.mark.parametrize(
    ("client", "admitted"),
    [
        ("10.1.1.10", True),
        ("198.19.1.1", True),
        ("::ffff:198.18.0.1", True),
        ("2001:db8:1:2::3", True),
        ("10.90.0.3", True),
        ("10.1.3.10", False),
        ("10.90.0.2", False),
        ("192.0.2.7", False),
        ("fe80::1%eth0", False),
    ],
)
def test_ssh_is_for_the_control_machine_operators_and_the_mesh(client: str, admitted: bool) -> None:
    ports = firewall.open_ports(FOUR, "commune-a", OPERATORS)
    assert ports.admit(client) is admitted
    if not admitted:
        with pytest.raises(Refused, match=f"you are connected from {client}, which these rules would no longer admit"):
            firewall.check_admits(ports, client)


def test_a_node_outside_the_mesh_is_entered_from_the_addresses_of_the_others() -> None:
    ports = firewall.open_ports(bundle((town("a", 1, mesh=False), town("b", 2, mesh=False))), "a", ())
    assert (ports.admit("10.1.2.10"), ports.mesh) == (True, ())


def test_operators_that_are_no_network_are_named_with_their_file() -> None:
    with pytest.raises(UsageError, match=r'/etc/appliance/operators: "here" is neither an address nor a network'):
        firewall.render(FOUR, "commune-a", ("here",))


def test_operators_are_written_after_the_rules_and_taken_back_with_them() -> None:
    kept = firewall.keeping(firewall.part(FOUR, "commune-a", OPERATORS, ()), "203.0.113.0/24\n")
    assert [file.path for file in kept.files] == [firewall.CONFIG, firewall.OPERATORS]
    assert {file.reload for file in kept.files} == {("nft", "--file", firewall.CONFIG)}


def test_a_control_machine_known_by_name_alone_is_told() -> None:
    nodes = (town("hermitage", 1, address="hermitage.example.org", roles=("control",)), town("commune-a", 2))
    (warning,) = firewall.part(bundle(nodes), "commune-a", (), ()).warnings
    assert warning.startswith("The address of hermitage is a name")


def test_networks_that_overlap_are_joined_for_nft_refuses_them() -> None:
    text = firewall.render(FOUR, "commune-b", ("10.1.1.0/24", "10.0.0.0/8"))
    assert "ip saddr { 10.0.0.0/8 } tcp dport 22 accept" in text
