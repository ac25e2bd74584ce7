"""The look of a monitoring node around the territory, each half minute: every node at once, and Prometheus beside it.

It runs in the worker, which may read the node's key; the pages only read what it writes. A node that does not answer
keeps its last report, and since when it is silent.
"""

from __future__ import annotations

import json
import logging
import ssl
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event

from appliance.coordination.tls import client_tls
from appliance.errors import ApplianceError, IntegrityError
from appliance.node.handle import Node, open_node
from appliance.portal.dashboard import history, observations
from appliance.portal.dashboard.ask import ask, samples
from appliance.portal.dashboard.history import History
from appliance.portal.dashboard.names import JOULES, OF_AGENT, OF_MACHINE
from appliance.portal.dashboard.observations import Alert, LastAnswer, Observations, Prometheus, WatchedNode
from appliance.portal.dashboard.targets import Target, Targets, is_watching, targets
from appliance.portal.paths import PortalPaths
from appliance.units import MINUTE

LOG = logging.getLogger("appliance.portal")
LOOK_SECONDS = 30.0
HISTORY_SECONDS = 5 * MINUTE
AT_ONCE_MAX = 16


class Watcher:
    """Looks around for the node in `state`, where that one watches."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._next_history = 0.0
        self.watching = True
        """Whether this node watches, by its last look; taken for granted before the first one."""

    def run(self, ended: Event) -> None:
        """Look until `ended`."""
        while not ended.is_set():
            began = time.monotonic()
            try:
                self.look()
            except (ApplianceError, OSError) as error:
                LOG.warning("the look around the territory: %s", error)
            ended.wait(max(1.0, began + LOOK_SECONDS - time.monotonic()))

    def look(self) -> None:
        """Look once, and write down what was seen; nothing where this node does not watch."""
        node = open_node(self._state)
        self.watching = is_watching(node.layout, node.name, node.bundle.territory)
        if not self.watching:
            return
        asked = targets(node.layout, node.name, node.bundle.territory)
        paths, tls = PortalPaths.of(node.layout), _tls(node, asked)
        observed = look_around(asked, observations.load(paths.seen), node.clock.now(), tls)
        observations.save(paths.seen, observed)
        if asked.prometheus:
            self._remember(paths.history, asked.prometheus, observed, tls)

    def _remember(self, file: Path, prometheus: Target, observed: Observations, tls: ssl.SSLContext | None) -> None:
        """Fetch the history every few minutes. While Prometheus is silent there is none, and it comes back with it."""
        if not observed.prometheus.answers:
            self._next_history = 0.0
            history.save(file, History(observed.at, observed.prometheus.why))
        elif time.monotonic() >= self._next_history:
            found = history.fetch(prometheus, observed.at, tls)
            history.save(file, found)
            self._next_history = 0.0 if found.why else time.monotonic() + HISTORY_SECONDS


def look_around(asked: Targets, before: Observations, now: float, tls: ssl.SSLContext | None) -> Observations:
    """Ask everybody at once. The report that each gave `before` stays with one that does not answer."""
    with ThreadPoolExecutor(AT_ONCE_MAX) as asking:

        def ask_one(target: Target, names: frozenset[str], last: LastAnswer) -> Future[LastAnswer]:
            return asking.submit(_answer_of, target, names, last, now, tls)

        prometheus = asking.submit(_prometheus, asked.prometheus, before.prometheus, now, tls)
        agents = {name: ask_one(it, OF_AGENT, _before(before, name).agent) for name, it in asked.agents.items()}
        machines = {
            name: ask_one(it, OF_MACHINE, _before(before, name).machine or LastAnswer())
            for name, it in asked.machines.items()
        }
        nodes = {
            name: WatchedNode(it.result(), machines[name].result() if name in machines else None)
            for name, it in agents.items()
        }
    counted = {name: replace(it, watts=watts(_before(before, name), it)) for name, it in nodes.items()}
    return Observations(now, counted, prometheus.result())


def watts(before: WatchedNode, now: WatchedNode) -> float | None:
    """The power of a machine's processors between two answers; None where they do not count it, and after a restart."""
    if not before.machine or not now.machine or not now.machine.answers or before.machine.answered is None:
        return None
    spent = (now.machine.answered or 0.0) - before.machine.answered
    joules, earlier = (_sum(it.machine.all(JOULES)) for it in (now, before) if it.machine)
    if joules is None or earlier is None or joules < earlier or spent <= 0:
        return None
    return (joules - earlier) / spent


def _sum(samples: Iterable[observations.Sample]) -> float | None:
    values = [it.value for it in samples]
    return sum(values) if values else None


def _before(observed: Observations, name: str) -> WatchedNode:
    return observed.nodes.get(name) or WatchedNode(LastAnswer(), LastAnswer())


def _answer_of(
    target: Target, names: frozenset[str], before: LastAnswer, now: float, tls: ssl.SSLContext | None
) -> LastAnswer:
    try:
        return LastAnswer(answered=now, samples=samples(ask(target, tls), names))
    except ApplianceError as error:
        return replace(before, since=before.since or now, why=error.what)


def _prometheus(target: Target | None, before: Prometheus, now: float, tls: ssl.SSLContext | None) -> Prometheus:
    if target is None:
        return Prometheus()
    try:
        return Prometheus(answered=now, alerts=alerts(ask(replace(target, path="/api/v1/alerts"), tls)))
    except ApplianceError as error:
        return replace(before, since=before.since or now, why=error.what, alerts=())


def alerts(answer: bytes) -> tuple[Alert, ...]:
    """The alerts that fire, but for the sign of life; raise IntegrityError for what Prometheus does not say."""
    try:
        found = json.loads(answer)["data"]["alerts"]
        return tuple(_alert(it) for it in found if it["state"] == "firing" and it["labels"]["severity"] != "none")
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"these are not valid alerts: {error}.") from error


def _alert(told: Mapping[str, Mapping[str, str]]) -> Alert:
    labels = dict(told["labels"])
    since = history.seconds(str(told["activeAt"]))
    return Alert(labels.pop("alertname"), labels, told["annotations"].get("summary", ""), since)


def _tls(node: Node, asked: Targets) -> ssl.SSLContext | None:
    """Read the certificates again each time: they are renewed. None where everybody answers in clear."""
    named = any(it.name for it in (*asked.agents.values(), *asked.machines.values()))
    return client_tls(node.layout.tls) if named else None
