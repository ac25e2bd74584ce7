"""How a service has been, as Prometheus remembers it: a few questions, each about all services at once.

The worker asks every few minutes and writes one file. Where Prometheus does not answer there is no history, and the
pages say so: nothing old stands in for it.
"""

from __future__ import annotations

import json
import math
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from appliance.errors import ApplianceError, IntegrityError
from appliance.host.files import make_private_folder
from appliance.host.records import Record
from appliance.monitor import metrics
from appliance.portal.dashboard.ask import ask
from appliance.portal.dashboard.targets import Target
from appliance.units import DAY, HOUR


@dataclass(frozen=True)
class Window:
    """How far back one looks, and how far apart the points are."""

    seconds: int
    step_seconds: int

    @property
    def count(self) -> int:
        return self.seconds // self.step_seconds + 1


def _of(metric: metrics.Metric) -> str:
    return f"max by (backup) ({metric.full_name})"


WINDOWS = {"mois": Window(30 * DAY, DAY), "jour": Window(DAY, HOUR)}
QUESTIONS = {
    "age": f"time() - {_of(metrics.SAFE)}",
    "copies": "max by (backup) (backup:fresh_copies:count)",
    "new": _of(metrics.NEW_BYTES),
    "room": f"max by (backup) ({metrics.SIZE.full_name} / {metrics.QUOTA.full_name})",
    "drill": _of(metrics.DRILL_SECONDS),
}

type Line = tuple[float | None, ...]


@dataclass(frozen=True)
class History:
    """Asked at `at`, UTC seconds; `why` there is none, "" when there is. `lines`: by window, question and service, one
    value for each point of the window, the last one at `at`; None where nothing was known."""

    at: float = 0.0
    why: str = ""
    lines: Mapping[str, Mapping[str, Mapping[str, Line]]] = field(default_factory=dict)

    def line(self, window: str, question: str, service: str) -> Line:
        """Nothing but None where Prometheus knows nothing of it."""
        found = self.lines.get(window, {}).get(question, {}).get(service)
        return found if found is not None else (None,) * WINDOWS[window].count

    def moments(self, window: str) -> tuple[float, ...]:
        span = WINDOWS[window]
        return tuple(self.at - (span.count - 1 - number) * span.step_seconds for number in range(span.count))


KEPT = Record(History, 1)


def fetch(prometheus: Target, now: float, tls: ssl.SSLContext | None = None) -> History:
    """Ask for everything; without any of it when one question fails."""
    now = float(int(now))
    try:
        lines = {
            name: {
                question: _read(ask(_question(prometheus, expression, window, now), tls), window, now)
                for question, expression in QUESTIONS.items()
            }
            for name, window in WINDOWS.items()
        }
    except ApplianceError as error:
        return History(now, error.what)
    return History(now, "", lines)


def _question(prometheus: Target, expression: str, window: Window, now: float) -> Target:
    start = now - (window.count - 1) * window.step_seconds
    asked = {"query": expression, "start": start, "end": now, "step": window.step_seconds}
    return replace(prometheus, path=f"/api/v1/query_range?{urlencode(asked)}")


def _read(answer: bytes, window: Window, now: float) -> dict[str, Line]:
    try:
        found = json.loads(answer)["data"]["result"]
        return {it["metric"]["backup"]: _line(it["values"], window, now) for it in found}
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"this is not a valid history: {error}.") from error


def _line(values: Sequence[Any], window: Window, now: float) -> Line:
    """Each value at its place; where Prometheus has none, None."""
    known = {window.count - 1 - round((now - float(at)) / window.step_seconds): float(value) for at, value in values}
    return tuple(known[it] if math.isfinite(known.get(it, math.nan)) else None for it in range(window.count))


def save(file: Path, history: History) -> None:
    make_private_folder(file.parent)
    KEPT.save(file, history)


def load(file: Path) -> History:
    """Return what was fetched last; nothing before that, and of another version's file."""
    return KEPT.load_or(file, History())


def seconds(text: str) -> float:
    """A moment as Prometheus writes it, 2026-11-24T08:00:00.123456789Z."""
    return datetime.fromisoformat(text).timestamp()
