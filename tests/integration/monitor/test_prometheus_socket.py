"""A Grafana elsewhere asks the real Prometheus through the command of the unit, with the certificate of a node."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from appliance.provision import exporters
from appliance_lab.processes.node import free_ports
from tests.integration.coordination.authorities import DOMAIN, authority
from tests.integration.coordination.worlds import NODES
from tests.pace import LONG
from tests.waiting import wait_until

ROOT = Path(__file__).parents[3]
LOOPBACK = "127.0.0.1"
MONITOR, OTHER = NODES[:2]
SECONDS_MAX = LONG * 20.0
PROGRAMS = ("prometheus", "socat", "systemd-socket-activate")

pytestmark = pytest.mark.skipif(not all(map(shutil.which, PROGRAMS)), reason="needs prometheus and socat: make setup")


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return authority(tmp_path_factory.mktemp("pki") / "papers")


def tls_of(papers: Path, node: str, folder: Path) -> Path:
    """The folder `/etc/prometheus/tls` of `node`."""
    folder.mkdir()
    for name, source in {"certificate": f"{node}.pem", "key": f"{node}.key", "root": "root.pem"}.items():
        shutil.copy(papers / source, folder / f"{name}.pem")
    return folder


@pytest.fixture(scope="module")
def port(papers: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a Prometheus that answers the monitoring node alone, by the settings that a bundle makes."""
    folder = tmp_path_factory.mktemp("prometheus")
    tls = tls_of(papers, MONITOR, folder / "tls")
    web = folder / "web.yml"
    web.write_text(exporters._web([f"{MONITOR}.{DOMAIN}"]).replace(exporters.TLS, str(tls)))
    (folder / "prometheus.yml").write_text("global: {}\n")
    (free,) = free_ports(LOOPBACK, 1)
    argv = (
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={LOOPBACK}:{free}",
        f"--web.config.file={web}",
    )
    with running(argv, folder / "log"):
        log = folder / "log"
        wait_until(lambda: "Server is ready" in log.read_text(), "Prometheus is ready")
        yield free


@contextmanager
def running(argv: tuple[str, ...], log: Path) -> Iterator[None]:
    with log.open("w") as out, subprocess.Popen(argv, stdout=out, stderr=out) as process:
        try:
            yield
        finally:
            process.terminate()


@contextmanager
def asking(port: int, tls: Path, name: str, folder: Path) -> Iterator[httpx.Client]:
    """A client at the socket of the unit, whose command has `tls` and looks for Prometheus `name` on loopback."""
    unit = (ROOT / "systemd/appliance-prometheus@.service").read_text()
    (command,) = re.findall(r"^ExecStart=(.+)$", unit, re.MULTILINE)
    command = command.replace("OPENSSL:${NAME}:", f"OPENSSL:{LOOPBACK}:").replace("/etc/prometheus/tls", str(tls))
    words = command.replace("${NAME}", name).replace("${PORT}", str(port)).split()
    listening = ("systemd-socket-activate", "--accept", "--inetd", f"--listen={folder / 'socket'}")
    with running((*listening, *words), folder / "log"):
        wait_until((folder / "socket").exists, "the socket is there")
        transport = httpx.HTTPTransport(uds=str(folder / "socket"))
        with httpx.Client(transport=transport, base_url="http://localhost", timeout=SECONDS_MAX) as client:
            yield client


def test_a_query_is_answered_without_a_certificate_of_the_caller(papers: Path, port: int, tmp_path: Path) -> None:
    tls = tls_of(papers, MONITOR, tmp_path / "tls")
    with asking(port, tls, f"{MONITOR}.{DOMAIN}", tmp_path) as grafana:
        for _ in range(2):  # in one connection, as Grafana keeps it
            answer = grafana.post("/api/v1/query", data={"query": "vector(42)"}).json()
            assert answer["data"]["result"][0]["value"][1] == "42"


def test_a_node_that_does_not_watch_gets_no_answer(papers: Path, port: int, tmp_path: Path) -> None:
    tls = tls_of(papers, OTHER, tmp_path / "tls")
    with asking(port, tls, f"{MONITOR}.{DOMAIN}", tmp_path) as grafana:
        assert is_refused(grafana)


def test_a_prometheus_of_another_name_is_not_believed(papers: Path, port: int, tmp_path: Path) -> None:
    tls = tls_of(papers, MONITOR, tmp_path / "tls")
    with asking(port, tls, f"{OTHER}.{DOMAIN}", tmp_path) as grafana:
        assert is_refused(grafana)
    assert "commonName" in (tmp_path / "log").read_text()


def is_refused(grafana: httpx.Client) -> bool:
    with suppress(httpx.TransportError):
        grafana.get("/-/ready")
        return False
    return True
