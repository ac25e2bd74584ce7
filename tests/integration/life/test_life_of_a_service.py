"""Any order of backups, failures, wrong clocks, cuts, moves and restores over years: nothing is forgotten, nothing
incomplete is called whole, nothing gets stuck. `make test` plays some lives; that many, each of at least 400 days and
up to 60 operations, by `make soak SUITE=life_of_a_service N=20000`."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from typing import Any

import hypothesis.core
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from appliance.units import DAY
from tests.integration.life import former
from tests.integration.life.life import Life
from tests.integration.life.rules import PRODUCT, Rules
from tests.integration.life.world import BLIND, HOME, STANDBY, Broken

OPERATIONS = 60
SAMPLE = 8
DAYS_MIN = 400

LIVES_TO_FIND = 60
DEFECTS: dict[str, dict[str, Any]] = {
    "archives are pruned by the dates of a clock": {"keep": former.prune_by_dates},
    "a partial backup counts as whole": {"says_whole": former.always_whole},
    "a restore lacks what a partial archive lacks": {"restored": former.as_it_was_saved},
    "an empty mount point is green": {"measured": former.never_shrunken},
    "a holder takes five times one day or nothing": {"today": former.five_times_one_day},
    "the default quota forgets both retentions": {"quota": former.quota_without_tiers},
    "any receipt lets a move go": {"synced": former.any_receipt, "goes_on": former.any_newest},
    "a cut restore is found by its archive's name": {"job_archive": former.job_by_archive_name},
}

days = st.integers(1, 20)
spells = st.sampled_from([1, 3, 7, 15, 45])
holders = st.sampled_from([STANDBY, BLIND])

PLAYED: Counter[str] = Counter()


def machine(rules: Rules) -> type[RuleBasedStateMachine]:
    """A state machine over a life that `rules` decide."""

    class LifeMachine(RuleBasedStateMachine):
        @initialize(seed=st.integers(0, 2**32))
        def begin(self, seed: int) -> None:
            self.life = Life(rules, seed)

        @rule(days=days)
        def live(self, days: int) -> None:
            self.life.live(days)

        @rule(days=spells)
        def a_path_is_gone(self, days: int) -> None:
            self.life.during(days, "path_gone")

        @rule(days=st.sampled_from([1, 5, 60]), confirmed=st.booleans())
        def a_mount_point_is_empty(self, days: int, confirmed: bool) -> None:
            self.life.during(days, "path_empty")
            if confirmed:
                self.life.confirm()

        @rule(years=st.sampled_from([-10.0, -1.2, -0.1, 0.1, 1.0]), days=days)
        def a_clock_is_off(self, years: float, days: int) -> None:
            self.life.restart(years * 365 * DAY)
            self.life.live(days)
            self.life.clock_off = 0.0
            self.life.live(1)

        @rule(days=st.sampled_from([1, 6, 8, 30, 90]))
        def the_town_is_cut_off(self, days: int) -> None:
            self.life.cut(days, self.life.nodes.values())

        @rule(name=holders, days=st.sampled_from([1, 30, 90]))
        def a_holder_is_away(self, name: str, days: int) -> None:
            self.life.cut(days, [self.life.nodes[name]])

        @rule(times=st.integers(2, 6), days=st.sampled_from([7, 30, 120]))
        def more_is_changed_than_declared(self, times: int, days: int) -> None:
            self.life.change_more(times, days)
            self.life.raise_quota()

        @rule(days=st.integers(1, 5))
        def the_disk_is_full(self, days: int) -> None:
            self.life.during(days, "disk_full")

        @rule(days=st.integers(1, 30))
        def the_home_is_lost_for_a_while(self, days: int) -> None:
            self.life.take_over()
            self.life.live(days)
            self.life.move(HOME)
            self.life.live(1)

        @rule(
            to=st.sampled_from([HOME, STANDBY]),
            away=st.sampled_from(["", STANDBY]),
            silent=st.sampled_from(["", BLIND]),
        )
        def a_planned_move(self, to: str, away: str, silent: str) -> None:
            self.life.move(to, away=away, silent=silent)
            self.life.live(1)

        @rule()
        def the_home_is_replaced(self) -> None:
            self.life.replace_home()
            self.life.live(1)

        @rule(draw=st.integers(0, 100), days=st.integers(0, 20))
        def a_restore_is_cut_and_typed_again(self, draw: int, days: int) -> None:
            self.life.begin_restore(draw)
            self.life.live(days)
            self.life.continue_restores()

        @rule(draw=st.integers(0, 100))
        def a_restore(self, draw: int) -> None:
            self.life.restore_some(draw)

        def teardown(self) -> None:
            if hasattr(self, "life"):
                self.life.live(max(60, DAYS_MIN - self.life.day))
                PLAYED.update(lives=1, days=self.life.day)

    return LifeMachine


def play(rules: Rules, lives: int, seed: int, *, operations: int = OPERATIONS, shrink: bool = True) -> None:
    phases = [Phase.generate, *([Phase.shrink] if shrink else [])]
    chosen = settings(
        max_examples=lives,
        stateful_step_count=operations,
        deadline=None,
        database=None,
        print_blob=True,
        phases=phases,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(hypothesis.core.seed(seed)(machine(rules)), settings=chosen)


def test_lives_keep_every_promise(seed: int) -> None:
    play(PRODUCT, SAMPLE, seed)


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_former_defect_put_back_is_found(defect: str, seed: int) -> None:
    """That the model finds each of them proves the model: a promise that it cannot see broken it does not hold."""
    assert broken_in(replace(PRODUCT, **DEFECTS[defect]), seed)


def broken_in(rules: Rules, seed: int) -> list[str]:
    """The promises that some lives by `rules` broke; what else went wrong is raised."""
    try:
        play(rules, LIVES_TO_FIND, seed, shrink=False)
    except Broken as found:
        return [str(found)]
    except BaseExceptionGroup as found:  # of several lives
        broken, other = found.split(Broken)
        if other:
            raise other from None
        return [str(it) for it in broken.exceptions] if broken else []
    return []


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_soak_of_the_life_of_a_service(soak_runs: int | None, seed: int) -> None:
    """Prints how many days it simulated in a second."""
    began = time.monotonic()
    play(PRODUCT, soak_runs or 10 * SAMPLE, seed)
    seconds = time.monotonic() - began
    print(f"{PLAYED['lives']} lives of {PLAYED['days']} days, {PLAYED['days'] / seconds:.0f} days a second")
