"""The last answers of every node and of Prometheus, as the worker heard them, given to the pages by one file.

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
"""Older than that, what was heard is not the present: nobody asks any more."""


@dataclass(frozen=True)
class Told:
    """One sample, by its full name as Prometheus knows it."""

    name: str
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True)
class Heard:
    """The last answer of one program of a node. `since`: when it first failed to answer, "" being `why` while it
    answers; `answered` None when it never did."""

    answered: float | None = None
    since: float | None = None
    why: str = ""
    told: tuple[Told, ...] = ()

    @property
    def answers(self) -> bool:
        return self.answered is not None and self.since is None

    @cached_property
    def _by_name(self) -> Mapping[str, tuple[Told, ...]]:
        found: dict[str, list[Told]] = {}
        for it in self.told:
            found.setdefault(it.name, []).append(it)
        return {name: tuple(each) for name, each in found.items()}

    def all(self, name: str, **labels: str) -> Iterator[Told]:
        """Every sample of `name` that has `labels`."""
        wanted = labels.items()
        return (it for it in self._by_name.get(name, ()) if wanted <= it.labels.items())

    def one(self, name: str, **labels: str) -> float | None:
        """The value of the first of them; None when nothing was told."""
        return next((it.value for it in self.all(name, **labels)), None)


@dataclass(frozen=True)
class Watched:
    """A node: its `agent`, by its exporter, and its `machine`, by node_exporter; None where nobody asks that one.
    `watts`: what its processor took between the last two answers, for a machine without a UPS that counts."""

    agent: Heard
    machine: Heard | None = None
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
class Present:
    """One look: `at` UTC seconds; nodes by name."""

    at: float
    nodes: Mapping[str, Watched] = field(default_factory=dict)
    prometheus: Prometheus = Prometheus()

    def is_fresh(self, now: float) -> bool:
        return abs(now - self.at) <= FRESH_SECONDS_MAX


NOTHING = Present(0.0)


def save(file: Path, present: Present) -> None:
    make_private_folder(file.parent)
    write_atomic(file, json.dumps({"format": FORMAT, **_to_json(present)}).encode(), mode=0o600)


def load(file: Path) -> Present:
    """Return what was seen last; NOTHING before the worker has looked for the first time, and of another version's
    file."""
    try:
        content = json.loads(file.read_bytes())
    except FileNotFoundError:
        return NOTHING
    return _from_json(content) if content["format"] == FORMAT else NOTHING


def _to_json(present: Present) -> dict[str, Any]:
    nodes = {
        name: {"agent": _heard(it.agent), "machine": _heard(it.machine) if it.machine else None, "watts": it.watts}
        for name, it in present.nodes.items()
    }
    return {"at": present.at, "nodes": nodes, "prometheus": asdict(present.prometheus)}


def _heard(it: Heard) -> dict[str, Any]:
    told = [(each.name, dict(each.labels), each.value) for each in it.told]
    return {"answered": it.answered, "since": it.since, "why": it.why, "told": told}


def _from_json(content: Mapping[str, Any]) -> Present:
    nodes = {
        name: Watched(_read(it["agent"]), _read(it["machine"]) if it["machine"] else None, it["watts"])
        for name, it in content["nodes"].items()
    }
    prometheus = content["prometheus"]
    alerts = tuple(Alert(**it) for it in prometheus.pop("alerts"))
    return Present(content["at"], nodes, Prometheus(**prometheus, alerts=alerts))


def _read(content: Mapping[str, Any]) -> Heard:
    return Heard(content["answered"], content["since"], content["why"], _told(content["told"]))


def _told(samples: Iterable[Any]) -> tuple[Told, ...]:
    return tuple(Told(name, labels, value) for name, labels, value in samples)
