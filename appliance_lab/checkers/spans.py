"""Spans of time in a history: when a node wrote, had the address, was frozen; and what two of them share. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from appliance.failover.history import Event
from appliance_lab.checkers.verdict import History


@dataclass(frozen=True)
class Span:
    node: str
    start: float
    end: float
    first: Event
    last: Event | None = None

    @property
    def lines(self) -> tuple[int, ...]:
        return (self.first.line, *((self.last.line,) if self.last else ()))


def spans(history: History, begins: str, ends: str) -> list[Span]:
    """From each event `begins` of a node to its next `ends`, or to the end of the history."""
    opened: dict[str, Event] = {}
    found = []
    for event in history.events:
        if event.event == begins:
            opened.setdefault(event.node, event)
        elif event.event == ends and event.node in opened:
            first = opened.pop(event.node)
            found.append(Span(event.node, first.t, event.t, first, event))
    found += [Span(node, first.t, history.last, first) for node, first in opened.items()]
    return found


def faults(history: History, *kinds: str) -> list[Span]:
    """From each fault of these kinds to its healing; `node` is the target."""
    opened: dict[tuple[str, str], Event] = {}
    found = []
    for event in history.events:
        if event.event not in ("fault", "heal") or event["fault"] not in kinds:
            continue
        key = (event["fault"], event["target"])
        if event.event == "fault":
            opened.setdefault(key, event)
        elif key in opened:
            first = opened.pop(key)
            found.append(Span(event["target"], first.t, event.t, first, event))
    found += [Span(target, first.t, history.last, first) for (_, target), first in opened.items()]
    return found


def without(span: Span, holes: Iterable[Span]) -> list[Span]:
    """Return the rest of `span` outside of the `holes` of the same node."""
    left = [span]
    for hole in holes:
        if hole.node == span.node:
            left = [piece for it in left for piece in _cut(it, hole)]
    return left


def _cut(span: Span, hole: Span) -> Iterable[Span]:
    before, after = min(span.end, hole.start), max(span.start, hole.end)
    if span.start < before:
        yield Span(span.node, span.start, before, span.first, span.last)
    if after < span.end:
        yield Span(span.node, after, span.end, span.first, span.last)


def overlaps(found: Sequence[Span]) -> Iterable[tuple[float, Span, Span]]:
    """Each pair of spans of different nodes that share time, and how much."""
    ordered = sorted(found, key=lambda it: it.start)
    for index, one in enumerate(ordered):
        for other in ordered[index + 1 :]:
            if other.start >= one.end:
                break
            if other.node != one.node:
                yield min(one.end, other.end) - other.start, one, other
