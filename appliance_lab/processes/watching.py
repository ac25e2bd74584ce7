"""A monitoring site in process mode: Debian's own Prometheus and Alertmanager and our queue, on loopback ports.

They read the files that the role monitoring writes on hosts: its templates, its rules. Only the times are shorter: a
story shows in seconds what takes hours: every `for`, and every silence that counts, is divided by FASTER.
"""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from appliance.errors import ApplianceError, NotFound
from appliance.host.files import make_private_folder
from appliance.host.network import http_call
from appliance.units import MIB
from appliance_lab.checkout import code_folder
from appliance_lab.processes.node import free_ports, start_logged

LOOPBACK = "127.0.0.1"
FASTER = 60
GOGC = "40"
"""As the role sets it for Prometheus: it gives memory back sooner and works a little more."""
TROUBLE = ("warning", "critical")
"""The severities of what is wrong; the others tell that the chain lives, and how the week was."""
PROGRAMS = ("prometheus", "prometheus-alertmanager")
START_SECONDS_MAX = 30.0
STOP_SECONDS_MAX = 10.0
ANSWER_SECONDS_MAX = 10.0
ANSWER_BYTES_MAX = 16 * MIB
PORTS = ("prometheus", "alertmanager", "cluster", "outbox")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SILENCE = re.compile(r"(time\(\) - [^<>]*> )(\d{3,4})\b")


@dataclass(frozen=True)
class Watched:
    """A node with the port of its exporter."""

    node: str
    site: str
    port: int


@dataclass
class Site:
    """One monitoring site `name` below `folder`; `ports` by PORTS."""

    name: str
    folder: Path
    ports: Mapping[str, int]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def url(self, program: str) -> str:
        return f"http://{LOOPBACK}:{self.ports[program]}"

    def start(self, nodes: Sequence[Watched], sites: Sequence[Site], webhook: str) -> None:
        """Start all three; `sites` are all monitoring sites, this one too, and `webhook` is told everything."""
        make_private_folder(self.folder)
        self._write(nodes, sites, webhook)
        for argv in (self._outbox(), self._alertmanager(sites), self._prometheus()):
            self._start(argv)
        self._wait_until_ready()

    def stop(self) -> None:
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS_MAX)
            process.kill()
            process.wait()
        self.processes.clear()

    def ask(self, expression: str) -> dict[tuple[tuple[str, str], ...], float]:
        """Return the present answer of Prometheus: the value of each series, by its sorted labels without its name."""
        path = f"/api/v1/query?{urlencode({'query': expression})}"
        return {_labels(it["metric"]): float(it["value"][1]) for it in self.get("prometheus", path)["data"]["result"]}

    def firing(self) -> dict[str, list[Mapping[str, str]]]:
        """Return what is wrong now: the alerts that fire, with the labels of each. Neither the sign of life nor the
        Monday's digest is one."""
        found: dict[str, list[Mapping[str, str]]] = {}
        for it in self.get("prometheus", "/api/v1/alerts")["data"]["alerts"]:
            if it["state"] == "firing" and it["labels"]["severity"] in TROUBLE:
                found.setdefault(it["labels"]["alertname"], []).append(it["labels"])
        return found

    def get(self, program: str, path: str) -> Any:
        url = self.url(program) + path
        return json.loads(http_call.fetch(url, seconds_max=ANSWER_SECONDS_MAX, bytes_max=ANSWER_BYTES_MAX))

    def _write(self, nodes: Sequence[Watched], sites: Sequence[Site], webhook: str) -> None:
        role = code_folder() / "roles/monitoring"
        values = self._values(nodes, sites)
        templates = Environment(
            loader=FileSystemLoader(role / "templates"), undefined=StrictUndefined, autoescape=False
        )
        templates.filters["to_json"] = json.dumps
        for name in ("prometheus.yml", "alertmanager.yml"):
            (self.folder / name).write_text(templates.get_template(f"{name}.j2").render(values))
        (self.folder / "alerts.rules").write_text(faster((role / "files/alerts.rules").read_text()))
        receivers = {name: ["catcher"] for name in ("regie", "astreinte", "recapitulatif")}
        settings = {"receivers": receivers, "addressees": {"catcher": {"url": webhook}}}
        (self.folder / "outbox.json").write_text(json.dumps(settings))

    def _values(self, nodes: Sequence[Watched], sites: Sequence[Site]) -> dict[str, Any]:
        """The variables of the role, as its defaults and vars would be here."""

        def targets(port: str) -> list[dict[str, str]]:
            return [{"node": it.name, "site": it.name, "target": f"{LOOPBACK}:{it.ports[port]}"} for it in sites]

        agents = [{"node": it.node, "site": it.site, "target": f"{LOOPBACK}:{it.port}"} for it in nodes]
        jobs = {"appliance": agents, "prometheus": targets("prometheus"), "alertmanager": targets("alertmanager")}
        return {
            "monitoring_interval": "1s",
            "monitoring_timeout": "1s",
            "monitoring_rules": str(self.folder / "alerts.rules"),
            "monitoring_scheme": "http",
            "monitoring_alertmanagers": targets("alertmanager"),
            "monitoring_jobs": jobs,
            "monitoring_bounds": json.loads((code_folder() / "roles/monitoring/files/scrape.json").read_text()),
            "monitoring_outbox_port": self.ports["outbox"],
            "monitoring_here": {"node": self.name, "site": self.name},
            "monitoring_probes": [],
            "monitoring_group_wait": "1s",
            "monitoring_group_interval": "2s",
            "monitoring_watchdog_url": "",
            "monitoring_watchdog_interval": "5m",
        }

    def _outbox(self) -> tuple[str, ...]:
        folder = str(self.folder / "outbox")
        words = (str(self.folder / "outbox.json"), folder, str(self.ports["outbox"]))
        return (sys.executable, "-m", "appliance.monitor.outbox_server", *words)

    def _alertmanager(self, sites: Sequence[Site]) -> tuple[str, ...]:
        peers = (f"--cluster.peer={LOOPBACK}:{it.ports['cluster']}" for it in sites if it is not self)
        return (
            "prometheus-alertmanager",
            f"--config.file={self.folder / 'alertmanager.yml'}",
            f"--storage.path={self.folder / 'alertmanager'}",
            f"--web.listen-address={LOOPBACK}:{self.ports['alertmanager']}",
            f"--cluster.listen-address={LOOPBACK}:{self.ports['cluster']}",
            "--cluster.peer-timeout=3s",
            "--cluster.settle-timeout=2s",
            *peers,
        )

    def _prometheus(self) -> tuple[str, ...]:
        return (
            "prometheus",
            f"--config.file={self.folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.folder / 'prometheus'}",
            f"--web.listen-address={LOOPBACK}:{self.ports['prometheus']}",
            "--storage.tsdb.retention.size=1GB",
            "--rules.alert.resend-delay=2s",
        )

    def _start(self, argv: Sequence[str]) -> None:
        log = self.folder / f"{Path(argv[0]).name}-{len(self.processes)}.log"
        self.processes.append(start_logged(argv, log, GOGC=GOGC))

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS_MAX
        for program in ("prometheus", "alertmanager"):
            while not _is_ready(f"{self.url(program)}/-/ready"):
                ended = any(process.poll() is not None for process in self.processes)
                if ended or time.monotonic() > deadline:
                    raise ApplianceError(f"the monitoring site {self.name} did not start.", where=str(self.folder))
                time.sleep(0.1)


@contextlib.contextmanager
def two_sites(folder: Path, nodes: Sequence[Watched], webhook: str) -> Iterator[tuple[Site, Site]]:
    """Two sites that watch `nodes` and each other."""
    for program in PROGRAMS:
        if not Path("/usr/bin", program).exists():
            raise NotFound(f"{program} is not installed.", remedy="Run `make setup`.")
    ports = free_ports(LOOPBACK, 2 * len(PORTS))
    first, second = (
        Site(name, folder / name, dict(zip(PORTS, ports[start : start + len(PORTS)], strict=True)))
        for name, start in (("site-1", 0), ("site-2", len(PORTS)))
    )
    try:
        for site in (first, second):
            site.start(nodes, (first, second), webhook)
        yield first, second
    finally:
        first.stop()
        second.stop()


def faster(rules: str) -> str:
    """`rules` with every `for`, and every silence of minutes that counts, FASTER times shorter."""
    content = yaml.safe_load(rules)
    for group in content["groups"]:
        for rule in group["rules"]:
            if "for" in rule:
                seconds = int(rule["for"][:-1]) * _SECONDS[rule["for"][-1]]
                rule["for"] = f"{max(1, seconds // FASTER)}s"
            rule["expr"] = _SILENCE.sub(lambda found: f"{found[1]}{int(found[2]) // FASTER}", rule["expr"])
    return yaml.safe_dump(content, allow_unicode=True, sort_keys=False)


def _labels(metric: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, value) for name, value in metric.items() if name != "__name__"))


def _is_ready(url: str) -> bool:
    try:
        http_call.fetch(url, seconds_max=ANSWER_SECONDS_MAX, bytes_max=ANSWER_BYTES_MAX)
        return True
    except OSError:
        return False
