"""Four weeks of a service in a minute: what is sent a second time because borg moved old data into new segments.

borg runs as the writer runs it, with the archives' times of the simulated days; each seventh day it forgets and
compacts as the writer does. A generation is sealed after each step, so a blob that appears in the one after `compact`
and in none before holds nothing new: old data that every peer is sent again.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from appliance.backup.chain.chain import chain_of
from appliance.backup.chain.seal import seal, will_compact
from appliance.backup.peers.adopt import own_repository
from appliance.backup.writer.keep import Candidate, Drop, keep
from appliance.backup.writer.writer import COMPACT_THRESHOLD_PERCENT
from appliance.borg.client import Borg
from appliance.territory.model import Retention
from appliance.units import format_bytes
from appliance_lab.bench.bench import Bench
from appliance_lab.bench.env import BenchEnv
from appliance_lab.bench.figures import Figure, Goal
from appliance_lab.demo.context import ORIGIN, SERVICE

FIRST_DAY = datetime(2026, 3, 2, 21)
KEPT = Retention(hourly=0, daily=7, weekly=3, monthly=0)
DAYS_OF_A_WEEK = 7


def compaction(bench: Bench) -> tuple[Figure, ...]:
    """Bytes sent again because of compaction, as a part of the bytes that hold something new after the first day."""
    env = bench.set_up("month")
    sent = _Sent(env)
    new = again = 0
    for day in range(bench.size.days):
        if day:
            bench.change()
        bench.say(f"compaction: day {day + 1} of {bench.size.days}")
        borg = Borg(own_repository(env.origin.layout.service(SERVICE)))
        when = FIRST_DAY + timedelta(days=day)
        documents = str(env.documents).lstrip("/")
        borg.create(f"day-{day:02d}", [documents], cwd=Path("/"), timestamp=when.isoformat())
        came = sent.bytes_new()
        new += came if day else 0
        if day % DAYS_OF_A_WEEK == DAYS_OF_A_WEEK - 1:
            _forget(borg)
            new += sent.bytes_new()
            will_compact(env.origin.layout.service(SERVICE))
            borg.compact(COMPACT_THRESHOLD_PERCENT)
            again += sent.bytes_new()
    env.wipe()
    notes = (f"{format_bytes(new)} of new data and {format_bytes(again)} again in {bench.size.days} days; one month",)
    percent = 100 * again / new
    return (
        Figure(
            "compaction", "sent again because of compaction", "% of new data", (percent,), goal=Goal(2.0), notes=notes
        ),
    )


def _forget(borg: Borg) -> None:
    archives = [Candidate(it.name, it.start_utc_seconds) for it in borg.archives()]
    if forgotten := [it.name for it in keep(archives, KEPT) if isinstance(it, Drop)]:
        borg.delete(forgotten)


class _Sent:
    """Seals, and remembers every blob that a peer was ever sent."""

    def __init__(self, env: BenchEnv) -> None:
        self._node = env.territory.open(ORIGIN)
        self._known: set[str] = set()

    def bytes_new(self) -> int:
        """Seal a generation; the bytes of its blobs that were in none before."""
        layout, chain = self._node.service(SERVICE), chain_of(self._node, SERVICE)
        now = self._node.clock.now()
        sealed = seal(layout, chain, chain.grant(), layout.envelopes, self._node.signing_key, now)
        found = {entry.sha256: entry.size for entry in sealed.entries if entry.sha256 not in self._known}
        self._known |= found.keys()
        return sum(found.values())
