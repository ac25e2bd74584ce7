"""The table of transitions: in each state the first row that holds says what is done, what comes next, and why.

The invariant: at most one node writes a service, but for an origin that goes on alone by policy. So in every state the
rows that stop come before those that serve; a node that stops passes through DEMOTING or FENCED, which end only when
nothing can be written any more; no node starts to write but in PROMOTING and ISOLATED_RW; and a takeover is decided by
the voters' transaction, never by what was read.

`decide` is pure: what a node sees, the policy, the timers and the moment are arguments. The simulator calls it too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from appliance.failover.fsm import serving, stopping, waiting
from appliance.failover.fsm.facts import Facts
from appliance.failover.fsm.model import Decision, Policy, Seen, Standing, State
from appliance.failover.fsm.row import Row
from appliance.failover.fsm.timers import FORGIVEN_AFTER, Timers

TABLE: tuple[Row, ...] = (*stopping.ROWS, *waiting.ROWS, *serving.ROWS)
_ROWS_OF = {state: tuple(row for row in TABLE if state in row.states) for state in State}


def decide(standing: Standing, seen: Seen, policy: Policy, timers: Timers, now: float) -> Decision:
    """Return the table's decision for a node in `standing` that sees `seen` at `now`, CLOCK_BOOTTIME in seconds."""
    return _decide(_ROWS_OF[standing.state], standing, seen, policy, timers, now)


def decide_by(
    table: Sequence[Row], standing: Standing, seen: Seen, policy: Policy, timers: Timers, now: float
) -> Decision:
    """The same by another table: tests break rows to show that the checkers of histories find it."""
    rows = tuple(row for row in table if standing.state in row.states)
    return _decide(rows, standing, seen, policy, timers, now)


def _decide(
    rows: Sequence[Row], standing: Standing, seen: Seen, policy: Policy, timers: Timers, now: float
) -> Decision:
    """By the rows of the state that `standing` is in: asked time and again for each service, so no more is done
    than that."""
    facts = Facts(standing, seen, policy, timers, now)
    row = next(row for row in rows if row.guard.holds(facts))
    return Decision(
        row=row.id,
        reason=row.reason,
        actions=row.actions,
        standing=_after(row, standing, now),
        deadline=None if facts.alone else facts.deadline,
        above=facts.above,
        to=facts.hand_over_to or "",
    )


def rows_of(state: State) -> tuple[Row, ...]:
    """The rows that count in `state`, in the order in which they are tried."""
    return _ROWS_OF[state]


def _after(row: Row, standing: Standing, now: float) -> Standing:
    if row.fails:
        standing = replace(standing, failures=_counted(standing.failures, standing.failed_at, now), failed_at=now)
    if row.fails_handover:
        standing = replace(
            standing,
            failed_handovers=_counted(standing.failed_handovers, standing.last_failed_handover_at, now),
            last_failed_handover_at=now,
        )
    if row.next is None or row.next is standing.state:
        return standing
    return replace(standing, state=row.next, since=now)


def _counted(before: int, at: float, now: float) -> int:
    """One more than `before`, the last of which was `at`, unless that is forgiven."""
    return before + 1 if before and now - at < FORGIVEN_AFTER else 1
