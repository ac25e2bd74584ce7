"""A bundle is in force on a host as soon as it is there: `node accept` looks before, as `internal node setup` does."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.cli import main
from appliance.cli.caller import SSH_CLIENT
from appliance.cli.node import bundle as node_bundle_cmd
from appliance.host.layout import NodeLayout
from appliance.provision import firewall
from appliance.provision.apply import Host
from appliance.provision.observe import below
from appliance.trust.identity import create_identity
from tests.worlds.towns import PUBLIC, bundle, town

OFFICE = "10.1.1.10"
FIRST = bundle([town("commune-a", 1, roles=("control",)), town("commune-b", 2)])
MOVED = bundle([town("commune-a", 1), town("commune-b", 2, roles=("control",))], serial=2)


@pytest.mark.parametrize(
    ("on_a_host", "operators", "code"),
    [
        pytest.param(True, "", 8, id="he_would_be_locked_out"),
        pytest.param(True, "10.1.1.0/24\n", 0, id="his_network_is_let_in"),
        pytest.param(False, "", 0, id="a_node_that_is_no_host_has_no_rules"),
    ],
)
def test_who_brings_a_bundle_over_ssh_still_comes_in_under_it(
    on_a_host: bool, operators: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout, host = NodeLayout(tmp_path / "node"), Host(tmp_path / "host", lambda argv: None)
    create_identity(layout, "commune-b", PUBLIC)
    layout.bundle.write_bytes(FIRST.document.raw)
    for path, text in ((firewall.CONFIG, firewall.render(FIRST, "commune-b")), (firewall.OPERATORS, operators)):
        below(host.root, path).parent.mkdir(parents=True, exist_ok=True)
        below(host.root, path).write_text(text)
    offered = tmp_path / "bundle"
    offered.write_bytes(MOVED.document.raw)
    monkeypatch.setattr(node_bundle_cmd, "THIS_HOST", host)
    monkeypatch.setattr(node_bundle_cmd, "state_of_this_host", lambda: layout.root if on_a_host else None)
    monkeypatch.setenv(SSH_CLIENT, f"{OFFICE} 40000 10.1.2.10 22")
    assert main.run(["--state", str(layout.root), "node", "accept", str(offered)]) == code
    assert (layout.bundle.read_bytes() == FIRST.document.raw) is (code != 0)
