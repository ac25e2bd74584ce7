"""A public name's certificate by ACME DNS-01: what the role portal writes, with a real test authority and name server.

The authority (pebble) believes nobody: it asks the name server (knot) for the record, which only the key of the node
may change, in a zone that holds nothing else. That is how the how-to says to set it up.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

import pytest
from cryptography import x509

from appliance.agent.machine import _public_certificate
from appliance.host.command import run
from appliance.host.layout import NodeLayout
from appliance.portal.certificates import PublicName
from appliance_lab.processes.node import free_ports
from tests.pace import LONG
from tests.unit.portal.certificates import certificate_shown, der_of, make_certificate
from tests.worlds.demo import LOOPBACK

ROOT = Path(__file__).parents[3]
NAME = "restauration.mairie.example"
SECRET = base64.b64encode(b"a secret of thirty-two bytes, ok").decode()
WAIT_SECONDS = LONG * 30.0
PLAY = """
- hosts: localhost
  gather_facts: false
  vars_files: [{root}/roles/portal/defaults/main.yml, {root}/roles/portal/vars/main.yml, {folder}/declared.yml]
  tasks:
    - ansible.builtin.template:
        src: {root}/roles/portal/templates/{{{{ item }}}}.j2
        dest: {folder}/{{{{ item }}}}
        mode: "0600"
      loop: [acme.ini, acme-dns]
"""
ZONE = "{name}. 60 SOA ns.mairie.example. root.mairie.example. 1 60 60 60 60\n{name}. 60 NS ns.mairie.example.\n"
KNOT = """
server:
    rundir: "{folder}"
    listen: 127.0.0.1@{port}
database:
    storage: "{folder}/db"
key:
  - id: voisinage.
    algorithm: hmac-sha256
    secret: "{secret}"
acl:
  - id: records
    key: voisinage.
    action: update
    update-type: TXT
zone:
  - domain: mairie.example.
    storage: "{folder}"
    file: mairie.zone
  - domain: _acme-challenge.{name}.
    storage: "{folder}"
    file: challenge.zone
    acl: records
"""


@dataclass(frozen=True)
class Site:
    """`state` is the folder of a node for whose pages certificates are asked."""

    folder: Path
    state: Path

    @property
    def live(self) -> Path:
        return self.state / "acme/live/pages"

    def ask(self, *more: str) -> subprocess.CompletedProcess[str]:
        """Run what the unit runs."""
        unit = (ROOT / "systemd/appliance-portal-acme.service").read_text()
        line = next(it for it in unit.splitlines() if it.startswith("ExecStart="))
        words = line.removeprefix("ExecStart=").replace("/etc/appliance/portal-acme.ini", str(self.folder / "acme.ini"))
        env = {**os.environ, "REQUESTS_CA_BUNDLE": str(self.folder / "authority/fullchain.pem")}
        argv = (*words.split(), *more)
        return subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=120)

    def declare(self, ports: dict[str, int], secret: str) -> None:
        """Write the settings as the role does for these."""
        declared = {
            "agent_state": str(self.state),
            "portal_public_name": NAME,
            "portal_acme_directory": f"https://{LOOPBACK}:{ports['acme']}/dir",
            "portal_acme_secrets_seen": str(self.folder / "acme-dns"),
            "portal_acme_seconds": 1,
            "portal_acme_credentials": {
                "server": LOOPBACK,
                "port": ports["dns"],
                "name": "voisinage.",
                "secret": secret,
                "algorithm": "HMAC-SHA256",
            },
        }
        (self.folder / "declared.yml").write_text(json.dumps(declared))
        (self.folder / "play.yml").write_text(PLAY.format(root=ROOT, folder=self.folder))
        env = {"ANSIBLE_INVENTORY_ENABLED": "host_list", "ANSIBLE_HOME": str(self.folder / "home")}
        argv = ("ansible-playbook", "-i", "localhost,", "-c", "local", str(self.folder / "play.yml"))
        played = run(argv, timeout_seconds=120, env={**env, "LC_ALL": "C.UTF-8"}, cwd=self.folder)
        assert played.exit_code == 0, played.stdout.decode()


@pytest.fixture
def served(site: Site) -> Site:
    """A site with a certificate, whichever test comes first."""
    if not (site.live / "cert.pem").exists():
        assert site.ask().returncode == 0
    return site


@pytest.fixture(scope="module")
def ports() -> dict[str, int]:
    return dict(zip(("dns", "acme", "management", "http", "tls"), free_ports(LOOPBACK, 5), strict=True))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, ports: dict[str, int]) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("acme")
    made = Site(folder, folder / "node")
    (made.state / "acme").mkdir(parents=True)
    (folder / "db").mkdir()
    for file, name in (("mairie", "mairie.example"), ("challenge", f"_acme-challenge.{NAME}")):
        (folder / f"{file}.zone").write_text(ZONE.format(name=name))
    (folder / "knot.conf").write_text(KNOT.format(folder=folder, port=ports["dns"], secret=SECRET, name=NAME))
    certificate, key = make_certificate(folder / "authority", "localhost", "rsa:2048")
    pebble = {
        "listenAddress": f"{LOOPBACK}:{ports['acme']}",
        "managementListenAddress": f"{LOOPBACK}:{ports['management']}",
        "certificate": str(certificate),
        "privateKey": str(key),
        "httpPort": ports["http"],
        "tlsPort": ports["tls"],
        "certificateValidityPeriod": 90 * 86400,
    }
    (folder / "pebble.json").write_text(json.dumps({"pebble": pebble}))
    programs = (
        ("knotd", "-c", str(folder / "knot.conf")),
        ("pebble", "-config", str(folder / "pebble.json"), "-dnsserver", f"{LOOPBACK}:{ports['dns']}", "-strict"),
    )
    env = {**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0", "PEBBLE_AUTHZREUSE": "0"}
    with open(folder / "programs.log", "wb") as log:
        running = [subprocess.Popen(it, env=env, stdout=log, stderr=log) for it in programs]
    try:
        for name in ("dns", "acme"):
            _wait_for(ports[name], folder / "programs.log")
        made.declare(ports, SECRET)
        yield made
    finally:
        for process in running:
            process.terminate()
            process.wait(30)


def _wait_for(port: int, log: Path) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            socket.create_connection((LOOPBACK, port), timeout=1).close()
            return
        except OSError:
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.1)


def test_the_record_is_proved_and_the_pages_show_what_came(site: Site) -> None:
    layout = NodeLayout(site.state)
    rmtree(site.state / "acme")
    (site.state / "acme").mkdir()
    assert [it.state for it in _public_certificate(layout, time.time())] == ["warning"], "none has come yet"
    asked = site.ask()
    assert asked.returncode == 0, asked.stdout + asked.stderr
    (found, *chain) = x509.load_pem_x509_certificates((site.live / "fullchain.pem").read_bytes())
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [NAME]
    assert chain, "browsers need what stands between"
    assert (site.live / "privkey.pem").resolve().stat().st_mode & 0o077 == 0
    assert SECRET not in asked.stdout + asked.stderr
    logs = [it.read_text() for it in (site.state / "acme/logs").iterdir()]
    assert logs
    assert all(SECRET not in it for it in logs)
    assert list(_public_certificate(layout, time.time())) == []


def test_what_is_young_is_kept_and_what_is_renewed_is_shown_at_once(served: Site, tmp_path: Path) -> None:
    site, (context, cert) = served, _context(tmp_path)
    context.sni_callback = PublicName(NAME, site.live / "fullchain.pem", site.live / "privkey.pem").choose
    first = der_of(site.live / "cert.pem")
    assert certificate_shown(context, NAME) == first
    assert certificate_shown(context, "hermitage.demo.internal") == der_of(cert)
    assert site.ask().returncode == 0
    assert der_of(site.live / "cert.pem") == first, "nothing was due"
    assert site.ask("--force-renewal").returncode == 0
    second = der_of(site.live / "cert.pem")
    assert second != first
    assert certificate_shown(context, NAME) == second


def test_who_may_not_change_the_record_gets_nothing_and_what_is_there_stays(
    served: Site, ports: dict[str, int]
) -> None:
    site, wrong = served, base64.b64encode(b"another secret of thirty-two byte").decode()
    before = der_of(site.live / "cert.pem")
    # Pebble takes one old proof in a hundred of the same account, whatever it is told.
    rmtree(site.state / "acme/accounts")
    site.declare(ports, wrong)
    try:
        asked = site.ask("--force-renewal")
        assert asked.returncode != 0
        assert wrong not in asked.stdout + asked.stderr
        assert der_of(site.live / "cert.pem") == before
    finally:
        site.declare(ports, SECRET)


def _context(folder: Path) -> tuple[ssl.SSLContext, Path]:
    cert, key = make_certificate(folder / "own", "hermitage.demo.internal")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context, cert
