"""A town under attack: its nodes, what was acknowledged to its people, and which of its nodes somebody else has.

Everything is the product's, with real borg and real vaults; lines between nodes are pipes and clocks are set by the
test (`life/real_town.py`). The attacker's own vault may answer with anything (`lie`).
"""

from __future__ import annotations

import contextlib
import copy
import os
import random
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from appliance.backup.chain.chain import Chain, Sealed, chain_of
from appliance.backup.vault import session
from appliance.backup.vault.call import Call
from appliance.backup.vault.maintenance.pruning import prune_replica
from appliance.backup.vault.replicas import replica_of
from appliance.backup.vault.wire import Channel, Closed
from appliance.backup.writer import writer
from appliance.borg.errors import RepositoryDamaged
from appliance.errors import ApplianceError, IntegrityError, Refused
from appliance.node.handle import Node
from appliance.trust.generation import Entry
from appliance.trust.grant import Grant, read_grant
from appliance.units import DAY, HOUR
from tests.integration.life.real_town import LOCK_SECONDS, Town, TownWorld, playing
from tests.worlds.forging import forged
from tests.worlds.vaults import (
    HOLDER,
    MONITOR,
    NAMES,
    ORIGIN,
    OUTSIDER,
    SERVICE,
    SPARE,
    STANDBY,
    Generation,
)

BLIND = (HOLDER, SPARE, OUTSIDER, MONITOR)
"""Nodes that the service does not trust with its key."""
MARK = b"Le conseil municipal a entendu en secret"
"""The text in every document of the town."""
CANARY = b"a file of another town"
FILES = (4, 8)

type Content = Mapping[str, bytes]
type Lie = Callable[[Call, Callable[[Call], None]], None]
"""Answers a call; also gets what an honest vault does with it."""


class Role(StrEnum):
    """The part of the territory that the attacker has."""

    ORIGIN = "root of the origin"
    HOLDER = "root of the blind holder"
    STANDBY = "root of the standby"
    VOTER = "root of a voter"
    PAGES = "the pages of the origin"
    BUILDING = "a PC in the building"
    OUTSIDER = "root of a node that has no part in it"


NODES = {Role.ORIGIN: ORIGIN, Role.HOLDER: HOLDER, Role.STANDBY: STANDBY, Role.VOTER: SPARE, Role.OUTSIDER: OUTSIDER}
"""The node whose disk and keys the attacker has with a role."""


@dataclass(frozen=True)
class Acknowledged:
    """A generation of which a run told its people that these hold it, and since when by each one's ageing clock."""

    name: str
    archive: str
    content: tuple[Content, ...]
    holders: Mapping[str, int]


@dataclass
class Scene:
    town: Town
    draw: random.Random
    outside: Path
    """A folder of nobody here; nothing may change it."""
    owned: frozenset[str] = frozenset()
    """Nodes that the attacker has."""
    acknowledged: list[Acknowledged] = field(default_factory=list)
    writer: str = ORIGIN
    frozen: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The generations of each replica node when somebody ordered a legal hold there."""
    lies: dict[tuple[str, str], Lie] = field(default_factory=dict)
    """By node and verb: how its vault answers now."""
    said: list[str] = field(default_factory=list)
    """The sentences with which attacks were refused."""
    granted: set[int] = field(default_factory=lambda: {2})
    """Every epoch that the key holder granted."""
    revoked: frozenset[str] = frozenset()
    undoable: dict[str, int] = field(default_factory=dict)
    """Orders that replaced something in place, and when by the ageing clock."""
    relayed: dict[str, dict[str, float]] = field(default_factory=dict)
    """The generations that a replica node took from the attacker's, and when their writer says that it made them."""
    numbers: int = 0
    obeyed: int = 0
    """How often the service had to be continued under a new grant."""
    told: tuple[str, ...] = ()
    """The last run's sentences on replica nodes that did not take it."""

    # The parts of it

    @property
    def root_made(self) -> Path:
        """The town as it was before."""
        return self.outside.parent.with_name("made")

    @property
    def desk(self) -> TownWorld:
        return self.town.vaults

    @property
    def stolen(self) -> Node:
        return self.node(ORIGIN)

    @property
    def newest(self) -> Sealed:
        sealed = chain_of(self.stolen, SERVICE).newest()
        assert sealed is not None
        return sealed

    @property
    def chain(self) -> Chain:
        return chain_of(self.node(self.writer), SERVICE)

    @property
    def epoch(self) -> int:
        return max(self.chain.grants())

    @property
    def honest_holders(self) -> tuple[str, ...]:
        """Those that have to hold the service, but the writer and the attacker's own."""
        targets = (aim.node for aim in writer.current_targets(self.node(self.writer), SERVICE))
        return tuple(name for name in targets if name not in self.owned)

    def node(self, name: str) -> Node:
        return self.desk.open(name)

    def held(self, name: str) -> list[str]:
        return [item.name for item in replica_of(self.node(name), SERVICE).stored() if item.held]

    # Ordinary work

    def a_day_goes_by(self, days: float = 1) -> None:
        """People work; each vault prunes by its own clock, as its agent does."""
        self.desk.advance(days * DAY)
        for folder in self.desk.sources:
            folder.mkdir(exist_ok=True)
            self.write(folder)
        for name in NAMES:
            if name not in self.owned:
                prune_replica(self.node(name), SERVICE)

    def write(self, folder: Path) -> None:
        self.numbers += 1
        text = MARK + b" %d\n" % self.numbers + self.draw.randbytes(self.draw.randint(500, 1500))
        (folder / f"délibération {self.numbers}.odt").write_bytes(text)

    def content(self) -> tuple[Content, ...]:
        return tuple(map(files_of, self.desk.sources))

    def backup(self) -> None:
        """A run; where it is refused, what its sentence says is done, and it is made once more."""
        self.desk.advance(HOUR)
        content = self.content()
        try:
            done = self.run_or_mend()
        except (Refused, IntegrityError):
            self.obeyed += 1
            self.obey()
            done = self.run_or_mend()
        self.remember(done, content)

    def run_or_mend(self) -> writer.Run:
        """A damaged repository is mended from its peers, as its sentence says."""
        try:
            return writer.run(self.node(self.writer), SERVICE)
        except RepositoryDamaged:
            self.town.type_at(self.writer, "backup", "repair", SERVICE)
            return writer.run(self.node(self.writer), SERVICE)

    def remember(self, done: writer.Run, content: tuple[Content, ...]) -> None:
        self.told = tuple(f"{it.peer}: {it.error}" for it in done.pushed if it.error)
        took = {it.peer: self.node(it.peer).ageing.now() for it in done.pushed if it.receipt}
        self.acknowledged.append(Acknowledged(done.sealed.header.id.name, done.created.archive, content, took))

    def obey(self) -> None:
        """Continue under a new grant, from the last good generation: what came since may be the attacker's."""
        wanted = next(it.name for it in reversed(self.acknowledged) if self.is_held(it.name))
        self.town.fetch(self.writer, wanted=wanted)
        self.adopt(self.writer)

    def is_held(self, generation: str) -> bool:
        return any(generation in self.held(name) for name in (STANDBY, HOLDER, SPARE, ORIGIN) if name not in self.owned)

    def move(self, to: str) -> None:
        """The service moves with all that was saved."""
        if to == self.writer:
            return
        self.backup()
        self.town.fetch(to, required=self.acknowledged[-1].name)
        self.adopt(to)
        self.writer = to

    def adopt(self, name: str) -> None:
        self.town.adopt(name)
        self.granted.add(max(chain_of(self.node(name), SERVICE).grants()))

    # What attackers have

    @contextlib.contextmanager
    def refused(self) -> Iterator[None]:
        """An attack may be refused, which is remembered; it may also be taken and lead to nothing."""
        try:
            yield
        except ApplianceError as error:
            self.said.append(str(error))
        except (Closed, OSError) as error:
            self.said.append(f"{type(error).__name__}: {error}")

    @contextlib.contextmanager
    def session(self, at: str, caller: str) -> Iterator[Channel]:
        """A conversation with the vault of `at` in the attacker's own words."""
        with self.refused(), self.desk.session(at, caller) as channel:
            yield channel

    def lie(self, verb: str, how: Lie, name: str = HOLDER) -> None:
        """From now on the vault of `name` answers `verb` so."""
        self.lies[name, verb] = how

    def forge(
        self,
        files: Mapping[str, bytes],
        entries: tuple[Entry, ...] | None = None,
        signer: Node | None = None,
        **fields: Any,
    ) -> Generation:
        """A generation after the newest that the origin knows, of any content, truly signed by it, or by `signer`."""
        return forged(self.newest.header, signer or self.stolen, files, entries, **fields)

    def present_grant(self) -> Grant:
        grants = self.chain.grants()
        return grants[max(grants)]

    def stolen_grant(self) -> Grant:
        """The newest that the origin knows of."""
        grants = chain_of(self.stolen, SERVICE).grants()
        return grants[max(grants)]

    def foreign_grant(self, known_epoch: int = 62) -> Grant:
        """A true one, of another service."""
        grant = self.desk.grant(OUTSIDER, known_epoch=known_epoch, service="docs-d")
        return read_grant(grant.document.raw, self.node(ORIGIN).bundle.territory_key)


def files_of(folder: Path) -> Content:
    """The plain files below `folder`, no link followed."""
    found = {}
    for above, _, names in os.walk(folder):
        for name in names:
            path = Path(above, name)
            if path.is_file() and not path.is_symlink():
                found[os.path.relpath(path, folder)] = path.read_bytes()
    return found


@dataclass
class ScenePlan:
    """The town as it was before anybody attacked it; each run gets it again at the same place."""

    root: Path
    vaults: TownWorld
    used: frozenset[Any] = frozenset()
    acknowledged: Sequence[Acknowledged] = ()

    @classmethod
    def build(cls, folder: Path) -> ScenePlan:
        root = folder / "town"
        (root / "srv").mkdir(parents=True)
        (root / "work").mkdir()
        sources = (root / "srv/documents", root / "srv/cadastre")
        vaults = TownWorld(root / "desk", lock_seconds=LOCK_SECONDS, sources=sources, voters=(STANDBY, HOLDER, SPARE))
        vaults.create()
        scene = cls(root, vaults)._scene("the beginning")
        for source, count in zip(sources, FILES, strict=True):
            source.mkdir()
            for _ in range(count):
                scene.write(source)
        _lay_canaries(scene)
        with playing(scene.town):
            scene.town.begin()
            for _ in range(2):
                scene.a_day_goes_by()
                scene.backup()
        os.rename(root, folder / "made")
        return cls(root, vaults, acknowledged=tuple(scene.acknowledged))

    @contextlib.contextmanager
    def play(self, seed: str, owned: frozenset[str]) -> Iterator[Scene]:
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.copytree(self.root.with_name("made"), self.root, symlinks=True)
        scene = self._scene(seed)
        scene.owned, scene.acknowledged, scene.numbers = owned, list(self.acknowledged), 1000
        with playing(scene.town), pytest.MonkeyPatch.context() as patch:
            patch.setattr(session, "VERBS", {verb: _answering(scene, verb, do) for verb, do in session.VERBS.items()})
            yield scene

    def _scene(self, seed: str) -> Scene:
        vaults = replace(self.vaults, clocks=copy.deepcopy(self.vaults.clocks)) if self.acknowledged else self.vaults
        outside = self.root / "outside"
        return Scene(Town(vaults, self.root / "work"), random.Random(f"adversary {seed}"), outside)


def _answering(scene: Scene, verb: str, honest: Callable[[Call], None]) -> Callable[[Call], None]:
    def answer(call: Call) -> None:
        lie = scene.lies.get((call.node.name, verb)) if call.terms.name == SERVICE else None
        return lie(call, honest) if lie else honest(call)

    return answer


def _lay_canaries(scene: Scene) -> None:
    """Files that must never change: of nobody here, and of another service on each node."""
    scene.outside.mkdir()
    (scene.outside / "sign").write_bytes(CANARY)
    for name in NAMES:
        other = scene.node(name).service("docs-d").repository
        other.mkdir(parents=True)
        (other / "nonce").write_bytes(CANARY)
        home = scene.desk.layout(name).root / ".local/lib/python3.13/site-packages"
        home.mkdir(parents=True)
