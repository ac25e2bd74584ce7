"""The memory of the agent from one start to the next: how each kind of work went last, and what it is doing.

One small file that only the agent writes and everybody may read. Losing it costs a run too many, never a backup.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from appliance.agent.decisions import BackUp, Exchange, Push
from appliance.host.layout import NodeLayout
from appliance.host.records import Record
from appliance.monitor.view import Attempt, Now, Running, key
from appliance.units import MINUTE

LEFT_OUT_MAX = 100
BUSY_SECONDS = MINUTE
"""How long work waits for another process that does the same."""


@dataclass(frozen=True)
class Outcome:
    """How one piece of work ended; `error` is "" when it worked.

    `peers` tells how it went with each peer it concerned ("" is well). `mark` is what it was about: a generation.
    """

    error: str = ""
    remedy: str = ""
    exit_code: int = 0
    disk_full: bool = False
    """Whether it failed because this node's disk is full."""
    mark: str = ""
    peers: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[tuple[str, str], ...] = ()
    left_out_count: int = 0
    figures: Mapping[str, int] = field(default_factory=dict)
    alarms: tuple[str, ...] = ()
    """Problems found by work that itself went well."""
    to_bring: tuple[str, ...] = ()
    """Peers that lack something that is held here."""
    to_come: Mapping[str, int] = field(default_factory=dict)
    """By peer, how many older generations it has that are missing here."""
    later: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """By peer that took a part: seconds until it takes the next one, and until it has taken the last one."""
    busy: bool = False
    """Whether another process used what it needs, such as the same work that a person typed."""


@dataclass(frozen=True)
class Memory:
    attempts: Mapping[str, Attempt] = field(default_factory=dict)
    running: tuple[Running, ...] = ()

    def began(self, work: Running) -> Memory:
        return replace(self, running=(*self.running, work))

    def ended(self, work: Running, outcome: Outcome, now: Now) -> Memory:
        """Return the memory once `work` ended at `now`: one attempt for the work, one for each peer that it concerned.

        A work that failed before it came to any peer has failed for all of them. One that found another process busy
        with the same is put off, not failed, unless the one before it ended badly too.
        """
        attempts = dict(self.attempts)
        own = key(work.kind, work.service)
        running = tuple(it for it in self.running if it is not work)
        before = attempts.get(own)
        if outcome.busy and not (before and before.error):
            attempts[own] = _next(before, work.since, now, outcome, BUSY_SECONDS)
            return Memory(attempts, running)
        if work.kind == Exchange.kind and outcome.peers:
            # A peer that is not asked any more owes no answer.
            for name in self.attempts:
                if name.startswith(f"{own} ") and name.removeprefix(f"{own} ") not in outcome.peers:
                    del attempts[name]
        attempts[own] = _next(before, work.since, now, outcome)
        for peer, error in (outcome.peers or dict.fromkeys(work.peers, outcome.error)).items():
            name = key(Push.kind if work.kind == BackUp.kind else work.kind, work.service, peer)
            told = Outcome(error=error, mark=outcome.mark)
            attempts[name] = _next(attempts.get(name), work.since, now, told, *outcome.later.get(peer, (0, 0)))
        return Memory(attempts, running)


def _next(
    before: Attempt | None, since: Now, now: Now, outcome: Outcome, later_seconds: int = 0, whole_seconds: int = 0
) -> Attempt:
    """The attempt that `outcome` ends; one of which a peer takes the rest later has neither failed nor worked yet."""
    failed = bool(outcome.error)
    return Attempt(
        time=now.wall,
        age=now.age,
        failures=(before.failures if before else 0) + 1 if failed and not later_seconds else 0,
        error=outcome.error,
        remedy=outcome.remedy,
        disk_full=outcome.disk_full,
        mark=outcome.mark,
        ok_time=(before.ok_time if before else None) if failed else since.wall,
        ok_age=(before.ok_age if before else None) if failed else since.age,
        left_out=outcome.left_out[:LEFT_OUT_MAX],
        left_out_count=outcome.left_out_count,
        figures=outcome.figures,
        alarms=outcome.alarms,
        to_bring=outcome.to_bring,
        to_come=outcome.to_come,
        later_seconds=later_seconds,
        whole_seconds=whole_seconds,
    )


KEPT = Record(Memory, 1)


def path_of(layout: NodeLayout) -> Path:
    return layout.root / "agent.json"


def save(path: Path, memory: Memory) -> None:
    KEPT.save(path, memory)


def load(path: Path, *, running: bool = False) -> Memory:
    """Return what was remembered; nothing when the file is missing, damaged or of another version.

    Running work only counts while the agent that wrote it runs.
    """
    memory = KEPT.load_or(path, Memory())
    return memory if running else replace(memory, running=())
