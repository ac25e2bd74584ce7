"""Drawn lives of a service, played with real borg, the real writer, real vaults and real restores: what is called safe
is whole and at two holders, a restore brings what was saved, nothing promised is forgotten, no counter is used twice.

CI plays one; `make soak SUITE=real_lives N=200` goes on where it stopped.
"""

from __future__ import annotations

import os
import random
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from appliance.backup.writer.filling import Filling
from appliance.backup.writer.forgetting import Forgotten
from appliance.borg.client import Borg
from appliance.territory.model import Retention
from tests.integration.faults.results import Results, runs_wanted
from tests.integration.life.real_life import OPERATIONS, Operation, RealLife
from tests.integration.life.real_town import LOCK_SECONDS, Town, TownWorld, playing, small_disk
from tests.integration.life.world import Broken
from tests.no_fsync import no_fsync
from tests.worlds.vaults import ORIGIN

__all__ = ("no_fsync",)

SAMPLE = 1
STEPS = 8
DAY_SEED = int(os.environ.get("APPLIANCE_TEST_SEED", "1"))
SAMPLED = [f"{DAY_SEED}-{number}" for number in range(SAMPLE)]
SOAKED = [f"{DAY_SEED}-{number}" for number in range(runs_wanted(SAMPLE))]


@pytest.fixture
def town(tmp_path: Path) -> Town:
    (tmp_path / "work").mkdir()
    sources = (tmp_path / "srv/documents", tmp_path / "srv/cadastre")
    vaults = TownWorld(tmp_path / "desk", lock_seconds=LOCK_SECONDS, sources=sources)
    vaults.create()
    return Town(vaults, tmp_path / "work")


def forget_by_date(
    borg: Borg, service: str, retention: Retention, pinned: object = (), noted: object = None
) -> Forgotten:
    """borg's own prune: by the date that a clock gave, whole or not (L1, L3)."""
    archives = borg.archives()
    gone = sorted(archives, key=lambda it: it.start_utc_seconds, reverse=True)[retention.daily :]
    names = tuple(it.name for it in gone)
    borg.delete(names) if names else None
    return Forgotten(names, tuple(it for it in archives if it.name not in names))


DEFECTS: dict[str, tuple[str, Any, tuple[Operation, ...]]] = {
    "archives are forgotten by the dates of a clock": (
        "appliance.backup.writer.forgetting.forget",
        forget_by_date,
        (RealLife.an_ordinary_time, RealLife.an_ordinary_time, RealLife.a_clock_is_off, RealLife.a_clock_is_off),
    ),
    "a partial backup counts as whole": (
        "appliance.backup.peers.counted.Safety.safe",
        property(lambda self: self.held),
        (RealLife.a_path_is_gone,),
    ),
    "a restore lacks what a partial archive lacks": (
        "appliance.cli.restore.bring.filling_of",
        lambda *_: Filling(nowhere=("/srv",)),
        (RealLife.a_path_is_gone,),
    ),
    "an empty mount point is green": (
        "appliance.backup.writer.writer.pruning_paused",
        lambda *_: "",
        (RealLife.a_mount_point_is_empty,),
    ),
    "a cut restore is found by its archive's name": (
        "appliance.cli.restore.bring.going_on",
        lambda *_, **__: None,
        (RealLife.a_restore_is_cut_and_typed_again,) * 4,
    ),
    "a disk that was put back is written to": (
        "appliance.backup.writer.writer.compare",
        lambda *_: None,
        (RealLife.an_image_is_put_back,),
    ),
}


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("defect", DEFECTS)
def test_former_defects_of_real_lives_are_found(town: Town, defect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where, former, operations = DEFECTS[defect]
    monkeypatch.setattr(where, former)
    with pytest.raises(Broken) as found:
        _play(town, defect, operations)
    print(found.value)


def _play(town: Town, seed: str, operations: tuple[Operation, ...]) -> None:
    with playing(town):
        life = RealLife(town, seed, tight=False)
        for operation in operations:
            operation(life)


def live(town: Town, seed: str) -> str:
    """A life drawn from `seed`; what happened, in words."""
    draw = random.Random(f"real lives {seed}")
    told: list[str] = []
    with ExitStack() as stack:
        stack.enter_context(playing(town))
        tight = draw.random() < 0.5 and os.geteuid() == 0
        tight = tight and stack.enter_context(small_disk(town.vaults.layout(ORIGIN).root))
        try:
            life = RealLife(town, seed, tight=tight)
            for operation in draw.choices(OPERATIONS, k=STEPS):
                told.append(operation.__name__.replace("_", " "))
                operation(life)
            told.append("the end")
            life.end()
        except BaseException as error:
            number = int(seed.split("-")[1]) + 1
            error.add_note(f"after: {', '.join(told) or 'nothing yet'}; on a small disk: {tight}")
            error.add_note(
                f'repeat it with: make soak SUITE="soak_of_real_lives and {seed}" N={number} SEED={DAY_SEED}'
            )
            raise
    return ", ".join([*told[:-1], f"{life.day} evenings"])


@pytest.mark.timeout(900)
@pytest.mark.parametrize("drawn", SAMPLED)
def test_a_life_of_the_day_keeps_every_promise(town: Town, drawn: str) -> None:
    print(live(town, drawn))


@pytest.fixture(scope="session")
def results() -> Results:
    return Results("real-life")


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("drawn", SOAKED)
def test_soak_of_real_lives(request: pytest.FixtureRequest, results: Results, drawn: str) -> None:
    if results.has(drawn):
        pytest.skip("held in an earlier part of this soak")
    started = time.monotonic()
    done = live(request.getfixturevalue("town"), drawn)
    results.held(drawn, done, time.monotonic() - started)
