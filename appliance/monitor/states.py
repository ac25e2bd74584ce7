"""The four states, a reason for each, and the reasons that every kind of thing can have. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from appliance.monitor.view import Attempt, View
from appliance.units import format_duration

State = Literal["failed", "unknown", "warning", "ok"]
ORDER: tuple[State, ...] = ("failed", "unknown", "warning", "ok")
"""Worst first."""

LATE, TOO_LATE = 1.5, 3.0
"""From how many times the RPO on a state is a warning, and a failure."""


TRIED_AGAIN = "It is retried automatically; if it keeps failing: journalctl --unit appliance-agent"


@dataclass(frozen=True)
class Reason:
    """`check` names the check that gave it, one of `checks.CHECKS`. `foreign`: the remedy may be a peer's text."""

    state: State
    sentence: str
    remedy: str = ""
    check: str = ""
    foreign: bool = False


@dataclass(frozen=True)
class Judged:
    """One thing and its state, which is that of its worst reason; no reason means ok. `facts` are for programs.

    `checks` are those that were made. `lacks` are those that this machine cannot make, each with the sentence why: they
    are unknown, and do not count, since nobody here could do anything about them.
    """

    subject: str
    role: str
    summary: str
    reasons: tuple[Reason, ...] = ()
    facts: Mapping[str, object] = field(default_factory=dict)
    checks: tuple[str, ...] = ()
    lacks: tuple[Reason, ...] = ()

    @property
    def state(self) -> State:
        return self.reasons[0].state if self.reasons else "ok"


def worst_first(reasons: Iterable[Reason]) -> tuple[Reason, ...]:
    return tuple(sorted(reasons, key=lambda reason: ORDER.index(reason.state)))


def of_age(age: float, rpo_seconds: float) -> State:
    """How a backup is that is so many seconds old."""
    return "failed" if age > TOO_LATE * rpo_seconds else "warning" if age > LATE * rpo_seconds else "ok"


def too_old(age: float, rpo_seconds: int, what: str, remedy: str, check: str) -> Iterator[Reason]:
    state = of_age(age, rpo_seconds)
    if state != "ok":
        promised = format_duration(rpo_seconds)
        yield Reason(state, f"{what} is {format_duration(age)} old; the promise is at most {promised}.", remedy, check)


SAID = {"thin": "prune", "tidy": "prune"}
"""The names for people of a kind of work that journals and measures name otherwise."""


def failures(kinds: Iterable[str], service: str, view: View, peer: str = "", check: str = "work") -> Iterator[Reason]:
    """Work other than backups and pushes that fails: it harms nothing at once, and must not stay so."""
    for kind in kinds:
        attempt = view.last(kind, service, peer)
        if attempt is not None and attempt.failures:
            yield failed(attempt, f"{SAID.get(kind, kind)} {peer}".rstrip(), check)


def failed(attempt: Attempt, what: str, check: str) -> Reason:
    times = f"{attempt.failures} times in a row" if attempt.failures > 1 else "once"
    return Reason("warning", f"{what} failed {times}: {attempt.error}", attempt.remedy or TRIED_AGAIN, check, True)
