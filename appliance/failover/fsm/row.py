"""One row of the table of transitions, and the groups of states that rows share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from appliance.failover.fsm.guards import Guard
from appliance.failover.fsm.model import Action, State

EVERY: tuple[State, ...] = tuple(State.__members__.values())
LEASED = (State.PROMOTING, State.ACTIVE, State.SUSPECT, State.DRAINING)
"""The node renews a lease, and may be open for writing."""
WRITING = (*LEASED, State.ISOLATED_RW)
WAITING = (State.STANDBY, State.GRACE, State.RO_SERVE)
"""The node may take over."""


@dataclass(frozen=True)
class Row:
    """`id` is stable: tests, histories and people name it. `next` is None to stay. `fails`: counts as one failure to
    serve, after which the node cools down; `fails_handover`: as one hand-over that failed, after which the next one
    waits."""

    id: str
    states: tuple[State, ...]
    guard: Guard
    actions: tuple[Action, ...]
    next: State | None
    why: str
    fails: bool = False
    fails_handover: bool = False

    @property
    def when(self) -> str:
        return self.guard.words

    @cached_property
    def reason(self) -> str:
        return f"{self.when}: {self.why}"
