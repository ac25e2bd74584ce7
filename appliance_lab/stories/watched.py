"""The ground of the story `monitor`: the demo's nodes with agents and exporters, two monitoring sites, a webhook."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from appliance.config.load import load
from appliance.errors import OK, WARNINGS
from appliance.escrow import age
from appliance.host.files import make_private_folder
from appliance.territory.model import Territory
from appliance.units import MIB
from appliance_lab.checkout import inventories
from appliance_lab.corpus import generate
from appliance_lab.processes.catcher import Catcher, Told
from appliance_lab.processes.node import ProcessNode, free_ports
from appliance_lab.processes.territory import ProcessTerritory, on_ports
from appliance_lab.processes.watching import LOOPBACK, Site, Watched, two_sites
from appliance_lab.stories.screen import Screen, open_screen
from appliance_lab.story import Violated, waiting

SERVICE = "docs-a"
STANDBY, ORIGIN, BLIND = "hermitage", "commune-a", "commune-b"
RPO_SECONDS = 20
QUOTA_BYTES = 40 * MIB
"""An epoch may fill 28 MiB of it, and from 25.2 MiB on there is an alert."""
DOCUMENTS_BYTES, DOCUMENTS_FILES = 3 * MIB, 100
BACKUP_EVERY_SECONDS = 5.0
FIRES_SECONDS_MAX = 60.0
CLEARS_SECONDS_MAX = 60.0
EVERY = "APPLIANCE_AGENT_EVERY"


@dataclass
class WatchedContext:
    territory: ProcessTerritory
    documents: Path
    exporters: Mapping[str, int]
    sites: tuple[Site, Site]
    catcher: Catcher
    clock: Clockwork
    watched: tuple[Watched, ...]
    screen: Screen
    """The dashboards of the origin; their history comes from the second monitoring site."""
    began: float = 0.0
    """When the present step did, seconds UTC: what fired before is not of its making."""

    def node(self, name: str) -> ProcessNode:
        return self.territory.nodes[name]

    def power_on(self, name: str) -> None:
        power_on(self.node(name), self.exporters[name])

    def doctor(self, name: str) -> dict[tuple[str, str, str], str]:
        """The answers of `appliance doctor` on a node: the state of each check, role and subject."""
        said = json.loads(self.node(name).cli("--json", "doctor", check=False).stdout)
        return {(it["check"], it["role"], it["subject"]): it["state"] for it in said["checks"]}

    def fires(self, alert: str, seconds_max: float = FIRES_SECONDS_MAX, **labels: str) -> None:
        """Wait until `alert` was notified; raise Violated when that takes too long."""
        with waiting(f"a message of {alert}", seconds_max) as done:
            while not done(any(it.status == "firing" for it in self._told(alert, labels))):
                pass

    def clears(self, alert: str, seconds_max: float = CLEARS_SECONDS_MAX, **labels: str) -> str:
        """Wait until its end was notified; then a sentence. Raise Violated unless each was told exactly once."""
        with waiting(f"the all-clear of {alert}", seconds_max) as done:
            while not done(any(it.status == "resolved" for it in self._told(alert, labels))):
                pass
        told = self._told(alert, labels)
        first = [it.status for it in told if it.began == told[0].began]
        if first != ["firing", "resolved"]:
            raise Violated(f"{alert} was told {len(first)} times: {', '.join(first)}.")
        return f"{alert} fired, was told once, and cleared: « {told[0].summary} »"

    def _told(self, alert: str, labels: Mapping[str, str]) -> tuple[Told, ...]:
        return tuple(it for it in self.catcher.told(alert, **labels) if it.began >= self.began)

    def calm(self, seconds_max: float = 90.0) -> None:
        """Wait until nothing fires at the first site; raise Violated with what still does."""
        try:
            with waiting("the end of all alerts", seconds_max) as done:
                while not done(not self.sites[0].firing()):
                    pass
        except Violated as error:
            raise Violated(f"{error} Firing: {', '.join(sorted(self.sites[0].firing()))}.") from None


@dataclass
class Clockwork:
    """Backs the service up every few seconds, as a schedule does every few hours; can be stopped and go on."""

    node: ProcessNode
    codes: list[int] = field(default_factory=list)
    _ends: threading.Event = field(default_factory=threading.Event)
    _goes: threading.Event = field(default_factory=threading.Event)
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> None:
        while not self._ends.is_set():
            with self._turn:
                if self._goes.is_set():
                    self.back_up()
            self._ends.wait(BACKUP_EVERY_SECONDS)

    def back_up(self) -> int:
        code = self.node.cli("backup", "run", SERVICE, check=False).exit_code
        self.codes.append(code)
        return code

    def go(self) -> None:
        self._goes.set()

    def stop(self) -> None:
        """Return once no backup runs."""
        self._goes.clear()
        with self._turn:
            pass

    def end(self) -> None:
        self._ends.set()

    @contextlib.contextmanager
    def stopped(self) -> Iterator[Callable[[], int]]:
        """No backups in this block but those that the block asks for; they go on afterwards, whatever happened."""
        self.stop()
        try:
            yield self.back_up
        finally:
            self.go()


def well(code: int) -> bool:
    return code in (OK, WARNINGS)


def power_on(node: ProcessNode, exporter: int) -> None:
    node.start_sshd()
    node.start_agent()
    node.start_exporter(exporter)


@contextlib.contextmanager
def set_up(work: Path) -> Iterator[WatchedContext]:
    """Everything started under `work`, and ended afterwards. Agents look every second."""
    if os.geteuid() == 0:
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)  # sshd started by root separates privileges there
    documents = work / "documents"
    generate(make_private_folder(documents), DOCUMENTS_BYTES, DOCUMENTS_FILES, seed=1)
    territory = ProcessTerritory(make_private_folder(work / "territory"), _plan(documents))
    territory.recovery = age.generate().public
    ports = dict(zip(territory.territory.nodes, free_ports(LOOPBACK, len(territory.territory.nodes)), strict=True))
    watched = tuple(Watched(name, node.site, ports[name]) for name, node in territory.territory.nodes.items())
    with _looking_each_second(), contextlib.ExitStack() as stack:
        stack.callback(territory.stop)
        territory.create()
        territory.sign()
        territory.begin_services()
        catcher = stack.enter_context(Catcher())
        clock = Clockwork(territory.nodes[ORIGIN])
        sites = stack.enter_context(two_sites(work / "watching", watched, catcher.url))
        for name, node in territory.nodes.items():
            power_on(node, ports[name])
        screen = open_screen(territory.nodes[ORIGIN], watched, sites[1])
        stack.callback(screen.browser.close)
        context = WatchedContext(territory, documents, ports, sites, catcher, clock, watched, screen)
        thread = threading.Thread(target=clock.run)
        thread.start()
        stack.callback(thread.join)
        stack.callback(clock.end)
        yield context


@contextlib.contextmanager
def _looking_each_second() -> Iterator[None]:
    before = os.environ.get(EVERY)
    os.environ[EVERY] = "1"
    try:
        yield
    finally:
        del os.environ[EVERY]
        if before is not None:
            os.environ[EVERY] = before


def _plan(documents: Path) -> Territory:
    plan = load(inventories() / "demo")
    plan = on_ports(plan, dict(zip(plan.nodes, free_ports(LOOPBACK, len(plan.nodes)), strict=True)))
    service = replace(
        plan.service(SERVICE),
        paths=(str(documents),),
        rpo_seconds=RPO_SECONDS,
        quota_bytes=QUOTA_BYTES,
        size_bytes=QUOTA_BYTES,
    )
    return replace(plan, services={SERVICE: service})
