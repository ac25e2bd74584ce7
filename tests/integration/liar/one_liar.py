"""The machine of one liar among honest peers, for service files that count and for real repositories."""

from __future__ import annotations

import os
import shutil
import sys
from collections import Counter
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from appliance.trust.receipt import make_receipt
from appliance.units import DAY
from tests.integration.liar.besieged import Besieged, OpenWorld, playing
from tests.integration.liar.liar import HABITS
from tests.worlds.vaults import HOLDER, ORIGIN, OUTSIDER, SPARE, STANDBY, VaultWorld

STEPS = 30
LOCK_SECONDS = int(5 * DAY)
PLACED = {"two holders": ((STANDBY, HOLDER), (SPARE,)), "three holders": ((STANDBY, HOLDER, SPARE), (OUTSIDER,))}
LIARS = {"two holders": (STANDBY, HOLDER, SPARE), "three holders": (STANDBY, HOLDER, SPARE)}
DRAWN = [(placed, liar) for placed, liars in LIARS.items() for liar in liars]
PLAYED: Counter[str] = Counter()

HERE = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else None


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
    grants = [vaults.grant(OUTSIDER, known_epoch=known, service="docs-d") for known in (0, 62)]
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


def besieged(
    desks: dict[str, OpenWorld], folder: Path, placed: str, seed: int, made_of: type[Besieged] = Besieged
) -> Besieged:
    """A territory in which nothing was saved yet, and what the liar draws from."""
    shutil.rmtree(folder / "played", ignore_errors=True)
    world = made_of(desks[placed].copy(folder / "played"))
    world.vaults.opened = {}
    world.seed = seed
    return world
