"""Is a node worse than it was? An upgrade asks so before it goes on to the next one. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from appliance.monitor.states import ORDER, Judged, State
from appliance.monitor.status import Status

type Subject = tuple[str, str]
"""A name, and the part in which it was judged."""


@dataclass(frozen=True)
class Worse:
    """`before` is "ok" for what was not judged then."""

    judged: Judged
    before: State


def worse(before: Mapping[Subject, State], now: Status) -> tuple[Worse, ...]:
    """Return what is in a worse state than before, the worst first; and a node whose agent does not run, whatever it
    was."""
    found = []
    for it in now.judged:
        was = before.get((it.subject, it.role), "ok")
        stopped = it.role == "node" and not it.facts.get("agent_running", True)
        if stopped or ORDER.index(it.state) < ORDER.index(was):
            found.append(Worse(it, was))
    return tuple(found)
