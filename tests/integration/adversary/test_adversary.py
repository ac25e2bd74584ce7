"""A standing adversary: drawn orders of every attack that is known here, between the ordinary work of a town. After
each run the invariants are looked at on every disk.

CI plays some; `make soak SUITE=soak_adversary N=200` goes on where it stopped and writes down what came of
it below docs/results. `pytest -k adversary_sees` puts former defects back, each of which it must find.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from appliance.backup.vault.maintenance.pruning import _received
from appliance.backup.vault.store import Replica
from appliance.node.handle import Node
from appliance.trust.grant import Grant
from appliance.trust.granters import Granters
from tests.integration.adversary import as_building, as_holder, as_origin, as_others, as_pages, work
from tests.integration.adversary.attacks import TABLE, Attack
from tests.integration.adversary.elsewhere import ELSEWHERE
from tests.integration.adversary.invariants import CHECKS
from tests.integration.adversary.scene import NODES, Role, Scene, ScenePlan
from tests.integration.adversary.work import WORK
from tests.integration.borg.hostile import HOSTILE
from tests.integration.faults.results import Results, runs_wanted
from tests.integration.life.world import Broken
from tests.integration.vault_worlds.relay_lies import LIES as OF_AGES
from tests.no_fsync import no_fsync

__all__ = ("as_building", "as_holder", "as_origin", "as_others", "as_pages", "no_fsync")

ROOT = Path(__file__).parents[3]
SAMPLE = 2
STEPS = 9
DAY_SEED = int(os.environ.get("APPLIANCE_TEST_SEED", "1"))
SAMPLED = [f"{DAY_SEED}-{number}" for number in range(SAMPLE)]
SOAKED = [f"{DAY_SEED}-{number}" for number in range(runs_wanted(SAMPLE))]
ABOUT = """Each drew two or three things that the attacker has, and nine steps: attacks of
those, one time of three ordinary work. Then two more runs, and the invariants on every disk
(`tests/integration/adversary/invariants.py`)."""
OF_ONE_COPY = (Role.HOLDER, Role.STANDBY)
"""Two copies are promised, so that the attacker has one of them at most."""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> ScenePlan:
    return ScenePlan.build(tmp_path_factory.mktemp("adversary"))


def draw_roles(draw: random.Random) -> list[Role]:
    """Two or three things that the attacker has."""
    roles = draw.sample(list(Role), draw.choice((2, 3)))
    return [it for it in roles if it not in OF_ONE_COPY or it == next(r for r in roles if r in OF_ONE_COPY)]


def owned_by(roles: list[Role]) -> frozenset[str]:
    return frozenset(NODES[it] for it in roles if it in NODES)


def besiege(stage: ScenePlan, seed: str) -> str:
    """A run drawn from `seed`; what was done, in words."""
    draw = random.Random(f"adversary {seed}")
    roles = draw_roles(draw)
    attacks = [it for it in TABLE if it.role in roles]
    told: list[str] = []
    with stage.play(seed, owned_by(roles)) as scene:
        try:
            for _ in range(STEPS):
                _step(scene, attacks, told)
            _judge(scene)
        except Exception as error:
            number = int(seed.split("-")[1]) + 1
            error.add_note(f"the attacker has {', '.join(roles)}; after: {'; '.join(told) or 'nothing yet'}")
            error.add_note(f'repeat it with: make soak SUITE="soak_adversary and {seed}" N={number} SEED={DAY_SEED}')
            raise
    return ", ".join(told)


def _step(scene: Scene, attacks: list[Attack], told: list[str]) -> None:
    """An attack, or one time of three some work; each role comes as often as each other."""
    if scene.draw.random() < 1 / 3:
        work = scene.draw.choice(WORK)
        told.append(work.__name__.replace("_", " "))
        work(scene)
        return
    role = scene.draw.choice(sorted({it.role for it in attacks}))
    chosen = scene.draw.choice([it for it in attacks if it.role == role])
    told.append(str(chosen).replace(", ", " "))
    chosen.do(scene)


def _judge(scene: Scene) -> None:
    for check in CHECKS:
        check(scene)


@dataclass(frozen=True)
class Former:
    """A defect that was mended: what is put back where, what the attacker has, and what is done then."""

    role: Role
    back: Mapping[str, Any]
    steps: tuple[Callable[[Scene], object], ...]


def any_service(self: Granters, service: str, raws: Iterable[bytes]) -> dict[int, Grant]:
    return {grant.epoch: grant for grant in map(self.read, dict.fromkeys(raws))}


def by_its_word(node: Node, replica: Replica, name: str, now: int) -> Any:
    found = _received(node, replica, name, now)
    return SimpleNamespace(own=found.own, relayed=None, age=min(found.relayed or (found.own,)))


def weeks(scene: Scene) -> None:
    scene.a_day_goes_by(15)


A_LINK = {"a link": HOSTILE["symlink-and-file-below"]}
A_HUNDRED_YEARS = {"a hundred years": OF_AGES["a hundred years"]}
FORMER: dict[str, Former] = {
    "archives are extracted unexamined": Former(
        Role.ORIGIN,
        {
            "appliance.borg.contents.Examination.fault": lambda self: None,
            "tests.integration.adversary.as_origin.HOSTILE": A_LINK,
        },
        (as_origin.makes_an_archive_that_leaves_its_folder,),
    ),
    "a peer's documents may be of another service": Former(
        Role.HOLDER,
        {"appliance.trust.granters.Granters.read_all": any_service},
        (as_holder.shows_a_true_grant_of_another_service, work.a_backup),
    ),
    "a holder's word about an age is believed": Former(
        Role.HOLDER,
        {
            "appliance.backup.vault.maintenance.pruning._received": by_its_word,
            "tests.integration.adversary.as_holder.OF_AGES": A_HUNDRED_YEARS,
        },
        (as_holder.hands_on_with_a_lie_about_the_age, weeks),
    ),
    "any answer is enough to write on": Former(
        Role.ORIGIN,
        {"appliance.backup.writer.writer.set_counter": lambda *_: None},
        (as_origin.puts_its_whole_machine_back_while_a_holder_is_silent,),
    ),
    "a grant is adopted as often as it is brought": Former(
        Role.ORIGIN,
        {
            "appliance.backup.chain.resync.sealed_since": lambda *_: 0,
            "appliance.backup.chain.resync.is_used": lambda *_: False,
            "appliance.backup.writer.writer.set_counter": lambda *_: None,
        },
        (as_origin.adopts_a_grant_a_second_time,),
    ),
    "a legal hold ends by the wall clock": Former(
        Role.BUILDING,
        {"appliance.backup.vault.maintenance.freeze.recorded": lambda *_, **__: {}},
        (*[work.a_backup] * 3, as_building.answers_for_the_time_servers_while_a_hold_lasts),
    ),
    "a vault takes an epoch from any peer that says it": Former(
        Role.VOTER,
        {"appliance.trust.voting.Voting.needed": property(lambda self: 1)},
        (as_others.grants_alone,),
    ),
}


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("defect", FORMER)
def test_the_adversary_sees_former_defects(stage: ScenePlan, defect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    former = FORMER[defect]
    for where, back in former.back.items():
        monkeypatch.setattr(where, back)
    with pytest.raises(Broken) as found:
        _replay(stage, former)
    print(found.value)


def _replay(stage: ScenePlan, former: Former) -> None:
    with stage.play("a former defect", owned_by([former.role])) as scene:
        for step in former.steps:
            step(scene)
        _judge(scene)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("drawn", SAMPLED)
def test_adversary_of_the_day_breaks_no_promise(stage: ScenePlan, drawn: str) -> None:
    print(besiege(stage, drawn))


def test_adversary_names_a_document_for_each_attack() -> None:
    assert {it.role for it in TABLE} == set(Role)
    assert {it.why for it in TABLE if not (ROOT / it.why).is_file()} == set()
    assert len({(it.role, it.name) for it in TABLE}) == len(TABLE)


def test_adversary_names_the_test_of_each_attack_that_it_does_not_play() -> None:
    missing = []
    for test in ELSEWHERE.values():
        path, _, name = test.partition("::")
        if f"def {name}(" not in (ROOT / path).read_text():
            missing.append(test)
    assert missing == []


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("each", TABLE, ids=str)
def test_each_attack_of_the_adversary_alone_is_refused_as_told(stage: ScenePlan, each: Attack) -> None:
    with stage.play("alone", owned_by([each.role])) as scene:
        each.do(scene)
        assert not each.says or any(each.says in it for it in scene.said), scene.said


@pytest.fixture(scope="session")
def results() -> Results:
    return Results("adversary", ABOUT, "attack or work")


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("drawn", SOAKED)
def test_soak_adversary(request: pytest.FixtureRequest, results: Results, drawn: str) -> None:
    if results.has(drawn):
        pytest.skip("held in an earlier part of this soak")
    started = time.monotonic()
    done = besiege(request.getfixturevalue("stage"), drawn)
    results.held(drawn, done, time.monotonic() - started)


@pytest.mark.slow
def test_soak_adversary_is_written_down(results: Results) -> None:
    """The last of the soak: every run must have held."""
    missing = [drawn for drawn in SOAKED if not results.has(drawn)]
    assert not missing, f"these did not hold, or did not run: {', '.join(missing)}"
    print(results.write_down(DAY_SEED, SOAKED, folder=ROOT / "docs/results"))
