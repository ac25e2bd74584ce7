"""From a town that falls silent to the letter at the mail server, through every real program: ten times faster."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from appliance.host.network import http_call
from appliance.monitor.exporter import RESTARTING, Exporter
from appliance_lab.processes.node import free_ports
from tests.waiting import wait_until
from tests.worlds.mailbox import Mailbox

ROOT = Path(__file__).parents[3]
ROLE = ROOT / "roles/monitoring"
LOOPBACK = "127.0.0.1"
FASTER = 10
CUT_SECONDS, NO_LETTER_SECONDS = 60 / FASTER, 94 / FASTER
"""A power cut of a minute, and the longest silence that sends no letter (docs/architecture/monitoring.md)."""
TOWNS = {"sa": "Saint-Rémy", "sb": "Attichy", "sc": "Lhay"}
"""The last one is that of the monitoring site."""
PROGRAMS = ("prometheus", "prometheus-alertmanager", "prometheus-blackbox-exporter")

pytestmark = [
    pytest.mark.timeout(420),
    pytest.mark.skipif(
        not all(Path("/usr/bin", it).exists() for it in PROGRAMS),
        reason=f"not all of {', '.join(PROGRAMS)} are installed",
    ),
]


@dataclass
class Town:
    """A machine of which only the exporter answers: Prometheus scrapes it, and blackbox_exporter connects to it."""

    folder: Path
    port: int
    running: list[tuple[Exporter, threading.Thread]] = field(default_factory=list)

    def power_on(self) -> None:
        (self.folder / RESTARTING).unlink(missing_ok=True)
        exporter = Exporter(self.folder / "measures.json", LOOPBACK, self.port)
        thread = threading.Thread(target=exporter.serve_forever, args=(0.02,))
        thread.start()
        self.running.append((exporter, thread))

    def cut_power(self) -> None:
        for exporter, thread in self.running:
            exporter.shutdown()
            exporter.server_close()
            thread.join()
        self.running.clear()

    def announce_restart(self) -> None:
        (self.folder / RESTARTING).touch()


@dataclass
class World:
    towns: Mapping[str, Town]
    prometheus: str
    letters_file: Path

    def ask(self, expression: str) -> dict[str, float]:
        """The value of `expression` for each site."""
        url = f"{self.prometheus}/api/v1/query?query={expression}"
        try:
            found = json.loads(http_call.fetch(url, seconds_max=10.0, bytes_max=1 << 20))
        except OSError:
            return {}
        return {it["metric"]["site"]: float(it["value"][1]) for it in found["data"]["result"]}

    def letters(self) -> list[dict[str, Any]]:
        lines = self.letters_file.read_text().splitlines() if self.letters_file.exists() else ()
        return [json.loads(line) for line in lines]

    def wait_until_all_answer(self) -> None:
        wait_until(lambda: self.ask("site:answers:max") == dict.fromkeys(TOWNS, 1.0), "every town answers")


def faster(text: str) -> str:
    """The rules about towns with every time in them FASTER times shorter; the others are of no concern here."""
    [group] = [it for it in yaml.safe_load(text)["groups"] if it["name"] == "presence"]
    group["interval"] = f"{5000 // FASTER}ms"
    for rule in group["rules"]:
        assert rule.get("for", "1m") == "1m"
        rule.update({"for": f"{60_000 // FASTER}ms"} if "for" in rule else {})
        for window, seconds in (("[45s]", 45), ("[5m]", 300)):
            rule["expr"] = rule["expr"].replace(window, f"[{1000 * seconds // FASTER}ms]")
    return yaml.safe_dump({"groups": [group]}, allow_unicode=True, sort_keys=False)


def values(folder: Path, towns: Mapping[str, Town], ports: Mapping[str, int]) -> dict[str, Any]:
    """The variables of the role for these towns."""
    asked = [{"node": site, "site": site, "target": f"{LOOPBACK}:{it.port}"} for site, it in towns.items()]
    roles = (ROLE / "vars/main.yml").read_text().replace("{{ monitoring_blackbox_port }}", str(ports["blackbox"]))
    return {
        "monitoring_interval": f"{30_000 // FASTER}ms",
        "monitoring_timeout": f"{10_000 // FASTER}ms",
        "monitoring_presence_interval": f"{5000 // FASTER}ms",
        "monitoring_presence_timeout": f"{4000 // FASTER}ms",
        "monitoring_rules": str(folder / "alerts.rules"),
        "monitoring_scheme": "http",
        "monitoring_alertmanagers": [{"target": f"{LOOPBACK}:{ports['alertmanager']}"}],
        "monitoring_jobs": {"appliance": asked},
        "monitoring_bounds": json.loads((ROLE / "files/scrape.json").read_text()),
        "monitoring_outbox_port": ports["outbox"],
        "monitoring_blackbox_port": ports["blackbox"],
        "monitoring_here": {"node": "sc", "site": "sc"},
        "monitoring_probes": [{**asked[-1], "service": "exporter", "module": "tcp_connect"}],
        "monitoring_presence": [{**it, "town": TOWNS[it["site"]], "module": "tcp_connect"} for it in asked],
        "monitoring_through_blackbox": yaml.safe_load(roles)["monitoring_through_blackbox"],
        "monitoring_group_wait": "3s",
        "monitoring_group_interval": "1s",
        "monitoring_watchdog_url": "",
        "monitoring_watchdog_interval": "5m",
    }


def write(folder: Path, towns: Mapping[str, Town], ports: Mapping[str, int]) -> None:
    templates = Environment(loader=FileSystemLoader(ROLE / "templates"), undefined=StrictUndefined, autoescape=False)
    templates.filters["to_json"] = json.dumps
    for name in ("prometheus.yml", "alertmanager.yml"):
        (folder / name).write_text(templates.get_template(f"{name}.j2").render(values(folder, towns, ports)))
    (folder / "alerts.rules").write_text(faster((ROLE / "files/alerts.rules").read_text()))
    addressee = {"host": LOOPBACK, "port": ports["mail"], "tls": "none", "from": "a@x.fr", "to": ["regie@x.fr"]}
    receivers = {it: ["it"] for it in ("regie", "astreinte", "recapitulatif")}
    (folder / "outbox.json").write_text(json.dumps({"receivers": receivers, "addressees": {"it": addressee}}))
    (folder / "blackbox.yml").write_text("modules: {tcp_connect: {prober: tcp}}\n")


def commands(folder: Path, ports: Mapping[str, int]) -> Iterator[tuple[str, ...]]:
    yield (
        sys.executable,
        "-m",
        "appliance.monitor.outbox_server",
        *(str(folder / it) for it in ("outbox.json", "outbox")),
        str(ports["outbox"]),
    )
    yield (
        "prometheus-blackbox-exporter",
        f"--config.file={folder / 'blackbox.yml'}",
        f"--web.listen-address={LOOPBACK}:{ports['blackbox']}",
        "--timeout-offset=0.1",
    )
    yield (
        "prometheus-alertmanager",
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address={LOOPBACK}:{ports['alertmanager']}",
        "--cluster.listen-address=",
    )
    yield (
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address={LOOPBACK}:{ports['prometheus']}",
    )


@contextmanager
def running(argv: tuple[str, ...], log: Path) -> Iterator[None]:
    with log.open("wb") as out, subprocess.Popen(argv, stdout=out, stderr=out, cwd=ROOT) as process:
        try:
            yield
        finally:
            process.terminate()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    names = (*TOWNS, "outbox", "blackbox", "alertmanager", "prometheus", "mail")
    ports = dict(zip(names, free_ports(LOOPBACK, len(names)), strict=True))
    towns = {site: Town(tmp_path / site, ports[site]) for site in TOWNS}
    file = tmp_path / "letters"
    with ExitStack() as stack:
        mailbox = stack.enter_context(Mailbox(ports["mail"], file))
        threading.Thread(target=mailbox.serve_forever, args=(0.02,)).start()
        stack.callback(mailbox.shutdown)
        for town in towns.values():
            town.folder.mkdir()
            town.power_on()
            stack.callback(town.cut_power)
        write(tmp_path, towns, ports)
        for argv in commands(tmp_path, ports):
            stack.enter_context(running(argv, tmp_path / f"{Path(argv[0]).name}.log"))
        world = World(towns, f"http://{LOOPBACK}:{ports['prometheus']}", file)
        world.wait_until_all_answer()
        yield world


def dark_for(world: World, town: Town, seconds: float) -> float:
    """Cut its power for so long, and return once Prometheus sees it again; for how long it really was off."""
    town.cut_power()
    begun = time.monotonic()
    wait_until(lambda: time.monotonic() - begun > seconds, "the power comes back")
    town.power_on()
    silent = time.monotonic() - begun
    world.wait_until_all_answer()
    return silent


def test_a_dark_town_is_one_letter_with_its_name_and_what_to_do_and_a_cut_of_a_minute_or_a_restart_is_none(
    world: World,
) -> None:
    town = world.towns["sa"]
    silent = dark_for(world, town, CUT_SECONDS)
    if silent > NO_LETTER_SECONDS:
        pytest.skip(f"this machine stood still: the cut of {CUT_SECONDS} s took {silent:.1f} s")
    assert world.letters() == []

    town.announce_restart()
    wait_until(lambda: world.ask("site:restarts:max").get("sa") == 1.0, "the restart was told")
    dark_for(world, town, NO_LETTER_SECONDS + 2)
    assert world.letters() == []

    town.cut_power()
    wait_until(world.letters, "a letter came")
    [letter] = world.letters()
    assert letter["subject"] == "[URGENT] Saint-Rémy ne répond plus : courant ou fibre coupés ?"
    assert "Appelez : y a-t-il du courant ?" in letter["text"]
    assert re.search(r"^Que faire : https?://\S+MairieInjoignable", letter["text"], re.MULTILINE)


def test_a_monitoring_site_whose_line_is_cut_sends_one_letter_and_it_is_about_itself(world: World) -> None:
    for site in ("sa", "sb"):
        world.towns[site].cut_power()
    wait_until(world.letters, "a letter came")
    for site in ("sb", "sa"):
        world.towns[site].power_on()
        wait_until(lambda it=site: world.ask("site:answers:max").get(it) == 1.0, f"{site} answers")  # type: ignore[misc]
    wait_until(lambda: len(world.letters()) == 2, "its end was told")
    subjects = [it["subject"] for it in world.letters()]
    assert subjects == ["[URGENT] Lhay ne voit plus aucun autre site", "[Fin] Lhay ne voit plus aucun autre site"]
