"""One service through years of ordinary life, in simulated time: a writer, its holders, a standby, and what happens.
Every decision is asked of `Rules`, which are the product's own pure functions; stores are plain lists.

A unit of simulated time is an evening: what changed that day is saved, sealed, pushed and, after a while, tidied. What
a person would have to do (raise a quota, sign, confirm) is an operation, never done silently.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cached_property

from appliance.backup.retention import Generation
from appliance.backup.shrunken import Sizes
from appliance.backup.vault.ledger import Ledger
from appliance.territory.model import Schedule
from appliance.trust.generation import GenerationId
from appliance.units import DAY, MIB

PATHS = ("/srv/documents", "/srv/cadastre")
CHUNKS = 20
"""In how many pieces the content of a path lies in the repository."""
CHUNK_BYTES = 512 * MIB
FILES_A_CHUNK = 50
LOCK = 30 * DAY
COPIES = 2
SCHEDULE = Schedule(daily_at="20:00")
EVENING = 20 * 3600.0
BEGIN_UTC = 1_767_225_600.0  # 2026-01-01
HOME, STANDBY, BLIND, SPARE = "commune-a", "hermitage", "commune-b", "commune-c"
TIDY_FROM = 24

type Content = frozenset[int]


@dataclass(frozen=True)
class Saved:
    """One archive: what it holds of each path (None: nothing, by a failure) and what the clocks said of it.

    `day` is the true one, which no part of the product knows.
    """

    name: str
    number: tuple[int, int]
    wall: float
    age: float
    clock: str
    boot: str
    day: int
    content: tuple[Content | None, ...]

    @property
    def whole(self) -> bool:
        return None not in self.content

    @property
    def files(self) -> int:
        return FILES_A_CHUNK * sum(len(part) for part in self.content if part)

    @cached_property
    def chunks(self) -> Content:
        return frozenset().union(*(part for part in self.content if part))


@dataclass(frozen=True)
class Sealed:
    """A generation: all archives of the repository at that moment, the newest last."""

    id: GenerationId
    previous: str
    archives: tuple[Saved, ...]
    chunks: Content

    @property
    def newest(self) -> Saved:
        return self.archives[-1]

    @property
    def whole(self) -> bool:
        return self.newest.whole


@dataclass
class Holder:
    """What a vault keeps, with its own ageing clock, which is the true time here."""

    name: str
    quota: int
    held: dict[GenerationId, Sealed] = field(default_factory=dict)
    headers: dict[GenerationId, Generation] = field(default_factory=dict)
    refs: Counter[int] = field(default_factory=Counter)
    partial: set[int] = field(default_factory=set)
    book: Ledger = field(default_factory=Ledger)
    base: int = 0
    base_epoch: int = 0
    bent_age: float = -DAY
    reachable: bool = True

    @property
    def used(self) -> int:
        return (len(self.refs) + len(self.partial)) * CHUNK_BYTES

    @property
    def newest(self) -> Sealed | None:
        return self.held[max(self.held)] if self.held else None

    def lacks(self, sealed: Sealed) -> set[int]:
        return set(sealed.chunks - self.refs.keys() - self.partial)

    def publish(self, sealed: Sealed, age: float) -> None:
        self.held[sealed.id] = sealed
        self.headers[sealed.id] = Generation(sealed.id, sealed.previous, int(age), whole=sealed.whole)
        self.refs.update(sealed.chunks)
        self.partial.clear()
        self.book = self.book.with_receipt()

    def drop(self, name: GenerationId) -> None:
        gone = self.held.pop(name)
        self.headers[name] = replace(self.headers[name], held=False)
        self.refs.subtract(gone.chunks)
        for chunk in gone.chunks:
            if not self.refs[chunk]:
                del self.refs[chunk]


@dataclass
class Writer:
    """The node that writes the service in `epoch`: its repository and what it remembers."""

    node: str
    epoch: int
    archives: list[Saved] = field(default_factory=list)
    sealed: Sealed | None = None
    sequence: int = 0
    last_run_wall: float | None = None
    runs_since_tidy: int = 0
    sizes: Sizes = field(default_factory=Sizes)


class Broken(AssertionError):
    """A promise that did not hold, with the day and what was done before."""
