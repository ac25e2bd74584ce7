"""The proofs of a service on a node that may read it: the rounds of verification and the drills.

    services/SERVICE/proofs.json   the round under way, the last one that ended, the last drill, the last of everything
    services/SERVICE/proof/        the copy that is read, apart from those that people restore from

Losing the file costs another round. It names damaged files, so only this account may read it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from appliance.backup.peers.openable import LINKED, OpenedSource, check_trusted, open_apart
from appliance.host.files import locked
from appliance.host.layout import ServiceLayout
from appliance.host.records import Record
from appliance.node.handle import Node

ROOM = "proof"


@dataclass(frozen=True)
class Damaged:
    """Something that could not be read. With `path`, at least this file of `archive`; without, the archive or all of
    them."""

    archive: str
    path: str
    reason: str


@dataclass(frozen=True)
class Round:
    """A walk through every version of every file; `after` is the path that it has come to. `ended` is "" until then.

    `ended_age` is the ageing clock's at its end, `generation` the one that was read then.
    """

    began: str
    after: str = ""
    files: int = 0
    bytes: int = 0
    seconds: float = 0.0
    damaged: tuple[Damaged, ...] = ()
    ended: str = ""
    ended_age: int = 0
    generation: str = ""


@dataclass(frozen=True)
class Drilled:
    """A restore drill. `wrong` are sentences about what did not come back as it was, `told` about what was not proven.

    `total_bytes` is all that the archive holds; with `everything` it is what was restored. `age` is the ageing clock's.
    """

    time: str
    age: int
    generation: str
    archive: str
    seed: int
    everything: bool
    files: int
    bytes: int
    total_bytes: int
    seconds: float
    rehearsed: bool = False
    """Whether its dump was loaded into a PostgreSQL; `tables` and `rows` are what came of it."""
    tables: int = 0
    rows: int = 0
    wrong: tuple[str, ...] = ()
    told: tuple[str, ...] = ()


@dataclass(frozen=True)
class Proofs:
    """`verified` is the last round that ended, `whole` the last drill that restored everything, `rehearsed` the last
    one that loaded a database."""

    round: Round | None = None
    verified: Round | None = None
    drilled: Drilled | None = None
    whole: Drilled | None = None
    rehearsed: Drilled | None = None

    def with_drill(self, drilled: Drilled) -> Proofs:
        return replace(
            self,
            drilled=drilled,
            whole=drilled if drilled.everything else self.whole,
            rehearsed=drilled if drilled.rehearsed else self.rehearsed,
        )


KEPT = Record(Proofs, 1)


@contextmanager
def proving(node: Node, service: str) -> Iterator[OpenedSource]:
    """The copy that this node has of `service`, opened where nothing else reads it, for one proof at a time.

    Raise Refused on a node that the service does not trust, NotFound where it has nothing of it, Busy during another
    proof.
    """
    check_trusted(node, service)
    room = node.service(service).root / ROOM
    with locked(room / "lock", what=f"the proof of {service}"):
        try:
            yield open_apart(node, service, room)
        finally:
            # Files that the repository has compacted away since would keep their room.
            shutil.rmtree(room / LINKED, ignore_errors=True)


def load_proofs(layout: ServiceLayout) -> Proofs:
    """Return the known proofs; none when the file is missing or cannot be read."""
    return KEPT.load_or(_path(layout), Proofs())


def save_proofs(layout: ServiceLayout, proofs: Proofs) -> None:
    KEPT.save(_path(layout), proofs)


def _path(layout: ServiceLayout) -> Path:
    return layout.root / "proofs.json"
