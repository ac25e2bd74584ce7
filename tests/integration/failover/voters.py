"""The voters and a storage peer, in simulated time: what nodes of the simulator talk to. As etcd does, a majority or
nothing answers; a lease ends only while there is a majority, and a new one begins every lease anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

Record = Callable[..., None]


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
    changes: int = 0
    """Counts what happens to the lease, as etcd's revisions do: a takeover decided on an older reading fails."""
    nobodys: bool = False
    """Whether nobody may hold it, as a mirror: their brokers refuse whoever asks for a lease."""

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

    def release(self, node: str, epoch: int, to: str, stopped: bool) -> None:
        """`stopped`: it says that it wrote under this epoch, or never did, and writes no more."""
        if self.owner == node and self.epoch == epoch and stopped:
            self.released, self.to = True, to
            self.record(node, "proof-of-death", epoch, of=node, kind="release")
        if self.holder == node:
            self._delete("released")


@dataclass
class Peer:
    """A storage peer. Without its `fence` it is what any file server is."""

    record: Record
    fence: bool = True
    highest: int = 0
    stored: list[tuple[float, int]] = field(default_factory=list)
    values: set[int] = field(default_factory=set)

    def receive(self, node: str, epoch: int, value: int, now: float) -> bool:
        accepted = epoch >= self.highest or not self.fence
        self.record("vault", "received", epoch, writer=node, n=value, accepted=accepted)
        if accepted:
            self.highest = max(self.highest, epoch)
            if value not in self.values:
                self.values.add(value)
                self.stored.append((now, value))
        return accepted

    def present(self, epoch: int) -> bool:
        if epoch < self.highest and self.fence:
            return False
        self.highest = max(self.highest, epoch)
        return True
