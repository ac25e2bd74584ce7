"""A service among honest peers and one liar, by the product's own writer, vaults, exchange, retention, takeover and
restore; and what must hold whatever the liar says.

Lines are pipes, borg is a file that counts (`vaults_in_process`), time is simulated. After each step every honest
vault is looked at; what is broken is raised as Broken.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from appliance.backup.chain.chain import Sealed, chain_of
from appliance.backup.chain.resync import continue_under, fetch_for_resync, request_after_fetch
from appliance.backup.peers import conversation
from appliance.backup.peers import push as pushing
from appliance.backup.peers.conversation import Lines
from appliance.backup.peers.exchange import catch_up, exchange
from appliance.backup.peers.fetch import fetch_newest
from appliance.backup.peers.fetched import load_fetched, remember_fetched
from appliance.backup.peers.safety import judge
from appliance.backup.peers.targets import targets
from appliance.backup.vault import session
from appliance.backup.vault.maintenance.pruning import prune_replica
from appliance.backup.vault.replicas import replica_of
from appliance.backup.vault.store import BUCKET, LIST, RECEIPT
from appliance.backup.vault.wire import Channel
from appliance.backup.writer.writer import push_newest
from appliance.clock import utc_text
from appliance.errors import ApplianceError, Unreachable
from appliance.escrow.envelopes import ServiceKey
from appliance.failover import takeover_worker
from appliance.host.files import sha256_file
from appliance.node.handle import Node
from appliance.trust.grant import Grant
from tests.integration.liar.at_once import AtOnce
from tests.integration.liar.cheaper import make_cheaper
from tests.integration.liar.liar import Liar
from tests.integration.liar.lying_channel import LyingChannel
from tests.integration.liar.retained import Came, must_stay
from tests.integration.life.world import Broken
from tests.worlds.vaults import (
    HOLDER,
    ORIGIN,
    OUTSIDER,
    SERVICE,
    SPARE,
    STANDBY,
    Generation,
    VaultWorld,
    push,
)
from tests.worlds.vaults_in_process import KEY, CutChannel, World

CYCLES = 2
"""Within so many, what was saved is at every honest holder that answers."""


@dataclass
class OpenWorld(VaultWorld):
    """A desk whose nodes are opened once for each bundle."""

    opened: dict[str, Node] = field(default_factory=dict)

    def open(self, name: str) -> Node:
        if name not in self.opened:
            self.opened[name] = super().open(name)
        return self.opened[name]


@dataclass
class Besieged(World):
    """`down`: who does not answer. `calm`: how many cycles were made since the last fault of anybody but the liar."""

    vaults: OpenWorld
    liar: Liar = field(init=False)
    writer: str = ORIGIN
    calm: int = 0
    told: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    """The requests at which honest vaults failed without a sentence."""
    granted: dict[int, Grant] = field(default_factory=dict)
    sealed: dict[str, Generation] = field(default_factory=dict)
    seed: int = 0
    calls_before_pushes: bool = False
    elapsed: float = 0.0
    made: dict[str, float] = field(default_factory=dict)
    """The value of `elapsed` when each generation was sealed."""
    came: dict[str, dict[str, tuple[int, bool]]] = field(default_factory=dict)
    """The value of `elapsed` when each generation came to each honest replica node, and whether it was handed on."""
    fenced: dict[str, int] = field(default_factory=dict)
    """The newest epoch that each honest vault was said to have taken."""

    def start(self, liar: str, foreign: Mapping[str, Any]) -> None:
        self.liar = Liar(self.vaults, liar, foreign, draw=random.Random(self.seed), sealed=self.sealed)
        self.begin()
        self._note_grants(chain_of(self.node(ORIGIN), SERVICE).grants())

    def node(self, name: str) -> Node:
        return self.vaults.open(name)

    @property
    def holders(self) -> tuple[str, ...]:
        """The honest ones of the nodes that must hold what the writer makes, while none is lost."""
        aims = targets(self.node(self.writer).bundle, SERVICE, self.writer, ())
        return tuple(it.node for it in aims if it.node != self.liar.name)

    def channel(self, peer: str, reader: int, writer: int, other: CutChannel) -> Channel:
        if peer == self.liar.name:
            return LyingChannel(reader, writer, self.liar, other.is_waiting)
        return session.open_channel(reader, writer)

    def key(self, node: Node) -> ServiceKey:
        """Return the key that opens the service that `node` fetched."""
        return KEY

    def late_files(self, last: Generation) -> Mapping[str, bytes]:
        """The files that a former writer seals after its `last`: the same repository and one more segment."""
        return {it.path: last.blobs[it.sha256] for it in last.entries} | {"data/0/9999": os.urandom(8)}

    # What happens

    def time_passes(self, seconds: float) -> None:
        self.look()  # what came until now, such as by a late push, is as old as that
        self.vaults.advance(seconds)
        self.elapsed += seconds

    def save(self) -> None:
        """One backup of the writer, before whose push the liar may call; nothing that a peer says stops it."""
        with self._never("a backup"):
            sealed, _ = self.run(self.writer, "remembered")
        self.note(sealed)
        self.look()
        for name in self.holders if self.calls_before_pushes else ():
            if name not in self.down:
                self.the_liar_calls(name)
        with self._never("a push"):
            pushed = push_newest(self.node(self.writer), SERVICE)
        self.look()
        errors = {it.peer: it.error.what for it in pushed if it.error}
        self.told.append(f"saved {sealed.header.id}; not at {errors or 'nobody'}")

    def care(self, name: str) -> None:
        """One hour's round at a holder."""
        node = self.node(name)
        with self._never(f"the exchange at {name}"):
            catch_up(node, SERVICE, exchange(node, SERVICE))
        self.look()
        self.thin(name)

    def thin(self, name: str) -> None:
        with self._never(f"pruning at {name}"):
            prune_replica(self.node(name), SERVICE)

    def cycle(self) -> None:
        self.save()
        for name in self.holders:
            if name not in self.down:
                self.care(name)
        self.calm += 1
        if self.calm >= CYCLES and not self.down & {*self.holders}:
            self._check_safe()

    def _check_safe(self) -> None:
        newest = max(self.sealed)
        lack = [name for name in self.holders if newest not in self.held(name)]
        if lack:
            raise Broken(f"{newest} is not at {lack} after {CYCLES} cycles: {self.told[-6:]}")
        chain = chain_of(self.node(self.writer), SERVICE)
        silent = [name for name in self.holders if not chain.has_receipt(newest, name)]
        if silent:
            raise Broken(f"the writer has no receipt of {silent} for {newest} after {CYCLES} cycles: {self.told[-6:]}")
        node = self.node(self.writer)
        safety = judge(node.bundle, SERVICE, self.writer, self.holders)
        if len(self.holders) >= 2 and not safety.safe:
            raise Broken(f"{newest} is not safe at the honest holders: {safety}")

    def take_over(self, name: str) -> None:
        """`name` goes on from the newest generation, as failover does it: it shows its grant, then adopts."""
        node, former = self.node(name), self.writer
        expected = self._newest_at_hand(name)
        if not expected:
            return
        with self._never(f"the takeover by {name}"):
            sealed, found = self._brought(expected, lambda wanted: fetch_for_resync(node, SERVICE, wanted))
            remember_fetched(node, SERVICE, sealed)
            raw = self.grant(request_after_fetch(node, SERVICE, found, "test"), name)
        if sealed.header.id.name < expected:
            raise Broken(f"{name} goes on from {sealed.header.id}, and {expected} is at an honest holder")
        (node.service(SERVICE).root / takeover_worker.GRANTED).write_bytes(raw)
        accepted = self._present(node)
        with self._never(f"the takeover by {name}"):
            grant = continue_under(node, SERVICE, load_fetched(node, SERVICE), raw, self.key(node))
        self._note_grants({grant.epoch: grant})
        self.writer, self.calm = name, 0
        self.fenced |= dict.fromkeys(accepted, grant.epoch)
        self.told.append(f"{name} took over from {former}, fenced at {accepted}")

    def _brought[T](self, expected: str, bring: Callable[[str | None], T]) -> T:
        """The newest. Where the liar shows the true header of something newer than is at any honest vault, nobody can
        tell whether it has it: then what the refusal tells to type brings the newest of the honest ones."""
        try:
            return bring(None)
        except Unreachable:
            if expected == max(self.sealed):
                raise
            return bring(expected)

    def _present(self, node: Node) -> tuple[str, ...]:
        """The honest vaults that are said to refuse the former writer from now on."""
        try:
            with Lines(node, urgent=True) as lines:
                said = takeover_worker.present(node, SERVICE, "", lines)
        except ApplianceError as error:
            self.told.append(f"nobody is fenced: {error.what}")
            return ()
        if said["newer"]:
            raise Broken(f"{node.name} is refused by epoch {said['newer']}, which nobody granted")
        return tuple(name for name in said["accepted"] if name != self.liar.name)

    def late_push(self, at: str) -> None:
        """The former writer pushes once more, under its former grant."""
        former = [it for it in self.granted.values() if it.epoch < max(self.granted)]
        if not former or at == former[-1].writer:
            return
        grant = former[-1]
        if grant.writer in (self.liar.name, self.writer):
            return
        parents = [it for it in self.sealed.values() if it.header.epoch == grant.epoch]
        if not parents:
            return
        last = max(parents, key=lambda it: it.header.id.name)
        late = self.vaults.seal(grant, self.late_files(last), after=last, time=utc_text(self.vaults.clocks[at].now()))
        grants = [it for it in self.granted.values() if it.epoch <= grant.epoch]
        before = [self.sealed[name] for name in sorted(self.sealed) if self.sealed[name].header.epoch <= grant.epoch]
        try:
            with self.vaults.session(at, grant.writer) as channel:
                push(channel, late, grants, before)
        except ApplianceError as error:
            self.told.append(f"{at} refuses a late push: {error.what}")
            return
        if self.fenced.get(at, 0) > grant.epoch:
            raise Broken(f"{at} was counted as a fence of epoch {self.fenced[at]} and takes {late.header.id}")
        self._know(late)

    def restore(self, name: str) -> None:
        """The newest generation comes back whole, at who may open it."""
        node, folder = self.node(name), self.vaults.root / "restored"
        expected = self._newest_at_hand(name)
        if not expected:
            return
        shutil.rmtree(folder, ignore_errors=True)
        with self._never(f"a restore at {name}"):
            sealed, _ = self._brought(expected, lambda wanted: fetch_newest(node, SERVICE, folder, wanted=wanted))
        if sealed.header.id.name < expected:
            raise Broken(f"a restore brings {sealed.header.id}, and {expected} is at an honest holder")
        self.check_restored(folder, sealed)

    def check_restored(self, folder: Path, sealed: Sealed) -> None:
        for entry in sealed.entries:
            if sha256_file(folder / entry.path) != entry.sha256:
                raise Broken(f"{entry.path} was restored as something else")

    def goes_down(self, name: str) -> None:
        self.down |= {name}
        self.calm = 0

    def comes_back(self) -> None:
        self.down, self.calm = frozenset(), 0

    def gets_a_new_disk(self, name: str) -> None:
        """All that an honest holder held is gone, while another honest one has it: of one that is lost beside a liar
        nothing is promised."""
        others = [it for it in self.holders if it not in self.down | {name}]
        if not any(self.held(name) <= self.held(it) for it in others):
            return
        shutil.rmtree(self.node(name).layout.vault / SERVICE, ignore_errors=True)
        self.came.pop(name, None)
        self.fenced.pop(name, None)
        self.calm = 0

    def the_liar_calls(self, at: str) -> None:
        if self.sealed:
            self.told.append(f"{at} is called: {self.liar.calls(at)}")

    def the_liar_throws_away(self) -> None:
        shutil.rmtree(replica_of(self.node(self.liar.name), SERVICE).pool, ignore_errors=True)

    # What must hold

    def look(self) -> None:
        """Look at every honest vault; raise Broken for what must not be."""
        if self.liar.faults:
            raise Broken("the liar itself failed") from self.liar.faults[0]
        if self.failures:
            raise Broken(f"an honest vault failed: {self.failures}")
        for name in (STANDBY, HOLDER, SPARE, OUTSIDER):
            if name != self.liar.name:
                self._look_at(name)

    def _look_at(self, name: str) -> None:
        node = self.node(name)
        replica, now = replica_of(node, SERVICE), int(self.elapsed)
        for epoch in replica.epochs():
            known = self.granted.get(epoch)
            if known is None or known.document.raw != replica.grant(epoch):
                raise Broken(f"{name} keeps a grant of epoch {epoch} that nobody gave")
        held = self.held(name)
        if strange := held - self.sealed.keys():
            raise Broken(f"{name} holds {strange}, which no writer sealed: {self.told[-8:]}")
        came = self.came.setdefault(name, {})
        for it in held - came.keys():
            came[it] = now, replica.path(it, BUCKET).exists()
        stay = must_stay((self._came(name, it, now) for it in came), now, self.vaults.lock_seconds)
        if lost := stay - held:
            ages = [(it, now - seconds, relayed) for it, (seconds, relayed) in sorted(came.items())]
            raise Broken(f"{name} let go of {sorted(lost)}, which it must keep, of {ages}: {self.told[-8:]}")

    def _came(self, name: str, generation: str, now: int) -> Came:
        seconds, relayed = self.came[name][generation]
        made = now - int(self.elapsed - self.made[generation])
        return Came(generation, seconds, made if relayed else seconds, relayed)

    def held(self, name: str) -> set[str]:
        """Return the generations that an honest vault holds."""
        folder = str(replica_of(self.node(name), SERVICE).generations)
        names = os.listdir(folder) if os.path.exists(folder) else []
        return {it for it in names if {LIST, RECEIPT} <= {*os.listdir(f"{folder}/{it}")}}

    def end(self) -> None:
        """All but the liar answer: what was saved is safe in two cycles, and all that is held is whole."""
        self.comes_back()
        for _ in range(CYCLES):
            self.time_passes(3600)
            self.cycle()
            self.look()
        for name in self.holders:
            self._check_pool(name)
        self.restore(self.writer)

    def _check_pool(self, name: str) -> None:
        replica = replica_of(self.node(name), SERVICE)
        for generation in self.held(name):
            for entry in self.sealed[generation].entries:
                if sha256_file(replica.blob(entry.sha256)) != entry.sha256:
                    raise Broken(f"{name} holds {generation} with a rotten {entry.path}")

    def _newest_at_hand(self, name: str) -> str:
        """The newest that `name` can have: here, or at an honest vault that answers."""
        honest = {STANDBY, HOLDER, SPARE, OUTSIDER} - {self.liar.name} - (self.down - {name})
        return max((it for peer in honest for it in self.held(peer)), default="")

    def note(self, sealed: Sealed) -> None:
        folder = self.node(self.writer).service(SERVICE).sealed / sealed.header.id.name
        blobs = {entry.sha256: (folder / entry.path).read_bytes() for entry in sealed.entries}
        self._know(Generation(sealed.header, sealed.listing, sealed.entries, blobs))

    def _know(self, generation: Generation) -> None:
        self.sealed[generation.name] = generation
        self.made[generation.name] = self.elapsed

    def _note_grants(self, grants: Mapping[int, Grant]) -> None:
        self.granted |= grants
        self.liar.grants = list(self.granted.values())

    @contextlib.contextmanager
    def _never(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            raise Broken(f"{what} was stopped: {error}: {self.told[-8:]}") from error


@contextlib.contextmanager
def playing(world: Besieged) -> Iterator[Besieged]:
    """Lines are pipes; what an honest vault fails at is noted."""
    told = session._told

    def noted(error: Exception) -> ApplianceError:
        if threading.current_thread().name != world.liar.name:
            world.failures.append(f"{type(error).__name__}: {error}")
        return told(error)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversation, "Line", world.line)
        patch.setattr(session, "_told", noted)
        for module in (conversation, pushing, takeover_worker):
            patch.setattr(module, "ThreadPoolExecutor", AtOnce)
        make_cheaper(patch)
        yield world
