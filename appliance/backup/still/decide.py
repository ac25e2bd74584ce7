"""May this run say that nothing changed, or does it have to save all? Pure: every doubt makes a full run.

Invariant: a run is still only if the newest generation holds what a full run would save now. Files are compared by
their times, so one that changed shortly before the walk proves nothing: a write through a memory map is dated when it
begins, and more of it may follow for a minute.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from appliance.backup.still.look import Look
from appliance.backup.still.note import Note
from appliance.trust.generation import Header
from appliance.units import HOUR, format_duration

RACY_SECONDS = 120
FULL_SECONDS_MAX = 20 * HOUR
"""So that each day has a generation of its own, whatever the thinning keeps of a day."""
CLOCKS_APART_SECONDS_MAX = 60
"""How far the wall clock may move against the time since the start: a clock that was set dates new changes wrongly."""


@dataclass(frozen=True)
class Full:
    """Save everything; `reason` is a sentence's end, for the journal."""

    reason: str


@dataclass(frozen=True)
class SayStill:
    """Say that nothing changed since the generation of `header`, which `note` is about."""

    header: Header
    note: Note


@dataclass(frozen=True)
class Own:
    """The state of the service here: its newest generation, the epoch of the writer's grant, whether that generation is
    `whole`, what a run had begun and not ended, and what is found shrunken; "" for nothing."""

    newest: Header | None
    epoch: int
    whole: bool = True
    saving: str = ""
    shrunken: str = ""


@dataclass(frozen=True)
class Peer:
    """The answer of a node that must hold the service: whether it takes the word for it, and its newest generation, by
    the digest of its header; `receipt`: whether it signed for this writer's newest."""

    takes: bool
    newest: str
    receipt: bool


def decide(
    note: Note | None, seen: Look, own: Own, targets: Sequence[str], peers: Mapping[str, Peer]
) -> SayStill | Full:
    """`targets` must hold the service; `peers` are those of them that answered."""
    if note is None:
        return Full("the run before did not end, or was not of this repository")
    if own.newest is None:
        return Full("there is no generation")
    reason = _of_own(note, own) or seen.unfit or _of_clocks(note, seen) or _of_source(note, seen)
    reason = reason or _of_peers(own.newest, targets, peers)
    return Full(reason) if reason else SayStill(own.newest, note)


def _of_own(note: Note, own: Own) -> str:
    assert own.newest is not None
    if own.newest.epoch != own.epoch:
        return "the newest generation is of another writer"
    if own.newest.id.digest != note.generation:
        return "the newest generation is not of that run"
    if not own.whole:
        return "the newest generation is partial"
    if own.saving:
        return "a run was cut"
    return "the service has shrunk" if own.shrunken else ""


def _of_clocks(note: Note, seen: Look) -> str:
    passed = seen.boottime - note.boottime
    if passed < 0 or seen.wall < note.wall:
        return "the clock went back"
    if abs((seen.wall - note.wall) - passed) > CLOCKS_APART_SECONDS_MAX:
        return "the clock was set"
    if passed > FULL_SECONDS_MAX:
        return f"everything was saved {format_duration(passed)} ago"
    if note.changed_ns > (note.wall - RACY_SECONDS) * 1e9:
        return "a file had just changed when the run before began"
    return ""


def _of_source(note: Note, seen: Look) -> str:
    if note.same.keys() != seen.same.keys():
        return "another version made the run before"
    return next((f"{what} changed" for what, digest in seen.same.items() if note.same[what] != digest), "")


def _of_peers(newest: Header, targets: Sequence[str], peers: Mapping[str, Peer]) -> str:
    if not targets:
        return "no node must hold it"
    for name in targets:
        peer = peers.get(name)
        if peer is None:
            return f"{name} does not answer"
        if not peer.takes:
            return f"{name} does not read the word for it"
        if not peer.receipt or peer.newest != newest.id.digest:
            return f"{name} does not hold generation {newest.id}"
    return ""
