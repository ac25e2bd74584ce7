"""Certificates as three parties get and give them: a node, the control machine, the holder of the root's key."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from appliance.config.load import load
from appliance.host.command import run
from appliance_lab.checkout import appliance_argv, code_folder
from appliance_lab.processes.territory import ProcessTerritory

NODES = ("commune-a", "commune-b", "commune-c", "hermitage")


@dataclass
class Control:
    """`desk` is the control machine's folder; the root's key lies elsewhere; the intermediate's in no file."""

    desk: Path
    territory: ProcessTerritory
    key: bytes = b""

    def type(self, *words: str, stdin: bytes | None = None, code: int = 0) -> Any:
        argv = (*appliance_argv(), "--json", *words)
        env = {"PYTHONPATH": str(code_folder())}
        done = run(argv, timeout_seconds=60, cwd=self.desk, env=env, stdin=stdin)
        assert done.exit_code == code, done.tail()
        return json.loads(done.stdout) if code in (0, 1) else done.tail()

    def begin(self) -> None:
        argv = (*appliance_argv(), "pki", "begin", ".")
        env = {"PYTHONPATH": str(code_folder())}
        self.key = run(argv, timeout_seconds=60, cwd=self.desk, env=env, check=True).stdout
        self.type("pki", "sign", ".", "--root", str(self.territory.offline / "root.key"), "--yes")

    def sign(self) -> None:
        """The key holder signs the territory with what lies beside it; every node accepts."""
        key = str(self.territory.territory_key)
        # 1: this territory has no recovery key.
        self.type("territory", "sign", ".", "--key", key, "--previous", "bundle", "--out", "bundle", code=1)
        for node in self.territory.nodes.values():
            node.cli("node", "accept", str(self.desk / "bundle"))

    def ask(self, *names: str) -> None:
        folder = self.desk / "pki/requests"
        folder.mkdir(exist_ok=True)
        for name in names:
            (folder / f"{name}.csr").write_bytes(self.territory.nodes[name].cli("internal", "pki", "csr").stdout)

    def give(self, name: str, code: int = 0) -> Any:
        chain = str(self.desk / "pki/chains" / f"{name}.pem")
        done = self.territory.nodes[name].cli("--json", "internal", "pki", "accept", chain, check=False)
        assert done.exit_code == code, done.tail()
        return json.loads(done.stdout)["changed"] if code == 0 else done.tail()


@pytest.fixture
def control(territory: ProcessTerritory, tmp_path: Path) -> Control:
    desk = tmp_path / "control"
    desk.mkdir()
    plan = yaml.safe_load((code_folder() / "inventory/demo/territory.yml").read_text())
    (desk / "territory.yml").write_text(yaml.safe_dump(plan, allow_unicode=True))
    (desk / "territory.pub").write_bytes(territory.territory_key.with_suffix(".pub").read_bytes())
    (desk / "bundle").write_bytes(territory.nodes["commune-a"].layout.bundle.read_bytes())
    return Control(desk, territory)


def test_every_node_gets_one_and_a_second_run_changes_nothing(control: Control) -> None:
    assert "there is no intermediate here yet to issue certificates" in control.type(
        "internal", "pki", "due", ".", code=3
    )
    would = control.type("pki", "begin", ".", "--dry-run")
    assert (would["domain"], would["request"]) == (load(control.desk).domain, "pki/intermediate.csr")
    assert not (control.desk / "pki").exists()
    control.begin()
    assert "the bundle names no root" in control.type("internal", "pki", "due", ".", code=5)
    control.sign()
    assert control.type("internal", "pki", "due", ".") == {
        "schema": 1,
        "nodes": list(NODES),
        "revoked": True,
        "due": True,
    }
    control.ask(*NODES)
    assert control.type("internal", "pki", "issue", ".", stdin=control.key)["nodes"] == list(NODES)
    assert [len(control.give(name)) for name in NODES] == [4, 4, 4, 4]
    assert control.type("internal", "pki", "due", ".")["due"] is False
    assert control.type("internal", "pki", "issue", ".", stdin=control.key)["due"] is False
    assert control.give("commune-a") == []
    _verify_as_a_peer_would(control.territory.nodes["commune-b"].layout.tls)
    assert b"PRIVATE" not in b"".join(it.read_bytes() for it in control.desk.rglob("*") if it.is_file())


def test_a_second_intermediate_issues_anew_for_every_node_and_so_does_a_second_root(control: Control) -> None:
    every = {"schema": 1, "nodes": list(NODES), "revoked": True, "due": True}
    control.begin()
    control.sign()
    control.ask(*NODES)
    control.type("internal", "pki", "issue", ".", stdin=control.key)
    for name in NODES:
        control.give(name)
    former = control.key
    control.begin()
    assert control.type("internal", "pki", "due", ".") == every
    assert "not the key of the intermediate" in control.type("internal", "pki", "issue", ".", stdin=former, code=5)
    assert control.type("internal", "pki", "issue", ".", stdin=control.key) == every
    for name in NODES:
        assert [Path(it).name for it in control.give(name)] == ["revoked.pem", "certificate.pem"]
    assert control.type("internal", "pki", "due", ".")["due"] is False
    _verify_as_a_peer_would(control.territory.nodes["commune-b"].layout.tls)
    (control.desk / "pki/root.pem").unlink()
    (control.territory.offline / "root.key").unlink()
    control.begin()
    control.sign()
    assert control.type("internal", "pki", "issue", ".", stdin=control.key) == every
    for name in NODES:
        assert [Path(it).name for it in control.give(name)] == ["root.pem", "revoked.pem", "certificate.pem"]
    _verify_as_a_peer_would(control.territory.nodes["commune-b"].layout.tls)


def _verify_as_a_peer_would(folder: Path) -> None:
    words = ("-untrusted", "certificate.pem", "-CRLfile", "revoked.pem", "-crl_check", "-x509_strict")
    argv = ("openssl", "verify", "-CAfile", "root.pem", *words, "certificate.pem")
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "certificate.pem: OK", done.stderr


def test_what_is_wrong_is_refused_and_the_others_are_served(control: Control) -> None:
    control.begin()
    control.sign()
    control.ask(*NODES)
    requests = control.desk / "pki/requests"
    (requests / "commune-a.csr").write_bytes((requests / "commune-b.csr").read_bytes())
    assert "does not have its TLS key of the bundle" in control.type(
        "internal", "pki", "issue", ".", stdin=control.key, code=8
    )
    assert control.type("internal", "pki", "due", ".")["nodes"] == ["commune-a"]
    assert "this is not the key of the intermediate" in control.type(
        "internal",
        "pki",
        "issue",
        ".",
        stdin=(control.territory.nodes["commune-a"].layout.keys / "tls.pem").read_bytes(),
        code=5,
    )
    chains = control.desk / "pki/chains"
    (chains / "commune-c.pem").write_bytes((chains / "commune-b.pem").read_bytes())
    assert "the certificate is not for the TLS key of commune-c" in control.give("commune-c", code=5)
    assert not (control.territory.nodes["commune-c"].layout.tls / "certificate.pem").exists()


def test_a_root_that_the_territory_did_not_sign_is_believed_by_no_node(control: Control) -> None:
    """The control machine is taken over and makes a root of its own."""
    control.begin()
    control.sign()
    for name in ("root.pem", "intermediate.pem"):
        (control.desk / "pki" / name).unlink()
    before = (control.desk / "bundle").read_bytes()
    (control.territory.offline / "root.key").rename(control.territory.offline / "former.key")
    control.begin()
    assert "names another root than the one here" in control.type("internal", "pki", "due", ".", code=5)
    forged = json.loads(before.splitlines()[0])
    assert len(forged["ca"]) == 64


def test_a_revoked_node_gets_none_and_its_own_are_on_the_list(control: Control) -> None:
    control.begin()
    control.sign()
    control.ask(*NODES)
    control.type("internal", "pki", "issue", ".", stdin=control.key)
    key = ("--key", str(control.territory.territory_key), "--yes")
    control.type("node", "revoke", "hermitage", "--reason", "stolen", *key)
    left = [name for name in NODES if name != "hermitage"]
    assert control.type("internal", "pki", "due", ".") == {"schema": 1, "nodes": [], "revoked": True, "due": True}
    for name in left:
        control.territory.nodes[name].cli("node", "accept", str(control.desk / "bundle"))
    control.type("internal", "pki", "issue", ".", stdin=control.key)
    assert control.type("internal", "pki", "due", ".")["due"] is False
    stolen = control.desk / "pki/nodes/hermitage.pem"
    folder = control.territory.nodes["commune-a"].layout.tls
    given = [Path(it).name for it in control.give("commune-a")]
    assert given == ["key.pem", "root.pem", "revoked.pem", "certificate.pem"]
    argv = ("openssl", "verify", "-CAfile", "root.pem", "-untrusted", "certificate.pem", "-crl_check")
    done = subprocess.run((*argv, "-CRLfile", "revoked.pem", str(stolen)), cwd=folder, capture_output=True, check=False)
    assert b"certificate revoked" in done.stderr
