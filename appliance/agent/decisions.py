"""The decisions of the agent. Each value carries its reason; to do nothing for a while is a decision too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from appliance.host.records import from_plain, to_plain


@dataclass(frozen=True)
class Work:
    """Something to be done for one service, in a worker of its own."""

    kind: ClassVar[str]
    service: str
    reason: str

    @property
    def concerned(self) -> tuple[str, ...]:
        """The peers that this is about."""
        return ()


@dataclass(frozen=True)
class BackUp(Work):
    kind = "backup"


@dataclass(frozen=True)
class Push(Work):
    kind = "push"
    peers: tuple[str, ...]

    @property
    def concerned(self) -> tuple[str, ...]:
        return self.peers


@dataclass(frozen=True)
class Replicate(Work):
    """Hand on to the node `to` what is held here; the acts in force go along."""

    kind = "replicate"
    to: str

    @property
    def concerned(self) -> tuple[str, ...]:
        return (self.to,)


@dataclass(frozen=True)
class Catalogue(Work):
    """Read the names of the archives up to generation `newest`; `source` is "local" or "standby"."""

    kind = "catalogue"
    source: str
    newest: str


@dataclass(frozen=True)
class Ready(Work):
    """Lay generation `newest`, which this node may have to serve, out ahead."""

    kind = "ready"
    newest: str


@dataclass(frozen=True)
class People(Work):
    """Let the people of the node `home` log in here, by generation `newest` of what it saves of itself."""

    kind = "people"
    home: str
    newest: str


@dataclass(frozen=True)
class Verify(Work):
    """Decrypt a day's share of what may be read here, from where the last one stopped."""

    kind = "verify"


@dataclass(frozen=True)
class Drill(Work):
    """Bring files back for real, compare them and remove them again."""

    kind = "drill"


@dataclass(frozen=True)
class Exchange(Work):
    kind = "exchange"


@dataclass(frozen=True)
class Repair(Work):
    """Bring back what is corrupt or gone from another holder."""

    kind = "repair"


@dataclass(frozen=True)
class Scrub(Work):
    """Read on for `budget` bytes in what is held, from where the last scrub stopped."""

    kind = "scrub"
    budget: int


@dataclass(frozen=True)
class Check(Work):
    """Let borg itself look at the newest generation held, without any key."""

    kind = "check"


@dataclass(frozen=True)
class PruneVault(Work):
    kind = "thin"


@dataclass(frozen=True)
class Prune(Work):
    kind = "tidy"


@dataclass(frozen=True)
class Wait:
    """Nothing to begin for `seconds`, unless something happens."""

    seconds: float
    reason: str


Decision = Work | Wait

KINDS: Mapping[str, type[Work]] = {
    kind.kind: kind
    for kind in (
        *(BackUp, Push, Replicate, Catalogue, Ready, People, Verify, Drill),
        *(Repair, Exchange, Scrub, Check, PruneVault, Prune),
    )
}


def to_words(work: Work) -> tuple[str, str]:
    """`work` for a command line: its kind, and all else as JSON."""
    return work.kind, json.dumps(to_plain(work))


def from_words(kind: str, values: str) -> Work:
    """The inverse of `to_words`."""
    return from_plain(KINDS[kind], json.loads(values))
