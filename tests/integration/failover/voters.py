"""The voters and the storage peers, in simulated time: what nodes of the simulator talk to. As etcd does, a majority or
nothing answers; a lease ends only while there is a majority, and with a new one every lease starts over."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

Record = Callable[..., None]
type Last = tuple[int, int]
"""A generation: the epoch, and the last write that is in it."""


@dataclass
class Voters:
    """`record` writes a line of the history. Times are the simulator's own."""

    record: Record
    ttl: float
    majority: bool = True
    owner: str = ""
    epoch: int = 0
    holder: str = ""
    released: bool = False
    to: str = ""
    ends: float = 0.0
    granted: int = 0
    highest: int = 0
    last: Last = (0, 0)
    """The generation that the last release named: it has everything that was acknowledged."""
    changes: int = 0
    """Counts what happens to the lease, as etcd's revisions do: a takeover decided on an older reading fails."""
    nobodys: bool = False
    """Whether nobody may hold it, as a mirror: their brokers refuse every request for a lease."""

    def tick(self, now: float) -> bool:
        """Let a lease end; whether the watches have something to tell."""
        if self.majority and self.holder and now >= self.ends:
            self._delete("expired")
            return True
        return False

    def _delete(self, cause: str) -> None:
        if self.holder:
            self.record("voters", "holder-deleted", self.epoch, holder=self.holder, cause=cause)
        self.holder = ""
        self.changes += 1

    def set_majority(self, there: bool, now: float) -> None:
        if there and not self.majority:
            self.ends = now + self.ttl
        self.majority = there

    def renew(self, node: str, epoch: int, now: float) -> bool:
        if self.holder != node or self.epoch != epoch:
            return False
        self.ends = now + self.ttl
        return True

    def come_back(self, node: str, epoch: int, now: float) -> bool:
        """RETURN: the lease again under the epoch that `node` has, unless a newer one was granted."""
        if self.nobodys or self.granted > epoch or self.holder not in ("", node):
            return False
        self.owner, self.epoch, self.holder = node, epoch, node
        self.granted, self.highest = epoch, max(self.highest, epoch)
        self.released, self.to, self.ends = False, "", now + self.ttl
        self.changes += 1
        return True

    def take_over(self, node: str, seen: int, above: int, by: str, now: float) -> int:
        """The new epoch, or 0. Only an act may depose a holder that lives."""
        if self.nobodys or (by != "act" and (self.holder or self.changes != seen)):
            return 0
        self._delete("deposed")
        self.epoch = max(self.highest, above) + 1
        self.epoch += 1 - self.epoch % 2
        self.highest = self.epoch
        self.owner, self.holder, self.ends = node, node, now + self.ttl
        self.changes += 1
        self.released, self.to = False, ""
        self.record(node, "takeover-won", self.epoch, by=by)
        return self.epoch

    def grant(self, node: str, epoch: int) -> bool:
        """The brokers sign for who owns it by the record; before that nobody is deposed but by the end of a lease."""
        if self.owner != node or self.epoch != epoch:
            return False
        self.granted = max(self.granted, epoch)
        return True

    def release(self, node: str, epoch: int, to: str, stopped: bool, last: Last) -> None:
        """`stopped`: it says that it wrote under this epoch, or never did, and writes no more."""
        if self.owner == node and self.epoch == epoch and stopped:
            self.released, self.to, self.last = True, to, last
            self.record(node, "proof-of-death", epoch, of=node, kind="release")
        if self.holder == node:
            self._delete("released")


@dataclass
class Peer:
    """The storage peer of one node. Without its `fence` it is what any file server is. A generation has all that its
    writer had, so one that comes after a silence brings what was missed."""

    name: str
    record: Record
    fence: bool = True
    silent: bool = False
    missed: bool = False
    """Whether a write may have come that is not here."""
    highest: int = 0
    last: Last = (0, 0)
    values: set[int] = field(default_factory=set)

    def receive(self, node: str, epoch: int, value: int, tree: Collection[int]) -> bool:
        accepted = epoch >= self.highest or not self.fence
        self.record(f"vault of {self.name}", "received", epoch, writer=node, n=value, accepted=accepted)
        if accepted:
            self.highest = max(self.highest, epoch)
            if self.missed or epoch > self.last[0]:
                self.keep((epoch, value), tree)
            self.values.add(value)
            self.last = max(self.last, (epoch, value))
        return accepted

    def keep(self, last: Last, tree: Collection[int]) -> None:
        """A generation, whatever was here before."""
        before = set() if last[0] > self.last[0] else self.values
        self.values = before | {it for it in tree if it <= last[1]}
        self.last, self.missed = max(self.last, last), False

    def catch_up(self, node: str, epoch: int, tree: Collection[int]) -> None:
        """A backup run, which brings what was missed; one without anything new is a generation, too."""
        if epoch >= self.highest and tree:
            for value in sorted({*tree} - self.values):
                self.receive(node, epoch, value, tree)
            self.keep((epoch, max(tree)), tree)


@dataclass
class Peers:
    """The storage peers of all nodes; a writer's own never counts. Which nodes run and which lines carry is not asked
    of them: they are silent when told."""

    peers: dict[str, Peer]
    stored: list[tuple[float, int]] = field(default_factory=list)
    """When each value came to any of them."""
    _known: set[int] = field(default_factory=set)

    def answering(self, besides: str = "") -> list[Peer]:
        return [it for it in self.peers.values() if not it.silent and it.name != besides]

    @property
    def highest(self) -> int:
        return max(it.highest for it in self.peers.values())

    def receive(self, node: str, epoch: int, value: int, tree: Collection[int], now: float) -> bool | None:
        """Whether those that answer took it; None where nobody does."""
        for peer in self.peers.values():
            peer.missed = peer.missed or peer.silent or peer.name == node
        answers = [it.receive(node, epoch, value, tree) for it in self.answering(node)]
        if answers and all(answers) and value not in self._known:
            self._known.add(value)
            self.stored.append((now, value))
        return all(answers) if answers else None

    def catch_up(self, node: str, epoch: int, tree: Collection[int]) -> None:
        for peer in self.answering(node):
            peer.catch_up(node, epoch, tree)

    def has(self, last: Last, writer: str) -> list[str]:
        """Return the peers that answer and have a receipt for `last`."""
        return [it.name for it in self.answering(writer) if it.last >= last]

    def newest(self) -> Peer | None:
        """Return the peer that answers and offers the newest."""
        return max(self.answering(), key=lambda it: it.last, default=None)

    def present(self, epoch: int) -> bool:
        answering = self.answering()
        if not answering or any(epoch < it.highest and it.fence for it in answering):
            return False
        for peer in answering:
            peer.highest = max(peer.highest, epoch)
        return True
