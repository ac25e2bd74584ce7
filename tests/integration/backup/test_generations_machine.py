"""Any order of runs, cuts, silent peers, older images, lost holders, takeovers and exchanges: what was acknowledged is
there, each number has one generation, and no counter is ever used for two things that left a machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from appliance.backup.peers import conversation
from appliance.backup.peers.exchange import catch_up, exchange
from appliance.backup.peers.last_seen import current_targets
from appliance.backup.peers.push import Pushed
from appliance.backup.vault.store import LIST
from appliance.backup.writer.writer import push_newest
from appliance.errors import ApplianceError, Unreachable
from appliance.units import HOUR
from appliance_lab.demo.whole import prove_whole
from tests.worlds.vaults import HOLDER, ORIGIN, SERVICE, SPARE, STANDBY, VaultWorld
from tests.worlds.vaults_in_process import World, counter_of

PEERS = (STANDBY, HOLDER, SPARE)
GENERATIONS_MAX = 12
whose = st.sampled_from(["present", "present", "former"])
silent = st.sampled_from([(), (), (STANDBY,), (HOLDER,), (HOLDER, SPARE), PEERS])
cuts = st.sampled_from([{}, {}, {HOLDER: 700}, {HOLDER: 2600}, {STANDBY: 3000, HOLDER: 2200}, {SPARE: 40}])
stops = st.sampled_from(["", "", "", "sealed", "remembered"])


class GenerationsMachine(RuleBasedStateMachine):
    """`acknowledged` are (holder, generation) with a receipt; `segments` all that ever reached a peer, by counter."""

    def __init__(self, vaults: VaultWorld) -> None:
        super().__init__()
        self.world = World(vaults)
        self.vaults = vaults
        self.acknowledged: set[tuple[str, str]] = set()
        self.segments: dict[str, bytes] = {}
        self.names: dict[tuple[int, int], str] = {}
        self.images: list[Path] = []
        self.pending: dict[str, bytes] = {}
        self.writer = ORIGIN
        self.sealed = 0
        conversation.Line = self.world.line  # type: ignore[assignment, misc]
        self.world.begin()
        self._run(ORIGIN, "")
        self.take_an_image()

    # What writers do, or are made to do

    @precondition(lambda self: self.sealed < GENERATIONS_MAX)
    @rule(who=whose, down=silent, cut=cuts, stops=st.lists(stops, min_size=1, max_size=3))
    def run(self, who: str, down: tuple[str, ...], cut: dict[str, int], stops: list[str]) -> None:
        self._with(down, cut)
        for stop in stops:
            with suppress(ApplianceError):
                self._run(self._named(who), stop)

    def _run(self, name: str, stop: str) -> None:
        asked = {aim.node for aim in current_targets(self.vaults.open(name), SERVICE)} - self.world.down
        known = {number for peer in asked for number in self._numbers(peer)}
        sealed, pushed = self.world.run(name, stop)
        self.sealed += 1
        assert (sealed.header.epoch, sealed.header.sequence) > max(known, default=(0, 0)), "an older writer wrote"
        self._note(pushed)

    @rule(who=whose, down=silent, cut=cuts)
    def push(self, who: str, down: tuple[str, ...], cut: dict[str, int]) -> None:
        self._with(down, cut)
        with suppress(ApplianceError):
            self._note(push_newest(self.vaults.open(self._named(who)), SERVICE))

    @precondition(lambda self: len(self.images) < 3)
    @rule()
    def take_an_image(self) -> None:
        """Copy the origin's whole state folder."""
        self.images.append(self.vaults.root.with_name(f"{self.vaults.root.name}-image-{len(self.images)}"))
        shutil.copytree(self.vaults.layout(ORIGIN).root, self.images[-1])

    @rule(which=st.integers(0, 2))
    def put_an_image_back(self, which: int) -> None:
        """The whole state folder, keys and counters; what the machine remembers lies beside it."""
        shutil.rmtree(self.vaults.layout(ORIGIN).root)
        shutil.copytree(self.images[which % len(self.images)], self.vaults.layout(ORIGIN).root)

    @rule(name=st.sampled_from((ORIGIN, STANDBY)), down=silent, at_once=st.sampled_from([True, True, False]))
    def ask_to_continue(self, name: str, down: tuple[str, ...], at_once: bool) -> None:
        """Fetch the newest that anybody shows, get a grant for it; adopt it now, or let it lie."""
        self._with(down)
        with suppress(ApplianceError):
            self.pending[name] = self.world.fetch_to_continue(name)
            if at_once:
                self.adopt(name)

    @precondition(lambda self: bool(self.pending))
    @rule(name=st.sampled_from((ORIGIN, STANDBY)))
    def adopt(self, name: str) -> None:
        with suppress(ApplianceError):
            if name in self.pending:
                self.world.adopt(name, self.pending.pop(name))
                self.writer = name

    # What holders do, or suffer

    @rule(who=st.sampled_from(PEERS), down=silent)
    def exchange(self, who: str, down: tuple[str, ...]) -> None:
        self._with(tuple(peer for peer in down if peer != who))
        node = self.vaults.open(who)
        found = exchange(node, SERVICE)
        assert not found.conflicts, "one epoch was granted twice"
        for peer, done in catch_up(node, SERVICE, found).items():
            if not isinstance(done, ApplianceError):
                self.acknowledged |= {(peer, name) for name in done.taken}

    @rule(who=st.sampled_from(PEERS))
    def lose_a_holding(self, who: str) -> None:
        shutil.rmtree(self.vaults.holding(who).root, ignore_errors=True)
        self.acknowledged = {(peer, name) for peer, name in self.acknowledged if peer != who}

    @rule()
    def let_an_hour_pass(self) -> None:
        self.vaults.advance(HOUR)

    # What must always hold

    @invariant()
    def all_that_was_acknowledged_is_whole(self) -> None:
        for peer in PEERS:
            wanted = tuple(name for holder, name in self.acknowledged if holder == peer)
            prove_whole(self.vaults.open(peer), SERVICE, wanted)

    @invariant()
    def no_counter_was_used_twice(self) -> None:
        for peer in PEERS:
            for path in self.vaults.holding(peer).blobs():
                blob = path.read_bytes()
                counter = counter_of(blob)
                if counter:
                    assert self.segments.setdefault(counter, blob) == blob, f"two segments under {counter}"

    @invariant()
    def each_number_has_one_generation_with_one_list(self) -> None:
        lists: dict[str, bytes] = {}
        for peer in PEERS:
            replica = self.vaults.holding(peer)
            for item in replica.stored():
                assert self.names.setdefault((item.epoch, item.sequence), item.name) == item.name, "a fork"
                if item.listed:
                    listing = replica.read(item.name, LIST)
                    assert lists.setdefault(item.name, listing) == listing

    def _named(self, who: str) -> str:
        return self.writer if who == "present" else {ORIGIN: STANDBY, STANDBY: ORIGIN}[self.writer]

    def _numbers(self, peer: str) -> list[tuple[int, int]]:
        return [(item.epoch, item.sequence) for item in self.vaults.holding(peer).stored()]

    def _with(self, down: tuple[str, ...], cut: dict[str, int] | None = None) -> None:
        self.world.down, self.world.cut = frozenset(down), cut or {}

    def _note(self, pushed: tuple[Pushed, ...]) -> None:
        for outcome in pushed:
            if outcome.receipt:
                self.acknowledged.add((outcome.peer, outcome.receipt.generation.name))
            else:
                assert isinstance(outcome.error, ApplianceError)


@pytest.fixture(scope="module")
def no_fsync() -> Iterator[None]:
    """No power is cut here, and hundreds of small files would wait for the disk only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda fd: None)
        patch.setattr(conversation, "Line", conversation.Line)  # put back after the last machine has put its own there
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, no_fsync: None) -> VaultWorld:
    return VaultWorld(tmp_path_factory.mktemp("desk") / "made").create()


def play(made: VaultWorld, folder: Path, examples: int, steps: int) -> None:
    number = count()
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        lambda: GenerationsMachine(made.copy(folder / str(next(number)))),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_no_order_of_events_loses_or_repeats_anything(made: VaultWorld, tmp_path: Path) -> None:
    play(made, tmp_path, examples=10, steps=25)


@pytest.mark.slow
def test_soak_of_generations(made: VaultWorld, tmp_path: Path, soak_runs: int | None) -> None:
    play(made, tmp_path, examples=soak_runs or 50, steps=40)


def test_a_down_peer_is_unreachable(made: VaultWorld, tmp_path: Path) -> None:
    """The lines of this machine say what ssh says."""
    world = World(made.copy(tmp_path / "desk"), down=frozenset({HOLDER}))
    with pytest.raises(Unreachable):
        world.line(made.open(ORIGIN), HOLDER)
