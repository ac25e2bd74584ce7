"""Any order of backups, failures, wrong clocks, cuts, moves and restores over years: nothing is forgotten, nothing
incomplete is called whole, nothing gets stuck. CI plays some lives; that many, each of at least 400 days and
up to 60 operations, by `make soak SUITE=life_of_a_service N=20000`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from functools import lru_cache, partial, wraps
from itertools import product
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from appliance.trust import sshsig
from appliance.units import DAY
from tests.integration.life import former, planning
from tests.integration.life.life import Life
from tests.integration.life.restoring import Ending, Upto
from tests.integration.life.rules import PRODUCT, Rules
from tests.integration.life.town import NAMES
from tests.integration.life.world import BLIND, HOME, OTHER, SPARE, STANDBY, Broken
from tests.soak import play_machine, soak

OPERATIONS = 60
SAMPLE = 8
DAYS_MIN = 400

LIVES_A_PART = 250
"""The lives in a part of a soak, which can be cut between parts; Hypothesis remembers what it tried, and grows with
it."""

SIGNATURES = 4096
LIVES_A_REMOVAL = 4
"""In one of so many lives the service leaves the territory in the end; those ten years count as no days of a life."""

LIVES_TO_FIND = 150
DEFECTS: dict[str, dict[str, Any]] = {
    "archives are pruned by the dates of a clock": {"keep": former.prune_by_dates},
    "a partial backup counts as whole": {"says_whole": former.always_whole},
    "a restore lacks what a partial archive lacks": {"restored": former.as_it_was_saved},
    "an empty mount point is green": {"measured": former.never_shrunken},
    "a holder takes five times one day or nothing": {"today": former.five_times_one_day},
    "the default quota forgets both retentions": {"quota": former.quota_without_tiers},
    "a quota below what is held lets history go": {"early_pruned": former.pruned_below_what_is_held},
    "a former holder keeps its copy for ever": {"gives_up": former.nothing_given_up},
    "a former holder gives up what others lack": {"gives_up": former.given_up_by_the_plan},
    "any receipt lets a move go": {"synced": former.any_receipt, "goes_on": former.any_newest},
    "a bundle with other voters confirms no grant": {"confirms": former.nothing_confirmed},
    "brokers grant above a grant that was not shown": {
        "unconfirmed": former.no_doubt,
        "former_voters": former.forgotten_voters,
    },
    "a service that is renamed is a new one": {"follows": former.named_as_written},
    "a later name lasts while the file says the earlier": {"follows": former.named_while_it_is_said},
    "holders keep a service that left for ever": {"thin": former.thinned_as_if_it_went_on},
    "a drill restores a partial archive": {"drilled": former.drilled_newest},
    "a cut restore is found by its archive's name": {"job_of": former.job_by_archive_name},
    "a cut restore finds its archive forgotten": {"pinned": former.nothing_pinned},
    "two restores make a mixture": {"in_the_way": former.never_in_the_way},
    "a restore goes on among the files of another": {"in_the_way": former.goes_on_whoever_is_there},
}

ASKED = [NAMES, (HOME, STANDBY), (BLIND,), (), ()]
"""The nodes of which the key holder collects the grants; with none, the bundle is signed though they are unknown."""

CUTS: tuple[Upto, ...] = ("planned", "kept")
ENDINGS: tuple[Ending, ...] = ("typed again", "given up", "undone")
FOLDERS = ("", "", "", "/srv/restored")
type Typed = tuple[int, int | None, str, Upto, Ending]

PLAYED: Counter[str] = Counter()
"""Lives, their days, those that were as long as the soak asks for, and how often each operation came."""


def spells(*days: int) -> st.SearchStrategy[int]:
    """How long something lasts: mostly short, so that a life has room for many operations, now and then `days`."""
    return st.sampled_from([1, 1, 1, 2, 2, 3, 5, *days])


def one_of(*choices: Iterable[Any]) -> st.SearchStrategy[Any]:
    """One choice of each, in one draw, which is faster than several."""
    return st.sampled_from(list(product(*choices)))


FIRST = one_of([0, 1, 20], [None, 0, 1], FOLDERS, ["planned", *CUTS], ENDINGS)
SECOND = one_of([0, 1, 20], [None, 0, 1], FOLDERS, ["kept", *CUTS, "done"], ENDINGS)
"""Which archive, which path, where to, how far at first, and what is done about it in the end."""


def operation(**draws: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Any]:
    """A rule of the machine that counts how often it came."""

    def wrapped(do: Callable[..., None]) -> Any:
        @rule(**draws)
        @wraps(do)
        def counted(self: Any, **drawn: Any) -> None:
            self.played[do.__name__] += 1
            do(self, **drawn)

        return counted

    return wrapped


def machine(rules: Rules) -> type[RuleBasedStateMachine]:
    """A state machine over a life that `rules` decide."""

    class LifeMachine(RuleBasedStateMachine):
        @initialize(seed=st.integers(0, 2**32))
        def begin(self, seed: int) -> None:
            self.life = Life(rules, seed)
            self.leaves = seed % LIVES_A_REMOVAL == 0
            self.played: Counter[str] = Counter()

        @operation(days=spells(8, 20))
        def live(self, days: int) -> None:
            self.life.live(days)

        @operation(drawn=one_of([1, 1, 2, 3, 15, 45], [True, False]))
        def a_path_is_gone(self, drawn: tuple[int, bool]) -> None:
            days, restored = drawn
            self.life.during(days, "path_gone")
            self.life.drill()
            if restored:
                self.life.restore_some(0)

        @operation(drawn=one_of([1, 2, 5, 40], [True, False]))
        def a_mount_point_is_empty(self, drawn: tuple[int, bool]) -> None:
            days, confirmed = drawn
            self.life.during(days, "path_empty")
            if confirmed:
                self.life.confirm()

        @operation(drawn=one_of([-10.0, -1.2, -0.1, 0.1, 1.0], [1, 3, 5, 15]))
        def a_clock_is_off(self, drawn: tuple[float, int]) -> None:
            years, days = drawn
            self.life.restart(years * 365 * DAY)
            self.life.live(days)
            self.life.clock_off = 0.0
            self.life.live(1)

        @operation(days=spells(8, 60))
        def the_town_is_cut_off(self, days: int) -> None:
            self.life.cut(days, self.life.nodes.values())

        @operation(drawn=one_of([STANDBY, BLIND], [1, 2, 3, 5, 30]))
        def a_holder_is_away(self, drawn: tuple[str, int]) -> None:
            name, days = drawn
            self.life.cut(days, [self.life.nodes[name]])

        @operation(drawn=one_of([2, 4, 6], [1, 2, 3, 7, 7, 60]))
        def more_is_changed_than_declared(self, drawn: tuple[int, int]) -> None:
            self.life.change_more(*drawn)
            planning.raise_quota(self.life)

        @operation(drawn=one_of([1, 3, 10, 40], [0.4, 0.9, 1.05, 1.2, 1.5]))
        def the_quota_is_short(self, drawn: tuple[int, float]) -> None:
            planning.shorten_quota(self.life, *drawn)

        @operation(drawn=one_of([2, 4], [1, 3, 10]))
        def an_act_raises_the_quota(self, drawn: tuple[int, int]) -> None:
            times, days = drawn
            self.life.town.raise_for(days * DAY, times)
            self.life.change_more(times, days)
            planning.raise_quota(self.life)

        @operation(drawn=one_of([BLIND, SPARE, OTHER], [1, 2, 5, 90]))
        def copies_are_placed_elsewhere(self, drawn: tuple[str, int]) -> None:
            name, days = drawn
            planning.place_elsewhere(self.life, name)
            self.life.live(days)

        @operation(days=spells(4))
        def the_disk_is_full(self, days: int) -> None:
            self.life.during(days, "disk_full")

        @operation(days=spells(30))
        def the_home_is_lost_for_a_while(self, days: int) -> None:
            self.life.take_over()
            self.life.live(days)
            self.life.move(HOME)
            self.life.live(1)

        @operation(drawn=one_of([HOME, STANDBY], ["", STANDBY], ["", BLIND]))
        def a_planned_move(self, drawn: tuple[str, str, str]) -> None:
            to, away, silent = drawn
            self.life.move(to, away=away, silent=silent)
            self.life.live(1)

        @operation()
        def the_home_is_replaced(self) -> None:
            self.life.replace_home()
            self.life.live(1)

        @operation(drawn=one_of([STANDBY, BLIND, SPARE, OTHER], ASKED, [True, False]))
        def a_voter_is_replaced(self, drawn: tuple[str, Collection[str], bool]) -> None:
            name, asked, lost = drawn
            self.life.replace_voter(name, asked, insists=not asked)
            self.life.live(1)
            if lost:
                self.life.take_over()
                self.life.live(1)

        @operation(drawn=one_of([OTHER, "commune-e", SPARE], ASKED))
        def the_voters_change(self, drawn: tuple[str, Collection[str]]) -> None:
            name, asked = drawn
            self.life.town.change_voters(name, asked, insists=not asked)
            self.life.live(1)

        @operation(was=st.sampled_from(["called", "first", "none"]))
        def the_service_is_renamed(self, was: str) -> None:
            planning.rename(self.life, was)
            self.life.live(1)

        @operation(something=st.sampled_from(["a move", "a new service of its first name"]))
        def a_rename_that_makes_no_sense(self, something: str) -> None:
            planning.rename_at_once_with(self.life, something)

        @operation()
        def the_key_holder_confirms_grants(self) -> None:
            self.life.confirm_grants()
            self.life.live(1)

        @operation(drawn=one_of([0, 0, 1, 2, 3, 7, 30, 31], [1, 2, 5, 20], CUTS, FOLDERS))
        def a_restore_is_cut_and_typed_again(self, drawn: tuple[int, int, Upto, str]) -> None:
            draw, days, cut, folder = drawn
            if self.life.writer.archives:
                line = self.life.restores.line(draw, None, folder)
                self.life.restores.type(line, cut)
                self.life.live(days)
                self.life.restores.end(line, "typed again")

        @operation(first=FIRST, second=SECOND, drawn=one_of([0, 0, 1, 20], [False, False, True]))
        def two_restores_at_once(self, first: Typed, second: Typed, drawn: tuple[int, bool]) -> None:
            days, second_ends_first = drawn
            if self.life.writer.archives:
                lines = [self.life.restores.line(*it[:3]) for it in (first, second)]
                self.life.restores.type(lines[0], first[3])
                self.life.live(days)
                self.life.restores.type(lines[1], second[3])
                endings = list(zip(lines, (first[4], second[4]), strict=True))
                for line, ending in reversed(endings) if second_ends_first else endings:
                    self.life.restores.end(line, ending)

        @operation()
        def a_drill(self) -> None:
            self.life.drill()

        @operation(draw=st.sampled_from([0, 0, 1, 2, 5, 17, 40]))
        def a_restore(self, draw: int) -> None:
            self.life.restore_some(draw)

        def teardown(self) -> None:
            if hasattr(self, "life") and not self.life.oracle.broken:
                self.life.confirm_grants()
                self.life.live(max(60, DAYS_MIN - self.life.day))
                full = self.played.total() >= OPERATIONS
                PLAYED.update(self.played + Counter(lives=1, full=full, days=self.life.day))
                if self.leaves:
                    self.life.leave()
                    PLAYED["the_service_leaves"] += 1

    return LifeMachine


def play(rules: Rules, lives: int, seed: int, *, operations: int = OPERATIONS, shrink: bool = True) -> None:
    with pytest.MonkeyPatch.context() as patch:  # a good signature of some bytes stays one: each is checked once
        patch.setattr(sshsig, "verify", lru_cache(SIGNATURES)(sshsig.verify))
        play_machine(machine(rules), lives, operations, seed, shrink=shrink)


def test_lives_keep_every_promise(seed: int) -> None:
    play(PRODUCT, SAMPLE, seed)


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_former_defect_put_back_is_found(defect: str, seed: int) -> None:
    """The model must find each of them: a promise that it cannot see broken it does not hold."""
    assert broken_in(replace(PRODUCT, **DEFECTS[defect]), seed)


def broken_in(rules: Rules, seed: int) -> list[str]:
    """The promises that some lives by `rules` broke; what else went wrong is raised."""
    try:
        play(rules, LIVES_TO_FIND, seed, shrink=False)
    except Broken as found:
        return [str(found)]
    return []


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_soak_of_the_life_of_a_service(soak_runs: int | None, seed: int) -> None:
    """Prints how many days it simulated in a second of one core, and how often each operation came."""
    played, seconds = soak(
        "life", soak_runs or 10 * SAMPLE, seed, partial(play, PRODUCT, shrink=False), PLAYED, a_part=LIVES_A_PART
    )
    all_lives, full, days = (played.pop(it) for it in ("lives", "full", "days"))
    print(f"{all_lives} lives of {days} days, {days / seconds:.0f} days a second, {full} with {OPERATIONS} operations")
    print(f"operations: {dict(played.most_common())}")
