"""A lock is broken only when its holder is proven dead."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from appliance.borg import locks
from appliance.borg.locks import Where, clear_dead, here, holders, host_id, new_host_id, parse_holder, state_of
from appliance.borg.model import Repository
from appliance.clock import SystemClock

NOW = Where("m1", "boot2", "4026531836")
STARTED = 1000.0

CASES = [
    ("a process that is there since then", NOW, {77: STARTED + 0.5}, "alive"),
    ("a daemon that forked a little later", NOW, {77: STARTED + 30}, "alive"),
    ("no such process", NOW, {}, "dead"),
    ("its number was given to a later process", NOW, {77: STARTED + 5000}, "dead"),
    ("its number belongs to an older process", NOW, {77: STARTED - 100}, "dead"),
    ("the machine restarted since", Where("m1", "boot1", "4026531836"), {77: STARTED}, "dead"),
    ("another machine", Where("m2", "boot2", "4026531836"), {}, "unknown"),
    ("a process that hides when it was started", NOW, {77: None}, "unknown"),
    ("another container", Where("m1", "boot2", "4026999999"), {}, "unknown"),
]


@pytest.mark.parametrize(("case", "where", "started", "state"), CASES)
def test_the_proof_of_death(case: str, where: Where, started: dict[int, float | None], state: str) -> None:
    assert state_of(parse_holder(host_id(where, STARTED), 77), NOW, started) == state, case


def test_without_a_machine_id_a_restart_proves_nothing() -> None:
    holder = parse_holder(host_id(Where("", "boot1", "1"), STARTED), 77)
    assert state_of(holder, Where("", "boot2", "1"), {}) == "unknown"


def test_a_lock_of_a_borg_run_by_hand_proves_nothing() -> None:
    assert state_of(parse_holder("attichy.example@24601", 77), NOW, {}) == "unknown"


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    (tmp_path / "r").mkdir()
    (tmp_path / "base/.cache/borg/00ff").mkdir(parents=True)
    return Repository(tmp_path / "r", tmp_path / "base")


def lock(folder: Path, host: str, pid: int, *, shared: bool = False) -> None:
    """Leave in `folder` what borg does when it holds its lock."""
    (folder / "lock.roster").write_text(json.dumps({"shared" if shared else "exclusive": [[host, pid, 0]]}))
    if not shared:
        (folder / "lock.exclusive").mkdir()
        (folder / "lock.exclusive" / f"{host}.{pid}-0").touch()


def ended_process() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def left(repository: Repository) -> list[str]:
    return sorted(path.name for path in (*repository.path.rglob("*"), *repository.base.rglob("lock*")))


@pytest.mark.parametrize("shared", [False, True])
def test_the_locks_of_a_dead_process_go(repository: Repository, shared: bool) -> None:
    pid = ended_process()
    for folder in (repository.path, repository.base / ".cache/borg/00ff"):
        lock(folder, new_host_id(), pid, shared=shared)
    assert {holder.pid for holder in clear_dead(repository)} == {pid}
    assert left(repository) == []


def test_a_zombie_holds_nothing(repository: Repository) -> None:
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    lock(repository.path, new_host_id(), process.pid)
    assert len(clear_dead(repository)) == 1
    process.wait()


def test_the_lock_of_a_living_process_stays(repository: Repository) -> None:
    process = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    lock(repository.path, new_host_id(), process.pid)
    assert clear_dead(repository) == ()
    assert [state for _, state in holders(repository)] == ["alive"]
    assert "lock.exclusive" in left(repository)
    assert "lock.roster" in left(repository)
    process.communicate()


def test_a_number_given_to_another_process_frees_the_lock(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "START_WINDOW_SECONDS", 0.1)  # this machine may have started a minute ago
    long_ago = host_id(here(SystemClock()), 0.5)
    lock(repository.path, long_ago, os.getpid())
    assert len(clear_dead(repository)) == 1
    assert left(repository) == []


def test_only_the_dead_leave_the_roster(repository: Repository) -> None:
    process = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    living = [new_host_id(), process.pid, 0]
    roster = repository.path / "lock.roster"
    roster.write_text(json.dumps({"shared": [living, [new_host_id(), ended_process(), 0], ["by-hand@1", 5, 0]]}))
    assert len(clear_dead(repository)) == 1
    assert json.loads(roster.read_text()) == {"shared": [living, ["by-hand@1", 5, 0]]}
    assert left(repository) == ["lock.roster"]
    process.communicate()


def test_a_damaged_roster_is_left_to_borg(repository: Repository) -> None:
    (repository.path / "lock.roster").write_text("{")
    assert clear_dead(repository) == ()
