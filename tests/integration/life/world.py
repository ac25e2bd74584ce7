"""One service through years of ordinary life, in simulated time: a writer, its holders, a standby, and what happens.
Every decision is asked of `Rules`, which are the product's own pure functions; stores are plain lists.

A unit of simulated time is an evening: what changed that day is saved, sealed, pushed and, after a while, tidied. What
a person would have to do (raise a quota, sign, confirm) is an operation, never done silently.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from operator import or_

from appliance.backup.chain.retention import Generation
from appliance.backup.vault.ledger import Ledger
from appliance.backup.vault.maintenance.former_replica import ShownReceipt
from appliance.backup.writer.shrunken import Sizes
from appliance.territory.model import Schedule
from appliance.trust.generation import NO_PARENT, GenerationId
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
SERVICE = "docs-a"
"""Its first name, which all that is stored of it has."""
HOME, STANDBY, BLIND, SPARE, OTHER = "commune-a", "hermitage", "commune-b", "commune-c", "commune-d"
HOLDING = (HOME, STANDBY, BLIND, SPARE, OTHER)
TIDY_FROM = 24
NOW = 1_000_000.0
"""The time for brokers and the key holder; only differences of it matter to them."""

type Content = int
"""Chunks as the bits of a number: their union and their count cost next to nothing, and lives are long."""


def union(contents: Iterable[Content]) -> Content:
    return reduce(or_, contents, 0)


def lowest(chunks: Content, count: int) -> Content:
    """The `count` lowest of `chunks`."""
    if count >= chunks.bit_count():
        return chunks
    found = 0
    for _ in range(count):
        bit = chunks & -chunks
        found, chunks = found | bit, chunks ^ bit
    return found


@dataclass(frozen=True, eq=False)
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

    @cached_property
    def whole(self) -> bool:
        return None not in self.content

    @property
    def files(self) -> int:
        return FILES_A_CHUNK * sum(part.bit_count() for part in self.content if part)

    @cached_property
    def chunks(self) -> Content:
        return union(part for part in self.content if part)


@dataclass(frozen=True, eq=False)
class Sealed:
    """A generation: all archives of the repository at that moment, the newest last."""

    id: GenerationId
    parent: Sealed | None
    archives: tuple[Saved, ...]
    chunks: Content

    @property
    def previous(self) -> str:
        return self.parent.id.digest if self.parent else NO_PARENT

    @property
    def newest(self) -> Saved:
        return self.archives[-1]

    @property
    def whole(self) -> bool:
        return self.newest.whole


@dataclass
class Holder:
    """A vault, with its own ageing clock, which is the true time here.

    `before`: the headers of generations that never came here; whatever comes brings those of all before it.

    `came`: what another holder handed on, and when that was. `given_up`: what went since others have it. `shown`: by
    peer, which of its machines showed what of what is held here. `asked`: by peer, of which of its machines, and how
    much of what `arrived` there, was brought here.
    """

    name: str
    held: dict[GenerationId, Sealed] = field(default_factory=dict)
    headers: dict[GenerationId, Generation] = field(default_factory=dict)
    before: dict[GenerationId, Generation] = field(default_factory=dict)
    came: dict[GenerationId, int] = field(default_factory=dict)
    given_up: set[GenerationId] = field(default_factory=set)
    arrived: list[GenerationId] = field(default_factory=list)
    shown: dict[str, tuple[int, ShownReceipt]] = field(default_factory=dict)
    asked: dict[str, tuple[int, int]] = field(default_factory=dict)
    refs: Content = 0
    partial: Content = 0
    book: Ledger = field(default_factory=Ledger)
    base: int = 0
    base_epoch: int = 0
    early_pruned_age: float = -DAY
    reachable: bool = True

    @property
    def used(self) -> int:
        return (self.refs.bit_count() + self.partial.bit_count()) * CHUNK_BYTES

    @property
    def newest(self) -> Sealed | None:
        return self.held[max(self.held)] if self.held else None

    def known(self) -> Iterable[Generation]:
        return itertools.chain(self.before.values(), self.headers.values())

    def lacks(self, sealed: Sealed) -> Content:
        return sealed.chunks & ~(self.refs | self.partial)

    def lets_in(self, name: GenerationId) -> bool:
        """Whether `name` is to be brought here: what it let go by its own rules is not."""
        return name not in self.headers or name in self.given_up

    def received(self, name: GenerationId) -> int:
        """When `name` came here, from any node."""
        return self.came.get(name) or self.headers[name].received_age_seconds

    def publish(self, sealed: Sealed, age: float, relayed: tuple[int, int] | None = None) -> None:
        """Keep a generation from its writer or, with both readings of when it came there, from another replica node."""
        self.held[sealed.id] = sealed
        received = max(relayed) if relayed else int(age)
        self.headers[sealed.id] = Generation(sealed.id, sealed.previous, received, True, sealed.whole, relayed)
        self._learn_before(sealed)
        self.refs |= sealed.chunks
        self.arrived.append(sealed.id)
        self.given_up.discard(sealed.id)
        if relayed:
            self.came[sealed.id] = int(age)
            self.partial &= ~self.refs  # what the writer had brought of it is in no push any more
            return
        self.came.pop(sealed.id, None)
        self.partial = 0
        self.book = self.book.with_receipt()

    def _learn_before(self, sealed: Sealed) -> None:
        self.before.pop(sealed.id, None)
        while (sealed := sealed.parent) and sealed.id not in self.headers and sealed.id not in self.before:
            self.before[sealed.id] = Generation(sealed.id, sealed.previous, 0, False, sealed.whole)

    def drop(self, names: Iterable[GenerationId]) -> None:
        """Free at once what only the generations `names` had."""
        for name in names:
            del self.held[name]
            self.headers[name] = replace(self.headers[name], held=False)
        self.refs = union(it.chunks for it in self.held.values())


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
