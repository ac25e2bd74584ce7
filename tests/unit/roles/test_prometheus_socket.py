"""The socket by which a Grafana elsewhere reaches Prometheus: unit, role and page say the same."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[3]
ROLE = ROOT / "roles/monitoring"
SOCKET = (ROOT / "systemd/appliance-prometheus.socket").read_text()
SERVICE = (ROOT / "systemd/appliance-prometheus@.service").read_text()
VARS = yaml.safe_load((ROLE / "vars/main.yml").read_text())


def test_the_unit_reads_the_file_that_the_role_writes_and_has_the_certificate_of_the_node() -> None:
    (written,) = [it for it in VARS["monitoring_texts"] if it["path"] == "{{ monitoring_named }}"]
    named = set(re.findall(r"^(\w+)=", written["text"], re.MULTILINE))
    assert named == set(re.findall(r"\$\{(\w+)\}", SERVICE)) == {"NAME", "PORT"}
    file = VARS["monitoring_named"]
    assert f"EnvironmentFile={file}\n" in SERVICE
    assert f"ConditionPathExists={file}\n" in SOCKET
    tls = yaml.safe_load((ROOT / "roles/exporters/vars/main.yml").read_text())["exporters_tls"]
    assert set(re.findall(r"(?:cafile|cert|key)=([^,\s]+)", SERVICE)) == {
        f"{tls}/{name}.pem" for name in ("root", "certificate", "key")
    }


def test_root_alone_may_connect_and_only_so_often_at_a_time() -> None:
    assert "SocketMode=0600\n" in SOCKET
    assert "SocketUser=" not in SOCKET
    assert "MaxConnections=16\n" in SOCKET
    assert "MemoryMax=32M\n" in SERVICE


def test_the_role_brings_starts_and_takes_away_what_it_needs() -> None:
    assert "socat" in yaml.safe_load((ROLE / "defaults/main.yml").read_text())["monitoring_packages"]
    assert "appliance-prometheus.socket" in VARS["monitoring_units"]
    assert "{{ monitoring_named }}" in (ROLE / "tasks/leave.yml").read_text()


def test_the_page_names_the_socket_and_the_operators_that_may_come() -> None:
    (path,) = re.findall(r"^ListenStream=(.+)$", SOCKET, re.MULTILINE)
    page = (ROOT / "docs/how-to/monitor.md").read_text().split("## Grafana")[1]
    assert f"ssh -N -L 127.0.0.1:9090:{path} root@" in page
    assert "http://127.0.0.1:9090" in page
    assert "firewall_operators" in page


def test_sshd_of_a_hardened_node_lets_an_operator_forward_to_a_socket() -> None:
    text = (ROOT / "roles/hardening/templates/sshd.conf.j2").read_text()
    assert not re.search(r"^(AllowStreamLocalForwarding|AllowTcpForwarding|DisableForwarding)", text, re.MULTILINE)
