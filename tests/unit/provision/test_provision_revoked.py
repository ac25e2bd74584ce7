"""A node whose keys were taken back is rendered out of every part of a host, the doors first."""

from __future__ import annotations

from dataclasses import replace

from appliance.provision import firewall, mesh, vault
from appliance.provision.files import PARTS
from appliance.provision.observe import Declared
from appliance.provision.plan import wanted
from appliance.trust.bundle import Bundle
from appliance.trust.revocation import Revocation, Revoked
from tests.worlds.towns import bundle, town

NAMES = ("hermitage", "commune-a", "commune-b")
BEFORE = bundle(
    (
        town("hermitage", 1, roles=("standby", "control")),
        town("commune-a", 2, port=0),
        town("commune-b", 3, port=0),
    )
)


def _without(name: str) -> Bundle:
    revoked = Revoked((Revocation(name, BEFORE.members[name].keys, "2026-11-30T08:00:00Z", "stolen"),))
    left = {it: member for it, member in BEFORE.members.items() if it != name}
    return replace(BEFORE, members=left, revoked=revoked)


def test_ssh_ends_first_then_the_way_here() -> None:
    parts = wanted(_without("commune-b"), "commune-a", Declared())
    names = ("vault", "mesh", "firewall", "hosts", "voter", "failover", "exporters")
    assert tuple(part.name for part in parts) == PARTS == names


def test_its_account_has_no_key_any_more() -> None:
    before, after = vault.part(BEFORE, "commune-a"), vault.part(_without("commune-b"), "commune-a")
    file = f"{vault.KEYS}/vault-commune-b"
    assert file in {it.path for it in before.files}
    assert file not in {it.path for it in after.files}
    assert vault.KEYS in {it.path for it in after.folders}, "a key there that nobody wants is removed"


def test_it_is_no_peer_in_the_mesh_and_the_relay_hands_nothing_on_for_it() -> None:
    at_relay = mesh.plan(_without("commune-b"), "hermitage")
    assert at_relay is not None
    assert [peer.name for peer in at_relay.peers] == ["commune-a"]
    assert at_relay.relayed == ()
    before = mesh.plan(BEFORE, "hermitage")
    assert before is not None
    assert before.relayed == ("10.90.0.2", "10.90.0.3")


def test_a_stolen_control_machine_begins_no_session_at_any_address() -> None:
    assert firewall.open_ports(BEFORE, "commune-a", ()).admit("10.1.1.10")
    assert not firewall.open_ports(_without("hermitage"), "commune-a", ()).admit("10.1.1.10")
    assert not firewall.open_ports(_without("hermitage"), "commune-a", ()).admit("10.90.0.1")
