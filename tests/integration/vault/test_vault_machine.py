"""Any order of pushes, cuts, takeovers, forks, relays, rot and pruning: nothing locked goes, all held is whole."""

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
from appliance.backup.peers.replicate import replicate
from appliance.backup.vault.header_parts import previous_by_name
from appliance.backup.vault.maintenance import freeze
from appliance.backup.vault.maintenance.pruning import prune_replica
from appliance.backup.vault.maintenance.scrub import Budget, scrub
from appliance.backup.vault.store import Replica
from appliance.errors import ApplianceError
from appliance.node.acts import keep_act
from appliance.trust.act import Act
from appliance.trust.generation import NO_PARENT
from appliance.trust.grant import Grant
from appliance.units import DAY, HOUR
from tests.worlds.vaults import (
    HOLDER,
    ORIGIN,
    SERVICE,
    SPARE,
    STANDBY,
    Generation,
    VaultWorld,
    assert_whole,
    offer,
)
from tests.worlds.vaults_in_process import World

LOCK_SECONDS = 30 * DAY
GENERATIONS_MAX = 16
PEERS = (STANDBY, HOLDER, SPARE)
holders = st.sampled_from(PEERS)
cuts = st.sampled_from([-1, -1, 3000, 9000])


class VaultMachine(RuleBasedStateMachine):
    """`received` remembers, by holder and generation, the holder's age at its receipt: the promise that is checked."""

    def __init__(self, vaults: VaultWorld, lost: Act) -> None:
        super().__init__()
        self.vaults = vaults
        self.world = World(vaults)
        conversation.Line = self.world.line  # type: ignore[assignment, misc]
        self.lost = lost
        self.grants: list[Grant] = [vaults.grant()]
        self.made: list[Generation] = []
        self.received: dict[tuple[str, str], int] = {}
        self.rotten: set[tuple[str, str]] = set()
        self.numbers = count()

    # What writers do

    @rule(
        to=st.sets(holders, min_size=1),
        files=st.lists(st.sets(st.integers(0, 5), max_size=3), min_size=1, max_size=4),
        hours=st.sampled_from([1, 5]),
    )
    @precondition(lambda self: len(self.made) < GENERATIONS_MAX)
    def push_a_few(self, to: set[str], files: list[set[int]], hours: int) -> None:
        """New generations, to holders that may lack the ones before them."""
        for numbers in files:
            made = self._seal(numbers)
            for at in sorted(to - {self.grants[-1].writer}):
                self._bring(made, at)
            self.vaults.advance(hours * HOUR)

    @rule(at=holders, files=st.sets(st.integers(0, 9), max_size=4), cut=st.integers(0, 200))
    @precondition(lambda self: len(self.made) < GENERATIONS_MAX)
    def push_cut(self, at: str, files: set[int], cut: int) -> None:
        self._bring(self._seal(files), at, cut)

    def _seal(self, numbers: set[int]) -> Generation:
        content = {f"data/0/{n}": b"file %d " % n * 9 for n in numbers}
        content["data/1/1"] = b"new %d" % next(self.numbers) * 5
        self.made.append(self.vaults.seal(self.grants[-1], content, self.made[-1] if self.made else None))
        return self.made[-1]

    @rule(at=holders)
    @precondition(lambda self: bool(self.made))
    def push_newest_again(self, at: str) -> None:
        if self.made[-1].header.epoch == self.grants[-1].epoch:
            self._bring(self.made[-1], at)

    @rule(at=holders)
    @precondition(lambda self: bool(self.made))
    def push_a_forked_twin(self, at: str) -> None:
        """Push as a clone of the writer would: the same number, other content."""
        last = self.made[-1]
        if last.header.epoch != self.grants[-1].epoch:
            return
        parent = next((it for it in self.made if it.header.id.digest == last.header.previous), None)
        twin = self.vaults.seal(self.grants[-1], {"data/1/1": b"twin %d" % next(self.numbers)}, parent)
        self.made.insert(-1, twin)
        self._bring(twin, at)

    @rule()
    def hand_over(self) -> None:
        """The other of the two trusted nodes is granted the next epoch and continues from what is newest."""
        writer = STANDBY if self.grants[-1].writer == ORIGIN else ORIGIN
        self.grants.append(self.vaults.grant(writer, known_epoch=self.grants[-1].epoch))

    @rule(at=holders)
    @precondition(lambda self: len(self.grants) > 1 and bool(self.made))
    def an_old_writer_is_refused(self, at: str) -> None:
        replica = self.vaults.holding(at)
        old = self.grants[-2]
        if not replica.epochs() or replica.epochs()[-1] <= old.epoch:
            return
        before = replica.stored()
        with pytest.raises(ApplianceError):
            self._put(self.vaults.seal(old, {"config": b"late"}, None), at, old)
        assert replica.stored() == before

    # What holders do

    @rule(source=holders, to=holders, cut=cuts)
    def hand_on(self, source: str, to: str, cut: int) -> None:
        """All that `source` holds goes to another, over a line that may break; a spare is opened by the signed act."""
        if source == to:
            return
        self.world.cut = {to: cut}
        mine = {item.name for item in self.vaults.holding(source).stored() if item.held}
        with suppress(ApplianceError):
            replicate(
                self.vaults.open(source), SERVICE, to, (self.lost,), on_generation=lambda name: self._remember(to, name)
            )
            assert mine <= {item.name for item in self.vaults.holding(to).stored() if item.held or item.pruned}

    @rule(lost=holders, cut=cuts)
    def lose_for_good(self, lost: str, cut: int) -> None:
        """A holder is gone with all it held; those that are left bring each other what they have, and then to it."""
        shutil.rmtree(self.vaults.holding(lost).root, ignore_errors=True)
        self.received = {it: age for it, age in self.received.items() if it[0] != lost}
        self.rotten = {it for it in self.rotten if it[0] != lost}
        one, other = (at for at in PEERS if at != lost)
        for source, to in ((one, other), (other, one), (one, lost)):
            self.hand_on(source, to, cut)

    @rule(days=st.sampled_from([0, 3, 20, 50]))
    def thin(self, days: int) -> None:
        self.vaults.advance(days * DAY)
        for at in PEERS:
            prune_replica(self.vaults.open(at), SERVICE)

    @rule(at=holders)
    def scrub_a_little(self, at: str) -> None:
        scrub(self.vaults.open(at), SERVICE, Budget(bytes_max=200))

    @rule(at=holders, which=st.integers(0, 1000))
    def rot(self, at: str, which: int) -> None:
        """A bit flips, and the scrub finds it; what names the blob is not claimed until it has come back."""
        blobs = list(self.vaults.holding(at).blobs())
        if not blobs:
            return
        path = blobs[which % len(blobs)]
        data = path.read_bytes()
        path.chmod(0o600)
        path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
        self.rotten.add((at, path.name))
        for _ in range(2):  # the first may only end a round that was begun beyond this blob
            scrub(self.vaults.open(at), SERVICE)

    @rule(at=holders, what=st.sampled_from(["alarm", "reboot", "-4000", "4000"]), days=st.sampled_from([1, 8, 200]))
    def disturb(self, at: str, what: str, days: int) -> None:
        """Time passes; an alarm is raised, the machine starts again, or its wall clock is set off by years."""
        self.vaults.advance(days * DAY)
        if what == "alarm":
            freeze.raise_alarm(self.vaults.open(at), SERVICE, "test.")
        elif what == "reboot":
            self.vaults.open(at).ageing.now()
            self.vaults.clocks[at].reboot()
        else:
            self.vaults.clocks[at].jump_wall(int(what) * DAY)

    # What must always hold

    @invariant()
    def all_that_is_held_is_whole(self) -> None:
        for at in PEERS:
            assert_whole(self.vaults, at)

    @invariant()
    def nothing_younger_than_the_lock_is_lost(self) -> None:
        now = {at: self.vaults.open(at).ageing.now() for at in PEERS}
        for (at, name), age in self.received.items():
            if now[at] - age < LOCK_SECONDS:
                self._assert_here(at, name)

    @invariant()
    def the_newest_of_every_epoch_is_never_let_go(self) -> None:
        for at in PEERS:
            of_epoch = {name.split(".")[0]: name for holder, name in sorted(self.received) if holder == at}
            for name in of_epoch.values():
                self._assert_here(at, name)

    @invariant()
    def no_header_lacks_the_one_before_it(self) -> None:
        """Each chain can be followed to its first header, whatever was forgotten of what never came."""
        for at in PEERS:
            previous = previous_by_name(self.vaults.holding(at))
            assert set(previous.values()) <= {NO_PARENT[:16], *(name[-16:] for name in previous)}

    def _assert_here(self, at: str, name: str) -> None:
        replica = Replica(self.vaults.layout(at).vault / SERVICE)
        stored = replica.find(name)
        assert stored is not None
        if not stored.held:
            assert stored.damaged, f"{at} let {name} go"
            named = {entry.sha256 for entry in replica.entries(name)}
            assert any((at, digest) in self.rotten for digest in named), f"{at} lost a file of {name}"

    # How things get there

    def _bring(self, made: Generation, at: str, cut: int = -1) -> None:
        grant = self.grants[-1]
        with suppress(ApplianceError):
            if cut < 0:
                self._put(made, at, grant)
                self._remember(at, made.name)
            else:
                self._put_cut(made, at, grant, cut)

    def _before(self, made: Generation) -> list[Generation]:
        """All headers on the way to `made`, as who does not know what the peer knows would send."""
        by_digest = {it.header.id.digest: it for it in self.made}
        way: list[Generation] = []
        step = by_digest.get(made.header.previous)
        while step:
            way.append(step)
            step = by_digest.get(step.header.previous)
        return way[::-1]

    def _put(self, made: Generation, at: str, grant: Grant) -> None:
        self.vaults.put(made, *self.grants, at=at, caller=grant.writer, before=self._before(made))

    def _put_cut(self, made: Generation, at: str, grant: Grant, cut: int) -> None:
        with self.vaults.session(at, grant.writer) as channel:
            offer(channel, made, self.grants, self._before(made))
            answer = channel.read_frame()
            data = b"".join(made.blobs[digest][offset:] for digest, offset in answer.get("need", ()))
            channel.write(data[: min(cut, max(0, len(data) - 1))])

    def _remember(self, at: str, name: str) -> None:
        self.received.setdefault((at, name), self.vaults.open(at).ageing.now())


@pytest.fixture
def made_desk(tmp_path: Path) -> Iterator[VaultWorld]:
    """No power is cut here, and hundreds of small pushes would wait for the disk only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda fd: None)
        patch.setattr(conversation, "Line", conversation.Line)  # put back after the last machine has put its own there
        yield VaultWorld(tmp_path / "made").create()


def test_no_order_of_events_loses_what_is_locked(made_desk: VaultWorld, tmp_path: Path) -> None:
    made_desk = made_desk.copy(tmp_path / "desk")
    made_desk.sign(lock_seconds=LOCK_SECONDS)
    raw = made_desk.act("lost", ORIGIN, start=0, days=80_000)
    lost = keep_act(made_desk.layout(SPARE).acts, raw, made_desk.open(SPARE).bundle)
    number = count()
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        lambda: VaultMachine(made_desk.copy(tmp_path / str(next(number))), lost),
        settings=settings(
            max_examples=10, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
