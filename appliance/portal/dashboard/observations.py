"""The last answers of every node and of Prometheus, as the worker got them, given to the pages by one file.

The last report of a node stays when it falls silent: a moment that was true stays true, and an age goes on growing.
Whether it still answers stands beside, so that nothing else of it is taken for the present.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from appliance.host.files import make_private_folder, write_atomic

FORMAT = 1
FRESH_SECONDS_MAX = 120.0
"""Older than that, the answers are not the present: nobody asks any more."""


@dataclass(frozen=True)
class Sample:
    """One sample, by its full name as Prometheus knows it."""

    name: str
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True)
class LastAnswer:
    """The last answer of one program of a node. `since`: when it first failed to answer, "" being `why` while it
    answers; `answered` None when it never did."""

    answered: float | None = None
    since: float | None = None
    why: str = ""
    samples: tuple[Sample, ...] = ()

    @property
    def answers(self) -> bool:
        return self.answered is not None and self.since is None

    @cached_property
    def _by_name(self) -> Mapping[str, tuple[Sample, ...]]:
        found: dict[str, list[Sample]] = {}
        for it in self.samples:
            found.setdefault(it.name, []).append(it)
        return {name: tuple(each) for name, each in found.items()}

    def all(self, name: str, **labels: str) -> Iterator[Sample]:
        """Every sample of `name` that has `labels`."""
        wanted = labels.items()
        return (it for it in self._by_name.get(name, ()) if wanted <= it.labels.items())

    def one(self, name: str, **labels: str) -> float | None:
        """The value of the first of them; None where there is none."""
        return next((it.value for it in self.all(name, **labels)), None)


@dataclass(frozen=True)
class WatchedNode:
    """A node: its `agent`, by its exporter, and its `machine`, by node_exporter; None where nobody asks that one.
    `watts`: what its processor took between the last two answers, for a machine without a UPS that counts."""

    agent: LastAnswer
    machine: LastAnswer | None = None
    watts: float | None = None


@dataclass(frozen=True)
class Alert:
    """An alert that fires. `since`: UTC seconds."""

    name: str
    labels: Mapping[str, str]
    summary: str
    since: float


@dataclass(frozen=True)
class Prometheus:
    """`alerts` are those that fire; they mean something only while it answers."""

    answered: float | None = None
    since: float | None = None
    why: str = ""
    alerts: tuple[Alert, ...] = ()

    @property
    def answers(self) -> bool:
        return self.answered is not None and self.since is None


@dataclass(frozen=True)
class Observations:
    """One look: `at` UTC seconds; nodes by name."""

    at: float
    nodes: Mapping[str, WatchedNode] = field(default_factory=dict)
    prometheus: Prometheus = Prometheus()

    def is_fresh(self, now: float) -> bool:
        return abs(now - self.at) <= FRESH_SECONDS_MAX


NOTHING = Observations(0.0)


def save(file: Path, observed: Observations) -> None:
    make_private_folder(file.parent)
    write_atomic(file, json.dumps({"format": FORMAT, **_to_json(observed)}).encode(), mode=0o600)


def load(file: Path) -> Observations:
    """Return what was seen last; NOTHING before the worker has looked for the first time, and of another version's
    file."""
    try:
        content = json.loads(file.read_bytes())
    except FileNotFoundError:
        return NOTHING
    return _from_json(content) if content["format"] == FORMAT else NOTHING


def _to_json(observed: Observations) -> dict[str, Any]:
    nodes = {
        name: {
            "agent": _answer_to_json(it.agent),
            "machine": _answer_to_json(it.machine) if it.machine else None,
            "watts": it.watts,
        }
        for name, it in observed.nodes.items()
    }
    return {"at": observed.at, "nodes": nodes, "prometheus": asdict(observed.prometheus)}


def _answer_to_json(it: LastAnswer) -> dict[str, Any]:
    samples = [(each.name, dict(each.labels), each.value) for each in it.samples]
    return {"answered": it.answered, "since": it.since, "why": it.why, "told": samples}


def _from_json(content: Mapping[str, Any]) -> Observations:
    nodes = {
        name: WatchedNode(_read(it["agent"]), _read(it["machine"]) if it["machine"] else None, it["watts"])
        for name, it in content["nodes"].items()
    }
    prometheus = content["prometheus"]
    alerts = tuple(Alert(**it) for it in prometheus.pop("alerts"))
    return Observations(content["at"], nodes, Prometheus(**prometheus, alerts=alerts))


def _read(content: Mapping[str, Any]) -> LastAnswer:
    return LastAnswer(content["answered"], content["since"], content["why"], _samples(content["told"]))


def _samples(samples: Iterable[Any]) -> tuple[Sample, ...]:
    return tuple(Sample(name, labels, value) for name, labels, value in samples)
