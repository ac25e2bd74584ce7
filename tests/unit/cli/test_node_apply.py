"""A run applies what the host declares once its turn has come, not what it declared while another run went on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.cli import main
from appliance.cli.caller import SSH_CLIENT
from appliance.cli.internal.node import apply
from appliance.host.layout import NodeLayout
from appliance.provision import firewall
from appliance.provision.apply import Host, one_at_a_time
from appliance.provision.observe import below
from appliance.trust.identity import create_identity
from tests.worlds.towns import PUBLIC, bundle, town

OPERATOR = "192.0.2.7"


@pytest.mark.parametrize(("in_between", "code"), [("192.0.2.0/24\n", 0), ("203.0.113.0/24\n", 8)])
def test_operators_whom_another_run_names_meanwhile_are_those_that_count(
    in_between: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout, host = NodeLayout(tmp_path / "node"), Host(tmp_path / "host", lambda argv: None)
    create_identity(layout, "commune-a", PUBLIC)
    layout.bundle.write_bytes(bundle([town("commune-a", 1), town("commune-b", 2)]).document.raw)
    file = below(host.root, firewall.OPERATORS)
    file.parent.mkdir(parents=True)
    file.write_text("192.0.2.7\n" if code else "203.0.113.0/24\n")

    @contextmanager
    def after_another(there: Host) -> Iterator[None]:
        file.write_text(in_between)
        with one_at_a_time(there):
            yield

    monkeypatch.setattr(apply, "THIS_HOST", host)
    monkeypatch.setattr(apply, "one_at_a_time", after_another)
    monkeypatch.setenv(SSH_CLIENT, f"{OPERATOR} 40000 10.1.1.10 22")
    assert main.run(["--state", str(layout.root), "internal", "node", "apply", "--dry-run"]) == code
