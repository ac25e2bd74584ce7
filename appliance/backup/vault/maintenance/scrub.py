"""Read everything again, a little at a time: signatures, chain and lists first, then every blob against its own name.

A budget bounds each call; the file `scrubbed` remembers where it stopped, so that all is read in turn however small the
budget. No lock is held while reading, only for a moment to write down what was found (`damage.py`).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from appliance.backup.vault.evidence import read_evidence, short_digests
from appliance.backup.vault.maintenance import damage
from appliance.backup.vault.maintenance.damage import MISSING, Damage
from appliance.backup.vault.replicas import replica_of
from appliance.backup.vault.store import LIST, Replica, is_whole, size_of
from appliance.host.files import locked
from appliance.host.records import Record
from appliance.node.handle import Node

GENERATION, POOL = "generation", "pool"
CURSOR = Record(dict[str, str])


@dataclass(frozen=True)
class Budget:
    """The bytes that one call may read and how long it may take; it stops after the first file beyond either."""

    bytes_max: float = float("inf")
    seconds_max: float = float("inf")


@dataclass(frozen=True)
class Scrubbed:
    """The files that one call read, and all damage known at its end; `finished` when it came to the end of a round."""

    service: str
    generations: int
    blobs: int
    bytes: int
    damage: tuple[Damage, ...]
    finished: bool


@dataclass
class _Round:
    """One call under way; `sizes` are those of the pool when it began, `seen` the blobs found in it already."""

    node: Node
    service: str
    replica: Replica
    known: frozenset[str]
    sizes: dict[str, int]
    seen: set[str] = field(default_factory=set)
    generations: int = 0
    blobs: int = 0
    bytes: int = 0


def scrub(node: Node, service: str, budget: Budget | None = None) -> Scrubbed:
    """Read on from where the last call stopped; without `budget` a whole round from there to the end."""
    replica = replica_of(node, service)
    replica.create()
    sizes = {path.name: size_of(path) or 0 for path in replica.blobs()}
    now = _Round(node, service, replica, short_digests(replica), sizes)
    with _locked(now):
        damage.settle(node, replica)
    finished = _read_on(now, budget or Budget())
    return Scrubbed(service, now.generations, now.blobs, now.bytes, damage.known(replica), finished)


def _read_on(now: _Round, budget: Budget) -> bool:
    """Whether the round came to its end."""
    started, after = time.monotonic(), _cursor(now.replica)
    last = ""
    try:
        for item in _items(now):
            if item <= after:
                continue
            kind, name = item.split(" ")
            if kind == GENERATION:
                _check_generation(now, name)
            else:
                _check_blob(now, name)
            last = item
            if now.bytes >= budget.bytes_max or time.monotonic() - started >= budget.seconds_max:
                return False
        last = ""
        return True
    finally:
        CURSOR.save(_path(now.replica), {"after": last})


def _items(now: _Round) -> Iterator[str]:
    """All there is to read, in the order of these texts."""
    yield from (f"{GENERATION} {item.name}" for item in now.replica.stored())
    yield from (f"{POOL} {digest}" for digest in sorted(now.sizes))


def _check_generation(now: _Round, name: str) -> None:
    evidence = read_evidence(now.node, now.replica, name, now.known)
    found = {Damage(kind, name) for kind in evidence.wrong}
    for entry in evidence.entries or ():
        if entry.sha256 not in now.seen:
            now.seen.add(entry.sha256)
            if now.sizes.get(entry.sha256) != entry.size:
                found.add(Damage(MISSING, entry.sha256))
    now.generations += 1
    now.bytes += size_of(now.replica.path(name, LIST)) or 0
    if found:
        with _locked(now), _told(now):
            damage.record(now.node, now.replica, found)


def _check_blob(now: _Round, digest: str) -> None:
    try:
        whole = is_whole(now.replica.blob(digest), digest)
    except FileNotFoundError:
        return  # pruned since
    now.blobs += 1
    now.bytes += now.sizes[digest]
    if not whole:
        with _locked(now), _told(now):
            damage.set_corrupt_aside(now.node, now.replica, digest)


def _locked(now: _Round) -> contextlib.AbstractContextManager[None]:
    return locked(now.replica.lock, what=f"the pool of {now.service}", wait=True)


@contextlib.contextmanager
def _told(now: _Round) -> Iterator[None]:
    """Write into the journal what is found wrong in the meantime."""
    before = set(damage.known(now.replica))
    yield
    for item in sorted(set(damage.known(now.replica)) - before):
        now.node.journal.write("vault-damage", service=now.service, kind=item.kind, name=item.name)


def _cursor(replica: Replica) -> str:
    """Where the last call stopped; "" at the beginning of a round."""
    return CURSOR.load_or(_path(replica), {}).get("after", "")


def _path(replica: Replica) -> Path:
    return replica.root / "scrubbed"
