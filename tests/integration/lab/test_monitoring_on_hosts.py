"""Nodes report over the mesh to the monitoring node alone; and a silent one raises an alert."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from appliance.host.command import run
from appliance.host.network import netns
from appliance_lab.hosts import machine
from appliance_lab.hosts.playbook import play_well
from appliance_lab.stories.context import BLIND, ORIGIN, SERVICE, SPARE, STANDBY, StoryContext
from appliance_lab.story import waiting
from tests.integration.lab.meshed import MESH
from tests.integration.lab.pc import Pc, let_in
from tests.pace import LONG, in_time
from tests.waiting import wait_until

TLS = "/etc/prometheus/tls"
SOCKET = "/run/appliance/prometheus.sock"
EXPORTERS = (9100, 9470)
NODE_EXPORTER = "prometheus-node-exporter"
MAINTAINER = "regis.martin"
WATCHES = ("/etc/appliance/outbox", "/etc/appliance/prometheus", "/etc/prometheus/appliance.rules")
MIRRORS = (
    "/etc/appliance/mirror.conf",
    "/etc/appliance/firewall.d/mirror.nft",
    "/etc/apt/apt.conf.d/51appliance-mirror",
    "/srv/mirror/cache",
)
SHOWS = ("/etc/appliance/firewall.d/portal.nft",)
UNITS = (
    "prometheus.service",
    "prometheus-alertmanager.service",
    "prometheus-blackbox-exporter.service",
    "appliance-outbox.service",
    "appliance-prometheus.socket",
    "appliance-mirror.service",
    "appliance-portal-work.socket",
    "appliance-portal.socket",
)
REFUSED_BY_TLS, REFUSED_BY_HTTP, SILENCE = (55, 56), 22, 28
"""TLS 1.3 refuses a client while that already asks: curl notices it when it sends, or when it waits."""
SCRAPES_SECONDS_MAX = LONG * 150.0
SHOWN_SECONDS_MAX = 60.0

CURL_REFUSED_BY_HTTP = 22

pytestmark = [pytest.mark.root, pytest.mark.xdist_group("lab"), pytest.mark.timeout(900)]


def curl(context: StoryContext, at: str, cert_of: str, host: str, port: int, path: str, *words: str) -> tuple[int, str]:
    """How curl ended on the node `at`, with the certificate of the node `cert_of`, and what it got."""
    node, tls = context.lab.plan.node(at), context.disk(cert_of or at, TLS)
    own = ("--cert", str(tls / "certificate.pem"), "--key", str(tls / "key.pem")) if cert_of else ()
    name = f"{host}.lab.internal"
    there = ("--resolve", f"{name}:{port}:{MESH[host]}", f"https://{name}:{port}{path}")
    asked = ("curl", "--silent", "--fail", "--max-time", "5", "--cacert", str(tls / "root.pem"), *own, *words, *there)
    result = run(netns.inside(node.namespace, asked), timeout_seconds=300)
    return result.exit_code, result.stdout.decode()


def query(context: StoryContext, expression: str) -> dict[str, float]:
    """Return the answer of Prometheus to `expression`, by the node or site it is about; {} while it only starts."""
    words = ("--data-urlencode", f"query={expression}")
    code, text = curl(context, STANDBY, STANDBY, STANDBY, 9090, "/api/v1/query", *words)
    if code == CURL_REFUSED_BY_HTTP:
        return {}
    assert code == 0, (code, text)
    found = json.loads(text)["data"]["result"]
    return {it["metric"].get("node") or it["metric"]["site"]: float(it["value"][1]) for it in found}


def wait_for(context: StoryContext, expression: str, nodes: set[str], seconds_max: float = SCRAPES_SECONDS_MAX) -> None:
    with waiting(f"{expression} at {', '.join(nodes)}", seconds_max) as done:
        while not done(nodes <= query(context, expression).keys()):
            pass


def test_every_machine_answers_the_pings_of_the_monitoring_node(context: StoryContext) -> None:
    wait_for(context, 'probe_success{job="presence"} == 1', set(MESH))


@pytest.mark.parametrize("job", ["appliance", "node"])
def test_every_node_tells_the_monitoring_node(context: StoryContext, job: str) -> None:
    wait_for(context, f'up{{job="{job}"}} == 1', set(MESH))


def test_origin_and_holder_both_tell_how_a_service_is(context: StoryContext) -> None:
    wait_for(context, f'appliance_backup_newest_safe_timestamp_seconds{{backup="{SERVICE}"}} > 0', {ORIGIN})
    wait_for(context, f'appliance_replica_newest_archive_timestamp_seconds{{backup="{SERVICE}"}} > 0', {STANDBY})


def test_a_node_that_sends_alerts_says_when_its_queue_does_not_answer(context: StoryContext) -> None:
    wait_for(context, 'appliance_check_state{check="letters"} == 0', {STANDBY})
    context.did(STANDBY, "systemctl stop appliance-outbox")
    wait_for(context, 'appliance_check_state{check="letters"} > 0', {STANDBY})
    context.did(STANDBY, "systemctl start appliance-outbox")
    wait_for(context, 'appliance_check_state{check="letters"} == 0', {STANDBY})


@pytest.mark.parametrize("port", EXPORTERS)
def test_who_shows_no_certificate_or_another_nodes_is_told_nothing(context: StoryContext, port: int) -> None:
    def asked(at: str, cert_of: str) -> tuple[int, str]:
        return curl(context, at, cert_of, ORIGIN, port, "/metrics")

    assert asked(STANDBY, STANDBY)[0] == 0
    code, text = asked(STANDBY, "")
    assert (code in REFUSED_BY_TLS, text) == (True, "")
    assert asked(STANDBY, BLIND)[0] in (REFUSED_BY_HTTP, *REFUSED_BY_TLS), "by its name alone"
    assert asked(BLIND, BLIND) == (SILENCE, ""), "by the firewall"
    assert asked(BLIND, STANDBY) == (SILENCE, ""), "by the firewall"


def test_a_board_of_a_commune_runs_its_two_exporters_and_nothing_else_that_watches(context: StoryContext) -> None:
    """NUT neither, where no UPS is declared; the monitoring node shows that the question can be answered."""
    installed = (
        "dpkg-query -Wf '${db:Status-Abbrev} ${Package}\\n' 'prometheus*' 'nut*' 2>/dev/null | sed -n 's/^ii *//p'"
    )
    for node in (ORIGIN, BLIND, SPARE):
        assert set(context.did(node, installed).split()) == {NODE_EXPORTER, f"{NODE_EXPORTER}-collectors"}, node
        assert context.did(node, "systemctl", "is-active", NODE_EXPORTER, "appliance-exporter") == "active\nactive\n"
    watching = {"prometheus", "prometheus-alertmanager", "prometheus-blackbox-exporter"}
    assert watching <= set(context.did(STANDBY, installed).split())


def test_every_rule_can_be_evaluated(context: StoryContext) -> None:
    code, text = curl(context, STANDBY, STANDBY, STANDBY, 9090, "/api/v1/rules")
    rules = [rule for group in json.loads(text)["data"]["groups"] for rule in group["rules"]]
    assert code == 0
    assert {rule["health"] for rule in rules} == {"ok"}


def test_an_operators_ssh_brings_a_grafana_elsewhere_to_prometheus_and_no_other_account_comes_in(
    context: StoryContext, tmp_path: Path
) -> None:
    wait_for(context, 'up{job="prometheus"} == 1', {STANDBY})
    here = tmp_path / "prometheus.sock"
    config = str(context.paths.lab(context.name).ssh_config)
    forward = ("ssh", "-F", config, "-N", "-o", "ExitOnForwardFailure=yes", "-L", f"{here}:{SOCKET}", STANDBY)
    with subprocess.Popen(forward) as ssh:
        try:
            wait_until(here.exists, "ssh forwards")
            transport = httpx.HTTPTransport(uds=str(here))
            with httpx.Client(transport=transport, base_url="http://localhost", timeout=LONG * 20) as grafana:
                answer = grafana.post("/api/v1/query", data={"query": "vector(42)"}).json()
        finally:
            ssh.terminate()
    assert answer["data"]["result"][0]["value"][1] == "42"
    other = f"setpriv --reuid=appliance --clear-groups socat -u UNIX-CONNECT:{SOCKET} STDOUT"
    refused = context.ssh(STANDBY, other)
    assert (refused.exit_code, b"Permission denied" in refused.stderr) == (1, True)
    assert context.ssh(ORIGIN, "test", "-e", SOCKET).exit_code == 1


@pytest.fixture(scope="module")
def codes(context: StoryContext) -> list[str]:
    return let_in(context, STANDBY, MAINTAINER, "regie")


def test_the_maintenance_team_sees_every_town_on_one_page(context: StoryContext, codes: list[str]) -> None:
    page = Pc(context, STANDBY, MAINTAINER).saw(STANDBY, codes[0], "Commune C", "/territoire")["page"]
    assert [town for town in ("L'Hermitage", "Commune A", "Commune B", "Commune C") if town not in page] == []
    assert "Silence depuis" not in page


def test_a_node_that_gave_its_roles_up_watches_and_serves_nobody_and_takes_them_again(context: StoryContext) -> None:
    there = (*WATCHES, *MIRRORS, *SHOWS)
    assert all(context.ssh(STANDBY, "systemctl", "is-active", unit).exit_code == 0 for unit in UNITS)
    assert [path for path in there if not context.disk(STANDBY, path).exists()] == []
    none = json.dumps({"monitoring_is_here": False, "mirror_node": "", "portal_shows": False})
    play_well(context.control, "site", "--limit", STANDBY, "-e", none)
    assert [unit for unit in UNITS if context.ssh(STANDBY, "systemctl", "is-enabled", unit).exit_code == 0] == []
    assert [unit for unit in UNITS if context.ssh(STANDBY, "systemctl", "is-active", unit).exit_code == 0] == []
    assert [path for path in there if context.disk(STANDBY, path).exists()] == []
    assert "3142" not in context.did(STANDBY, "nft", "list", "ruleset")
    play_well(context.control, "site", "--limit", STANDBY)
    assert [path for path in there if not context.disk(STANDBY, path).exists()] == []
    assert all(context.ssh(STANDBY, "systemctl", "is-active", unit).exit_code == 0 for unit in UNITS)


def test_a_node_that_is_off_is_told_within_a_minute(context: StoryContext, codes: list[str]) -> None:
    """The last test: it stays off."""
    machine.cut_power(context.lab.plan.node(SPARE))
    begun = time.monotonic()
    page = Pc(context, STANDBY, MAINTAINER).saw(STANDBY, codes[1], "Silence depuis", "/territoire")["page"]
    assert "Silence depuis" in page
    assert "Que faire" in page
    assert in_time(time.monotonic() - begun, SHOWN_SECONDS_MAX)
    wait_for(context, 'up{job="appliance"} == 0', {SPARE}, LONG * SHOWN_SECONDS_MAX)
    wait_for(context, 'ALERTS{alertname="MairieInjoignable"}', {SPARE}, LONG * SHOWN_SECONDS_MAX)
