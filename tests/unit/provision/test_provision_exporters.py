"""The metrics of a node, from the bundle: for monitoring nodes alone, by certificates, and nothing before it has its
own."""

from __future__ import annotations

import pytest

from appliance.provision import exporters, firewall
from appliance.provision.files import Part
from appliance.trust.bundle import Bundle
from tests.worlds.towns import bundle, tls_key, town


def territory(*, address: str = "") -> Bundle:
    """One monitoring node and two towns; `address` is that of the last, which then is not in the mesh."""
    monitor = town("hermitage", 1, roles=("standby", "monitor"))
    return bundle((monitor, town("commune-a", 2), town("commune-b", 3, mesh=not address, address=address)))


def texts(found: Part) -> dict[str, str]:
    return {file.path: file.text for file in found.files}


def test_it_tells_at_its_address_in_the_mesh_and_to_the_keys_of_monitoring_nodes_alone() -> None:
    found = territory()
    part = exporters.part(found, "commune-a", certified=True)
    name = f"hermitage.{found.territory.domain}"
    said = texts(part)
    assert f'client_allowed_sans: ["{name}"]' in said[exporters.WEB]
    assert "client_auth_type: RequireAndVerifyClientCert" in said[exporters.WEB]
    assert f"LISTEN=10.90.0.2\nPORT=9470\nKEYS={tls_key('hermitage')}\n" in said[exporters.WORDS]
    assert f"--web.listen-address=10.90.0.2:9100 --web.config.file={exporters.WEB}" in said[exporters.NODE_WORDS]
    assert (part.files[0].mode, part.files[0].group) == (0o640, "prometheus")
    assert part.units == exporters.UNITS


def test_an_address_of_version_6_is_bracketed_where_a_port_follows() -> None:
    said = texts(exporters.part(territory(address="2001:db8::3"), "commune-b", certified=True))
    assert "LISTEN=2001:db8::3\n" in said[exporters.WORDS]
    assert "--web.listen-address=[2001:db8::3]:9100 " in said[exporters.NODE_WORDS]


@pytest.mark.parametrize("certified", [False, True])
def test_without_a_certificate_or_without_anybody_who_asks_nothing_is_told(certified: bool) -> None:
    found = bundle((town("commune-a", 2), town("commune-b", 3))) if certified else territory()
    assert exporters.part(found, "commune-a", certified=certified) == Part("exporters")


def test_the_firewall_lets_in_the_other_monitoring_nodes_alone() -> None:
    door = "ip saddr { 10.90.0.1 } tcp dport { 9470, 9100 } accept"
    assert door in firewall.render(territory(), "commune-a")
    assert "9470" not in firewall.render(territory(), "hermitage")
