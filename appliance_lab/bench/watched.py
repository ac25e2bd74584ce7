"""The cost of being watched: a scrape of a large node, and one Prometheus over a whole territory."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from appliance.host.network import http_call
from appliance.monitor import measures_file
from appliance.monitor.checks import CHECKS
from appliance.monitor.exporter import Certificates, Exporter
from appliance.monitor.metrics import CHECK, METRICS, PATH, Metric, Sample
from appliance.units import MIB
from appliance_lab.bench.bench import Bench
from appliance_lab.bench.figures import Figure, Goal
from appliance_lab.bench.measure import status_bytes
from appliance_lab.processes.catcher import Catcher
from appliance_lab.processes.watching import START_SECONDS_MAX, Watched, two_sites
from appliance_lab.story import waiting

LOOPBACK = "127.0.0.1"
SERVICES, NODES, SERVICES_OF_A_TOWN = 20, 20, 5
SCRAPE_MILLISECONDS_MAX, PROMETHEUS_MIB_MAX = 50, 150


def scrape(bench: Bench) -> tuple[Figure, ...]:
    """One scrape of a node with SERVICES services, from the first byte asked to the last one read."""
    path = bench.work / "measures.json"
    measures_file.save(path, samples(SERVICES))
    with serving(path) as port:
        spent = tuple(_milliseconds(port) for _ in bench.runs("a scrape"))
        size = len(_scraped(port))
    notes = (f"{SERVICES} services written, held and readable here; {size / 1000:.0f} kB of text",)
    goal = Goal(SCRAPE_MILLISECONDS_MAX)
    return (Figure("scrape", f"one scrape at {SERVICES} services", "ms", spent, goal=goal, notes=notes),)


def prometheus(bench: Bench) -> tuple[Figure, ...]:
    """Resident memory of one Prometheus that has watched NODES nodes for a while, each second instead of each half
    minute."""
    with contextlib.ExitStack() as stack:
        nodes, folder = stack.enter_context(_territory(bench.work / "watched"))
        catcher = stack.enter_context(Catcher())
        first, _ = stack.enter_context(two_sites(folder, nodes, catcher.url))
        with waiting("every node's first scrape", START_SECONDS_MAX) as done:
            while not done(len(first.ask('up{job="appliance"} == 1')) == NODES):
                pass
        time.sleep(bench.size.rest_seconds)
        pid = first.processes[-1].pid
        memory = tuple(status_bytes(pid, "VmRSS") / MIB for _ in bench.runs("Prometheus' memory"))
        [series] = first.ask('count({__name__=~".+"})').values()
    told = f"{NODES} nodes that write, hold and read {SERVICES_OF_A_TOWN} services each"
    notes = (f"{series:,.0f} series of {told}; all rules, asked each second",)
    goal = Goal(PROMETHEUS_MIB_MAX)
    return (Figure("prometheus", f"Prometheus over {NODES} nodes", "MiB", memory, goal=goal, notes=notes),)


@contextlib.contextmanager
def serving(path: Path, certificates: Certificates | None = None) -> Iterator[int]:
    """The port at which the exporter serves the sheet `path`, in a thread of this process."""
    with Exporter(path, LOOPBACK, 0, certificates) as exporter:
        thread = threading.Thread(target=exporter.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield exporter.server_port
        finally:
            exporter.shutdown()
            thread.join()


@contextlib.contextmanager
def _territory(folder: Path) -> Iterator[tuple[tuple[Watched, ...], Path]]:
    """NODES exporters in this process, each with a sheet of its own."""
    with contextlib.ExitStack() as stack:
        nodes = []
        for number in range(NODES):
            path = folder / f"node-{number}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            measures_file.save(path, samples(SERVICES_OF_A_TOWN, f"node-{number}"))
            port = stack.enter_context(serving(path))
            nodes.append(Watched(f"node-{number}", f"site-{number}", port))
        yield tuple(nodes), folder / "sites"


def samples(services: int, node: str = "node") -> Iterable[Sample]:
    """A sheet as of a node that writes, holds and reads so many services."""
    names = [f"{node}-service-{number}" for number in range(services)]
    for metric in METRICS:
        for number, labels in enumerate(_labels(metric, names)):
            yield Sample(metric.name, labels, 0.0 if metric is CHECK else time.time() - number)


def _labels(metric: Metric, services: list[str]) -> Iterable[tuple[str, ...]]:
    """Every combination that a node would tell: all services, and for a check all checks of each."""
    values = {"backup": services, "subject": services, "check": list(CHECKS), "kind": ["backup", "exchange", "scrub"]}
    if metric is CHECK:
        return ((check, role, name) for check, it in CHECKS.items() for role in it.roles for name in services)
    return itertools.product(*(values.get(label, ["x"]) for label in metric.labels))


def _milliseconds(port: int) -> float:
    started = time.monotonic()
    _scraped(port)
    return 1000 * (time.monotonic() - started)


def _scraped(port: int) -> bytes:
    return http_call.fetch(f"http://{LOOPBACK}:{port}{PATH}", seconds_max=10, bytes_max=16 * MIB)
