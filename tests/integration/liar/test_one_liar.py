"""One arbitrary liar among honest peers, at any moment: nothing acknowledged is lost, nobody writes who was not
granted it, no backup, takeover, restore or thinning is stopped, and what is saved is safe at the honest holders within
two cycles. CI plays some cases; that many of 30 steps by `make soak SUITE=one_liar N=20000`."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from appliance.backup.peers.conversation import Conversation, Lines
from appliance.backup.peers.shown import Shown
from appliance.backup.vault.evidence import read_own_receipt
from appliance.backup.vault.maintenance.pruning import _Received
from appliance.backup.vault.store import BUCKET, Replica
from appliance.failover import takeover
from appliance.node.handle import Node
from appliance.trust.bundle import Member
from appliance.trust.grant import Grant
from appliance.trust.granters import Granters
from appliance.trust.receipt import make_receipt
from appliance.units import DAY
from tests.integration.liar.besieged import Besieged, OpenWorld, playing
from tests.integration.liar.liar import HABITS
from tests.integration.life.world import Broken
from tests.integration.vault_worlds.world import HOLDER, ORIGIN, SPARE, STANDBY, STRANGER, VaultWorld
from tests.no_fsync import no_fsync
from tests.soak import play_machine, soak

__all__ = ("no_fsync",)

STEPS = 30
SAMPLE = 10
CASES_A_PART = 100
LOCK_SECONDS = int(5 * DAY)
PLACED = {"two holders": ((STANDBY, HOLDER), (SPARE,)), "three holders": ((STANDBY, HOLDER, SPARE), (STRANGER,))}
LIARS = {"two holders": (STANDBY, HOLDER, SPARE), "three holders": (STANDBY, HOLDER, SPARE)}
DRAWN = [(placed, liar) for placed, liars in LIARS.items() for liar in liars]
PLAYED: Counter[str] = Counter()

HERE = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else None


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """In memory where there is room: a case writes some hundred small files."""
    with tempfile.TemporaryDirectory(prefix="liar.", dir=HERE) as made:
        yield Path(made)


@pytest.fixture(scope="module")
def desks(folder: Path) -> dict[str, OpenWorld]:
    return make_desks(folder)


def make_desks(folder: Path, first: OpenWorld | None = None) -> dict[str, OpenWorld]:
    """One for each placement; keys cost more than all the rest."""
    first = (first or OpenWorld(folder / "made", lock_seconds=LOCK_SECONDS)).create()
    found = {}
    for placed, (holders, spares) in PLACED.items():
        found[placed] = first.copy(folder / placed.replace(" ", "-"))
        found[placed].sign(placed=holders, spares=spares)
    return found


def foreign(vaults: VaultWorld, liar: str) -> dict[str, tuple[str, ...]]:
    """True documents of another service: its grants are higher, and the liar holds it."""
    grants = [vaults.grant(STRANGER, known_epoch=known, service="docs-d") for known in (0, 62)]
    made = [vaults.chain(it, 2) for it in grants]
    headers = [it.header for of_grant in made for it in of_grant]
    receipt = make_receipt(
        vaults.signing_key(liar), holder=liar, header=headers[-1], time="2027-01-15T08:00:00Z", age_seconds=9
    )
    return {
        "grants": tuple(it.document.raw.decode() for it in grants),
        "headers": tuple(it.document.raw.decode() for it in headers),
        "receipts": (receipt.decode(),),
    }


def machine(desks: dict[str, OpenWorld], folder: Path, world: type[Besieged] = Besieged) -> type[RuleBasedStateMachine]:
    class OneLiar(RuleBasedStateMachine):
        @initialize(
            drawn=st.sampled_from(DRAWN), seed=st.integers(0, 2**32), habit=st.sampled_from(HABITS), calls=st.booleans()
        )
        def begin(self, drawn: tuple[str, str], seed: int, habit: str, calls: bool) -> None:
            placed, liar = drawn
            self.world = besieged(desks, folder, placed, seed, world)
            self.playing = playing(self.world)
            self.playing.__enter__()
            self.world.start(liar, foreign(self.world.vaults, liar))
            self.world.save()
            self.world.liar.habit, self.world.calls_before_pushes = habit, calls
            self.steps = 0

        def step(self, name: str) -> None:
            self.steps += 1
            PLAYED[name] += 1

        @rule(habit=st.sampled_from(HABITS))
        def the_liar_begins_to(self, habit: str) -> None:
            self.step(f"the liar: {habit}")
            self.world.liar.habit = habit

        @rule(hours=st.sampled_from([1, 5, 24, 24, 24, 30, 150]))
        def time_passes(self, hours: int) -> None:
            self.step("time passes")
            self.world.time_passes(hours * 3600)
            self.world.look()

        @rule()
        def save(self) -> None:
            self.step("save")
            self.world.save()

        @rule()
        def a_cycle(self) -> None:
            self.step("a cycle")
            self.world.time_passes(3600)
            self.world.cycle()

        @rule(number=st.integers(0, 2))
        def a_holder_cares(self, number: int) -> None:
            self.step("a holder cares")
            name = self.holder(number)
            if name not in self.world.down:
                self.world.care(name)
                self.world.look()

        @rule(number=st.integers(0, 2))
        def the_liar_calls(self, number: int) -> None:
            self.step("the liar calls")
            name = self.holder(number)
            if name not in self.world.down:
                self.world.the_liar_calls(name)
                self.world.look()

        @rule(calls=st.booleans())
        def the_liar_calls_before_pushes(self, calls: bool) -> None:
            self.step("the liar calls before pushes")
            self.world.calls_before_pushes = calls

        @rule()
        def the_liar_throws_away(self) -> None:
            self.step("the liar throws away")
            self.world.the_liar_throws_away()

        @rule(number=st.integers(0, 3))
        def somebody_goes_down(self, number: int) -> None:
            self.step("somebody goes down")
            self.world.goes_down(self.world.liar.name if number == 3 else self.holder(number))

        @rule()
        def all_come_back(self) -> None:
            self.step("all come back")
            self.world.comes_back()

        @rule(number=st.integers(0, 2))
        def a_holder_gets_a_new_disk(self, number: int) -> None:
            self.step("a new disk")
            self.world.gets_a_new_disk(self.holder(number))

        @rule()
        def the_service_moves(self) -> None:
            self.step("a takeover")
            to = ORIGIN if self.world.writer != ORIGIN else STANDBY
            if to != self.world.liar.name:
                self.world.down -= {to}
                self.world.take_over(to)
                self.world.look()

        @rule()
        def the_former_writer_pushes_late(self) -> None:
            self.step("a late push")
            for name in self.world.holders:
                self.world.late_push(name)

        @rule()
        def a_restore(self) -> None:
            self.step("a restore")
            self.world.restore(self.world.writer)

        def holder(self, number: int) -> str:
            return self.world.holders[number % len(self.world.holders)]

        def teardown(self) -> None:
            if hasattr(self, "playing"):
                try:
                    if sys.exception() is None:  # else that is what is told
                        self.world.end()
                        PLAYED.update(cases=1, full=self.steps >= STEPS)
                finally:
                    self.playing.__exit__(None, None, None)

    return OneLiar


def any_service(granters: Granters, peer: Member, service: str, grants: Any) -> Shown:
    """Finding 2 of the outside review: whoever shows a true grant is believed, of whatever service it is."""
    read = [granters.read(raw.encode()) for raw in grants]
    return Shown(peer, service, {it.epoch: it for it in read})


def as_old_as_it_was_said(node: Node, replica: Replica, name: str, now: int) -> _Received:
    """Finding 3: by the word of the holder that handed it on alone."""
    own = min(now, read_own_receipt(node, replica, name).age_seconds)
    path = replica.path(name, BUCKET)
    there = min(own, int(path.read_bytes())) if path.exists() else own
    return _Received(there) if own == there else _Received(own, (there, there))


def shown_to_all(node: Node, service: str, word: str, lines: Lines) -> dict[str, Any]:
    """Finding 8: a vault that kept nothing counts as a fence."""
    grant = takeover._newest_own(node, service)
    asked = tuple(it.node for it in takeover.current_targets(node, service))
    known, _ = lines.ask_all(asked, lambda conversation: _shown_to(conversation, service, grant))
    return {"accepted": list(known), "newer": 0}


def _shown_to(conversation: Conversation, service: str, grant: Grant) -> int:
    head = conversation.head(service)
    if head.tips:
        raws = [it.document.raw.decode() for it in (*head.grants, grant)]
        headers = [head.tips[-1].document.raw.decode()]
        conversation.ask("put", service, grants=raws, headers=headers, list_bytes=0, acknowledge=True)
        conversation.channel.read_frame()
    return 0


def foreign_grants(world: Besieged) -> None:
    world.liar.habit = "foreign"
    for _ in range(20):
        world.cycle()


def false_ages(world: Besieged) -> None:
    """The liar, and not the writer, brings four days to a holder that was down."""
    world.goes_down(SPARE)
    for _ in range(12):
        world.save()
        world.time_passes(DAY / 3)
    world.comes_back()
    for _ in range(80):
        world.the_liar_calls(SPARE)
    world.look()
    world.time_passes(2 * LOCK_SECONDS)
    world.thin(SPARE)
    world.look()


def an_empty_vault(world: Besieged) -> None:
    world.gets_a_new_disk(SPARE)
    world.take_over(STANDBY)
    world.late_push(SPARE)


DEFECTS: dict[str, tuple[str, Any, Callable[[Besieged], None]]] = {
    "a grant of another service is believed": (
        "appliance.backup.peers.conversation.read_shown",
        any_service,
        foreign_grants,
    ),
    "a generation is as old as it is said": (
        "appliance.backup.vault.maintenance.pruning._received",
        as_old_as_it_was_said,
        false_ages,
    ),
    "a vault that kept nothing is a fence": ("appliance.failover.takeover.present", shown_to_all, an_empty_vault),
}


ORDERS_MAX = 20
"""Of what the liar draws, in which a former defect must be found: one order alone may draw nothing that shows it."""


def besieged(
    desks: dict[str, OpenWorld], folder: Path, placed: str, seed: int, made_of: type[Besieged] = Besieged
) -> Besieged:
    """A territory in which nothing was saved yet, and what the liar draws from."""
    shutil.rmtree(folder / "played", ignore_errors=True)
    world = made_of(desks[placed].copy(folder / "played"))
    world.vaults.opened = {}
    world.seed = seed
    return world


@pytest.mark.parametrize("put_back", [True, False], ids=["put back", "mended"])
@pytest.mark.parametrize("defect", DEFECTS)
def test_a_former_defect_is_found(
    desks: dict[str, OpenWorld], folder: Path, defect: str, put_back: bool, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That each is found where it is put back, and nothing where it is not, proves what the cases look at."""
    where, former, lives = DEFECTS[defect]
    if put_back:
        monkeypatch.setattr(where, former)
    seeds = range(seed, seed + (ORDERS_MAX if put_back else 2))
    assert any(is_broken(besieged(desks, folder, "three holders", it), lives) for it in seeds) == put_back


def is_broken(world: Besieged, lives: Callable[[Besieged], None]) -> bool:
    try:
        with playing(world):
            world.start(HOLDER, foreign(world.vaults, HOLDER))
            world.save()
            lives(world)
    except Broken:
        return True
    return False


def play(desks: dict[str, OpenWorld], folder: Path, cases: int, seed: int) -> None:
    play_machine(machine(desks, folder), cases, STEPS, seed)


def test_one_liar_breaks_no_promise(desks: dict[str, OpenWorld], folder: Path, seed: int) -> None:
    play(desks, folder, SAMPLE, seed)


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_soak_of_one_liar(desks: dict[str, OpenWorld], folder: Path, soak_runs: int | None, seed: int) -> None:
    cases = soak_runs or 10 * SAMPLE
    played, seconds = soak("liar", cases, seed, partial(play, desks, folder), PLAYED, a_part=CASES_A_PART)
    print(f"{played.pop('cases')} cases, {played.pop('full')} of them of {STEPS} steps, {seconds:.0f} s of a core")
    print(f"steps: {dict(played.most_common())}")
