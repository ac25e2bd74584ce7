"""Whether a history of a run kept the promises of failover. Pure: a file can be judged again.

A run in which nothing happened proves nothing: it is *unknown*. Times of machines that do not share a boot id cannot be
compared; what needs that is then unknown too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from appliance.errors import UsageError
from appliance.failover.history import Event, read_line

Verdict = Literal["held", "violated", "unknown"]
WORST_FIRST: tuple[Verdict, ...] = ("violated", "unknown", "held")


@dataclass(frozen=True)
class Finding:
    """The verdict of one invariant on a history; `lines` are those that show it."""

    name: str
    verdict: Verdict
    sentence: str
    lines: tuple[int, ...] = ()


@dataclass(frozen=True)
class Report:
    service: str
    findings: tuple[Finding, ...]
    sometimes: Mapping[str, int]

    @property
    def verdict(self) -> Verdict:
        said = {it.verdict for it in self.findings}
        return next((it for it in WORST_FIRST if it in said), "unknown")


@dataclass(frozen=True)
class History:
    """The events of one service by time; those of one moment in the order of the file."""

    events: tuple[Event, ...]

    def all(self, *names: str) -> list[Event]:
        return [it for name in names for it in self._by_event.get(name, [])]

    @cached_property
    def _by_event(self) -> Mapping[str, list[Event]]:
        found: dict[str, list[Event]] = {}
        for event in self.events:
            found.setdefault(event.event, []).append(event)
        return found

    @cached_property
    def begin(self) -> Event:
        return self.all("begin")[0]

    @property
    def policy(self) -> str:
        return str(self.begin["policy"])

    @property
    def origin(self) -> str:
        return str(self.begin["home"])

    def number(self, name: str, default: float) -> float:
        """A figure by which the run is judged."""
        return float(self.begin.get(name, default))

    @cached_property
    def one_clock(self) -> bool:
        return len({it.boot_id for it in self.events}) == 1

    @property
    def last(self) -> float:
        return self.events[-1].t

    def binds(self, node: str) -> bool:
        """Whether the policy binds `node` to a lease."""
        return self.policy == "exclusive" or node != self.origin


type Check = Callable[[History], Finding]


def read(lines: Iterable[str], where: str = "history") -> tuple[History, ...]:
    """The histories in a file, one a service, in the order in which they begin.

    Raise UsageError for a line that is none, with its number: a history that is judged in part would prove nothing.
    """
    found: dict[str, list[Event]] = {}
    for number, line in enumerate(lines, 1):
        if line.strip():
            event = read_line(line, number, where)
            found.setdefault(event.service, []).append(event)
    if not found:
        raise UsageError("this is an empty history.", where=where, remedy="Give the file that a run wrote.")
    for service, events in found.items():
        begins = sum(it.event == "begin" for it in events)
        if begins != 1:
            remedy = "It says by which policy and times it is judged."
            raise UsageError(
                f'{service} has {begins} lines with the event "begin", not one.', where=where, remedy=remedy
            )
    return tuple(History(tuple(sorted(events, key=lambda it: it.t))) for events in found.values())


def check(history: History, checks: Sequence[Check]) -> Report:
    """Return the findings of `checks` on `history`, and how often the events that it was made for came about."""
    sometimes = count_sometimes(history)
    findings = [*(each(history) for each in checks), _something_happened(history, sometimes)]
    return Report(history.begin.service, tuple(findings), sometimes)


def count_sometimes(history: History) -> Mapping[str, int]:
    """How often each thing came about without which a run proves little."""
    won = history.all("takeover-won")
    rows = [it["row"] for it in history.all("state")]
    return {
        "acknowledged": sum(it["type"] == "ok" and it["f"] == "add" for it in history.all("op")),
        "disturbed": len(history.all("fault", "handover", "proof-of-death")),
        "takeover": max(0, len(won) - 1),
        "handover": len(history.all("handover")),
        "refusal": sum(not it["accepted"] for it in history.all("received")),
        "demotion": sum(row in ("deadline", "lost") for row in rows),
        "alone": sum(row == "alone" for row in rows),
        "resume": sum(row == "ro-isolated.resume" for row in rows),
        "divergence": sum(row.endswith(".diverged") for row in rows),
        "copy": sum(row == "grace.copy" for row in rows),
    }


def _something_happened(history: History, sometimes: Mapping[str, int]) -> Finding:
    expected = ("acknowledged", "disturbed", *history.begin.get("expects", ()))
    missing = [name for name in expected if not sometimes.get(name)]
    if missing:
        return Finding(
            "sometimes", "unknown", f"never came about, so this run proves nothing of it: {', '.join(missing)}."
        )
    return Finding("sometimes", "held", f"came about: {', '.join(expected)}.")
