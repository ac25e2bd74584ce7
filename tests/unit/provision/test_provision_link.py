"""The settings in the file of wg-quick, and the few lines of `ip` that make an interface into it."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.errors import UsageError
from appliance.host.network import wireguard
from appliance.provision import link
from appliance.provision.link import Link, Seen
from appliance.provision.mesh import INTERFACE

CASES = Path(__file__).parents[2] / "cases/provision"
WANTED = Link("10.90.0.2/32", frozenset({"10.90.0.1/32", "10.90.0.3/32"}), False, "")


def test_the_file_is_read_as_wg_quick_reads_it() -> None:
    found = link.read((CASES / "hermitage.mesh0.conf").read_text())
    assert (found.address, found.forwarding) == ("10.90.0.1/32", True)
    assert found.routes == {"10.90.0.2/32", "10.90.0.3/32", "10.90.0.4/32"}
    assert "Address" not in found.settings
    assert "PostUp" not in found.settings
    assert found.settings.count("[Peer]") == 3
    assert not link.read((CASES / "commune-a.mesh0.conf").read_text()).forwarding


def test_a_file_without_an_address_is_refused() -> None:
    with pytest.raises(UsageError, match=r"mesh0.conf: it has no Address"):
        link.read("[Interface]\nListenPort = 1\n")


@pytest.mark.parametrize(
    ("seen", "lines"),
    [
        pytest.param(
            Seen(),
            (
                "addr add 10.90.0.2/32 dev mesh0",
                "link set mesh0 up",
                "route replace 10.90.0.1/32 dev mesh0",
                "route replace 10.90.0.3/32 dev mesh0",
            ),
            id="new",
        ),
        pytest.param(Seen(frozenset({"10.90.0.2/32"}), WANTED.routes), ("link set mesh0 up",), id="as it should be"),
        pytest.param(
            Seen(frozenset({"10.90.0.9/32"}), WANTED.routes | {"10.90.0.4/32"}),
            (
                "addr del 10.90.0.9/32 dev mesh0",
                "addr add 10.90.0.2/32 dev mesh0",
                "link set mesh0 up",
                "route del 10.90.0.4/32 dev mesh0",
            ),
            id="another address, a node that left",
        ),
    ],
)
def test_only_what_differs_is_done(seen: Seen, lines: tuple[str, ...]) -> None:
    assert link.decide(WANTED, seen) == lines


def test_what_would_be_done_is_told_and_not_done() -> None:
    if wireguard.exists(INTERFACE):
        pytest.skip("this machine is a node")
    text = (CASES / "hermitage.mesh0.conf").read_text()
    assert link.planned(text) == link.decide(link.read(text), Seen())
    assert not wireguard.exists(INTERFACE)


NAMED = """[Interface]
ListenPort = 51820

[Peer]
PublicKey = a
AllowedIPs = 10.90.0.1/32
Endpoint = mairie.example:51820

[Peer]
PublicKey = b
AllowedIPs = 10.90.0.3/32
Endpoint = gone.example:51821

[Peer]
PublicKey = c
AllowedIPs = 10.90.0.4/32
Endpoint = [2001:db8::4]:51820

[Peer]
PublicKey = d
AllowedIPs = 10.90.0.5/32
Endpoint = 192.0.2.5:51820
"""


def test_a_peer_whose_name_has_no_address_keeps_no_other_from_being_met() -> None:
    assert link.names(NAMED) == {"mairie.example", "gone.example"}
    found = link.met(NAMED, {"mairie.example": "2001:db8::1"})
    assert [line for line in found.splitlines() if line.startswith("Endpoint")] == [
        "Endpoint = [2001:db8::1]:51820",
        "Endpoint = [2001:db8::4]:51820",
        "Endpoint = 192.0.2.5:51820",
    ]
    assert found.count("[Peer]") == 4
    assert link.unmet(NAMED, {"b": "192.0.2.9:51821", "d": "192.0.2.5:51820"}) == {"mairie.example"}
    assert link.unmet(NAMED, {}) == {"mairie.example", "gone.example"}
    assert link.met(NAMED, {"gone.example": "192.0.2.9", "mairie.example": "192.0.2.1"}).count("Endpoint") == 4
