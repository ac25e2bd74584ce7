"""The look around the territory over real sockets: exporters in clear and by TLS, silence, and who answers badly."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from appliance.config.load import load
from appliance.errors import ApplianceError, IntegrityError, Unreachable
from appliance.monitor import metrics
from appliance.monitor.exporter import Certificates
from appliance.portal.dashboard import history
from appliance.portal.dashboard.ask import SAMPLES_MAX, ask, samples
from appliance.portal.dashboard.names import OF_AGENT, OF_MACHINE
from appliance.portal.dashboard.observations import NOTHING, Observations
from appliance.portal.dashboard.overview import judge
from appliance.portal.dashboard.targets import (
    EXPORTER_PORT,
    NODE_EXPORTER_PORT,
    PROMETHEUS_PORT,
    Target,
    Targets,
    of_hosts,
)
from appliance.portal.dashboard.watch import alerts, look_around
from appliance.provision import exporters
from appliance_lab.bench.watched import serving
from tests.integration.coordination.authorities import DOMAIN, authority, key_of
from tests.integration.portal.exporters import LOOPBACK, answering, measured, nobody
from tests.pace import in_time

ROOT = Path(__file__).parents[3]
TERRITORY = load(ROOT / "inventory/demo")
ALERTS = {
    "data": {
        "alerts": [
            {
                "state": state,
                "labels": {"alertname": name, "severity": severity, "node": "commune-b"},
                "annotations": {"summary": "commune-b se tait"},
                "activeAt": "2026-11-25T11:00:00.123456789Z",
            }
            for name, severity, state in (
                ("SiteInjoignable", "critical", "firing"),
                ("Watchdog", "none", "firing"),
                ("CopieAbsente", "critical", "pending"),
            )
        ]
    }
}


def around(
    agents: dict[str, Target], before: Observations = NOTHING, tls: ssl.SSLContext | None = None
) -> Observations:
    return look_around(Targets(agents, {}), before, time.time(), tls)


def test_every_node_is_heard_and_one_that_falls_silent_keeps_its_last_words(tmp_path: Path) -> None:
    with ExitStack() as stack:
        agents = {
            node: Target(LOOPBACK, stack.enter_context(serving(measured(tmp_path / node, node))))
            for node in TERRITORY.nodes
        }
        first = around(agents)
        assert {name for name, it in first.nodes.items() if it.agent.answers} == set(TERRITORY.nodes)
        second = around({**agents, "commune-b": nobody()}, first)
    answer = second.nodes["commune-b"].agent
    assert (answer.answers, answer.answered, answer.samples) == (
        False,
        first.at,
        first.nodes["commune-b"].agent.samples,
    )
    assert answer.since == second.at
    assert "refused" in answer.why
    row = judge(TERRITORY, second, time.time()).row("commune-b")
    assert row is not None
    assert [(it.state, it.alert, it.since) for it in row.reasons] == [("failed", "SiteInjoignable", first.at)]
    third = around({**agents, "commune-b": nobody()}, second)
    assert third.nodes["commune-b"].agent.since == second.at, "silence is counted from its beginning"


def test_by_tls_the_node_shows_its_certificate_and_believes_the_territory_alone(tmp_path: Path) -> None:
    papers, theirs = authority(tmp_path / "papers"), authority(tmp_path / "theirs")
    names = {"certificate.pem": "commune-b.pem", "key.pem": "commune-b.key", "root.pem": "root.pem"}
    for folder, source in (("tls", papers), ("false", theirs)):
        (tmp_path / folder).mkdir()
        for name, of in names.items():
            (tmp_path / folder / name).write_bytes((source / of).read_bytes())
    monitor = Certificates(tmp_path / "tls", [key_of(papers, "hermitage")])
    path = measured(tmp_path / "sheet", "commune-b")

    def client(believes: Path, node: str) -> ssl.SSLContext:
        made = ssl.create_default_context(cafile=believes / "root.pem")
        made.load_cert_chain(believes / f"{node}.pem", believes / f"{node}.key")
        return made

    with serving(path, monitor) as port:
        target = Target(LOOPBACK, port, name=f"commune-b.{DOMAIN}")
        assert b"appliance_agent_looked" in ask(target, client(papers, "hermitage"))
        with pytest.raises(IntegrityError, match="403"):
            ask(target, client(papers, "commune-a"))
        for wrong in (replace(target, name=f"commune-c.{DOMAIN}"), replace(target, name="elsewhere.example")):
            with pytest.raises(Unreachable, match="certificate verify failed"):
                ask(wrong, client(papers, "hermitage"))
        with pytest.raises(Unreachable):
            ask(target)
    false = Certificates(tmp_path / "false", [key_of(papers, "hermitage")])
    with serving(path, false) as port, pytest.raises(Unreachable, match="certificate verify failed"):
        ask(replace(target, port=port), client(papers, "hermitage"))
    with serving(path) as port, pytest.raises(Unreachable):
        ask(replace(target, port=port), client(papers, "hermitage"))


def _dripping(line: socket.socket) -> None:
    line.sendall(b"HTTP/1.1 200 OK\r\n")
    for _ in range(200):
        line.sendall(b"x")
        time.sleep(0.05)


def _cut(line: socket.socket) -> None:
    line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nappliance_bundle_serial 7\n")
    time.sleep(3)


def _endless(line: socket.socket) -> None:
    line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n")
    while True:
        line.sendall(b"appliance_bundle_serial 7\n" * 10_000)


def _silent(line: socket.socket) -> None:
    time.sleep(3)


def _says(text: bytes) -> Callable[[socket.socket], None]:
    return lambda line: line.sendall(text)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (_dripping, Unreachable),
        (_cut, Unreachable),
        (_silent, Unreachable),
        (_endless, IntegrityError),
        (_says(b""), Unreachable),
        (_says(b"SSH-2.0-OpenSSH\r\n"), Unreachable),
        (_says(b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere.example/\r\n\r\n"), IntegrityError),
        (_says(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort"), Unreachable),
        (_says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nshort"), Unreachable),
        (_says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nshort"), Unreachable),
        (_says(b"HTTP/1.1 200 OK\r\n\r\nappliance_bundle_serial 7\n"), IntegrityError),
    ],
    ids=[
        "drips",
        "cut",
        "silent",
        "endless",
        "nothing",
        "ssh",
        "elsewhere",
        "short",
        "half a chunk",
        "less than nothing",
        "no end",
    ],
)
def test_who_answers_badly_holds_nobody_for_long(
    answer: Callable[[socket.socket], None], error: type[ApplianceError]
) -> None:
    with answering(answer) as target:
        began = time.monotonic()
        with pytest.raises(error):
            ask(target, seconds_max=1.0)
        assert in_time(time.monotonic() - began, 2.5)


@pytest.mark.parametrize(
    "text", [b"appliance_bundle_serial", b'appliance_bundle_serial{x="1} 2', b"appliance_bundle_serial x", b"\xff\xfe"]
)
def test_what_are_no_measures_is_said_and_never_nought(text: bytes) -> None:
    with contextlib.suppress(IntegrityError):
        assert samples(text, OF_AGENT) == ()


def test_who_tells_too_much_is_not_heard() -> None:
    lines = b"".join(b'appliance_backup_epoch{backup="%d"} 1\n' % number for number in range(SAMPLES_MAX + 1))
    with pytest.raises(IntegrityError, match="20001 metrics"):
        samples(lines, OF_AGENT)


def test_a_number_that_is_none_is_not_known() -> None:
    found = samples(b"appliance_bundle_serial NaN\nappliance_data_free_bytes +Inf\nother 3\n", OF_AGENT)
    assert found == ()


@pytest.mark.parametrize("answer", [b"", b"[]", b"{}", b'{"data": {"alerts": [{}]}}', b'{"data": {"alerts": 7}}'])
def test_what_prometheus_does_not_say_is_no_list_of_alerts(answer: bytes) -> None:
    with pytest.raises(IntegrityError):
        alerts(answer)


def test_alerts_that_fire_are_taken_and_the_sign_of_life_is_not() -> None:
    (found,) = alerts(json.dumps(ALERTS).encode())
    assert (found.name, found.labels["node"], round(found.since)) == ("SiteInjoignable", "commune-b", 1795604400)


def test_without_an_answer_of_prometheus_there_is_no_history_and_the_reason_is_kept(tmp_path: Path) -> None:
    found = history.fetch(nobody(), 1795604400.0)
    assert "refused" in found.why
    history.save(tmp_path / "history.json", found)
    read = history.load(tmp_path / "history.json")
    assert (read.why, read.line("mois", "age", "docs-a")) == (found.why, (None,) * 31)


def test_each_value_of_prometheus_stands_at_its_moment_and_a_gap_stays_one() -> None:
    now, asked = 1795604400.0, []

    def answer(line: socket.socket) -> None:
        values = [[now - 3600 * hours, str(hours)] for hours in (23, 5, 0)] + [[now - 3600, "NaN"]]
        found = {"data": {"result": [{"metric": {"backup": "docs-a"}, "values": values}]}}
        asked.append(1)
        body = json.dumps(found).encode()
        line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    with answering(answer) as target:
        found = history.fetch(target, now)
    day = found.line("jour", "age", "docs-a")
    assert {number: it for number, it in enumerate(day) if it is not None} == {1: 23.0, 19: 5.0, 24: 0.0}
    assert found.moments("jour")[19] == now - 5 * 3600
    assert found.line("jour", "age", "unknown") == (None,) * 25
    assert len(asked) == len(history.QUESTIONS) * len(history.WINDOWS)


def test_on_hosts_the_dashboard_asks_where_the_roles_listen() -> None:
    vars_ = [
        yaml.safe_load((ROOT / f"roles/{it}").read_text())
        for it in ("exporters/vars/main.yml", "monitoring/vars/main.yml")
    ]
    named: dict[str, int] = {**vars_[0], **vars_[1]}
    ports = (named["exporters_port"], named["exporters_node_port"], named["monitoring_prometheus_port"])
    assert ports == (EXPORTER_PORT, NODE_EXPORTER_PORT, PROMETHEUS_PORT)
    assert ports[:2] == (exporters.PORT, exporters.NODE_PORT)
    territory = load(ROOT / "inventory/example")
    found = of_hosts("hermitage", territory)
    assert set(found.agents) == set(found.machines) == set(territory.nodes)
    assert found.agents["attichy"].name == f"attichy.{territory.domain}"
    assert found.agents["attichy"].address == territory.nodes["attichy"].reach
    assert found.prometheus == Target(territory.nodes["hermitage"].reach, 9090, "", f"hermitage.{territory.domain}")


def test_every_name_that_is_shown_is_told_by_somebody() -> None:
    assert {it.full_name for it in metrics.METRICS} >= OF_AGENT
    told = [*(ROOT / "systemd").glob("ups-measures"), ROOT / "roles/monitoring/files/alerts.rules"]
    text = "".join(path.read_text() for path in told)
    assert [name for name in OF_MACHINE if name.removeprefix("network_ups_tools_ups_") not in text] == []


def test_nodes_are_asked_at_once_and_not_one_after_the_other() -> None:
    with ExitStack() as stack:
        silent: Sequence[Target] = [stack.enter_context(answering(_silent)) for _ in range(8)]
        began = time.monotonic()
        found = around({f"node-{number}": it for number, it in enumerate(silent)})
        assert time.monotonic() - began < 8
    assert not any(it.agent.answers for it in found.nodes.values())
