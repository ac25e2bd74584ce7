"""The writer's clock is set a year back or forward between runs: order comes from sequences, nothing is lost.

The nights on which the clock changes are tables of cases: `tests/cases/schedule`.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace

import pytest

from appliance.backup.chain.chain import chain_of
from appliance.backup.peers.adopt import own_repository
from appliance.backup.peers.openable import open_best
from appliance.backup.writer import writer
from appliance.borg.client import Borg
from appliance.clock import SystemClock, utc_seconds, utc_text
from appliance.node.handle import open_node
from appliance.territory.model import Retention
from appliance.trust.bundle import Bundle, Terms
from appliance.units import DAY
from appliance_lab.checkers.tree_record import take
from tests.integration.faults.world import BLIND, BORG, ORIGIN, SERVICE, FaultWorld, put_borg

YEAR = 365 * DAY


@dataclass
class WrongClock(SystemClock):
    """The machine's wall clock off by `seconds`; no setting of it touches the time since the start."""

    seconds: float = 0.0

    def now(self) -> float:
        return super().now() + self.seconds


def run_at(world: FaultWorld, off_seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run on a machine whose clock is off, borg's included."""
    clock = WrongClock(off_seconds)
    stamp = utc_text(clock.now()).removesuffix("Z")
    script = (
        f'#!{sys.executable}\nimport os, sys\nwords = sys.argv[1:]\nif "create" in words:\n'
        f'    at = words.index("create") + 1\n    words[at:at] = ["--timestamp", {stamp!r}]\n'
        f"os.execv({BORG!r}, [{BORG!r}, *words])\n"
    )
    folder = put_borg(world.work, script)
    record = take(world.documents, as_root=False)
    with monkeypatch.context() as patched:
        patched.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        done = writer.run(open_node(world.node().layout.root, clock), SERVICE)
    assert done.safety.safe
    world.remember(done, record)


@pytest.mark.parametrize("first", [-YEAR, YEAR])
def test_a_clock_that_jumps_a_year_and_back_changes_no_order(
    world: FaultWorld, first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for off in (first, 0, -first, 0):
        world.change()
        run_at(world, off, monkeypatch)
    world.change()
    world.assert_healed()
    names = chain_of(world.node(), SERVICE).names()
    assert [int(name.split(".")[1]) for name in names] == [1, 2, 3, 4, 5, 6]
    times = [utc_seconds(chain_of(world.node(), SERVICE).header(name).time) for name in names]
    assert times != sorted(times), "the headers say what the clock said"
    world.assert_nothing_lost(extract=3)


def test_the_newest_of_a_restore_is_the_last_that_was_saved_not_the_latest_by_the_clock(
    world: FaultWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock was a year ahead for one run, then right again."""
    run_at(world, YEAR, monkeypatch)
    (world.documents / "journal.txt").write_text("le dernier état")
    run_at(world, 0, monkeypatch)
    to = world.work / "restored"
    world.territory.nodes[ORIGIN].cli("restore", "all", "--service", SERVICE, "--to", str(to))
    restored = to / str(world.documents).lstrip("/")
    assert (restored / "journal.txt").read_text() == "le dernier état"


def test_tidying_while_the_clock_is_behind_keeps_the_newest_backup(
    world: FaultWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """L1: after a blackout the clock began a year before; each evening's tidy forgot that evening's backup."""
    terms = Bundle.terms

    def with_one_day(bundle: Bundle, service: str) -> Terms:
        found = terms(bundle, service)
        return replace(found, service=replace(found.service, retention=Retention(0, 1, 0, 0, 0)))

    monkeypatch.setattr(Bundle, "terms", with_one_day)
    for off in (0, -YEAR, -YEAR + DAY):
        world.change()
        run_at(world, off, monkeypatch)
        writer.prune(world.node(), SERVICE)
        left = [item.name for item in Borg(own_repository(world.layout())).archives()]
        assert world.acknowledged[-1].archive in left


def test_tidying_with_a_wrong_clock_keeps_what_the_peers_hold(
    world: FaultWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    for off in (0, YEAR, -YEAR, 0):
        world.change()
        run_at(world, off, monkeypatch)
    writer.prune(world.node(), SERVICE)
    world.change()
    world.assert_healed()
    newest = world.acknowledged[-1]
    assert newest.archive in {item.name for item in Borg(open_best(world.node(), SERVICE).repository).archives()}
    world.assert_nothing_lost(extract=2)
    world.assert_verified(BLIND)
