"""A share that is full: its oldest history is pruned early, told and slowly, and the newest goes on coming."""

from __future__ import annotations

import copy
import os
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.agent.observe import _held as observed  # the one place where a holder's view of a service is made
from appliance.backup.chain.retention import MONTH
from appliance.backup.vault.ledger import load, save
from appliance.backup.vault.limits import Amount
from appliance.backup.vault.maintenance import early_pruning, freeze
from appliance.backup.vault.maintenance.pruning import would_go
from appliance.backup.vault.sealing.sealer_choice import sealer_of
from appliance.errors import NoSpace
from appliance.node.acts import accept_act
from appliance.units import DAY, KIB
from tests.integration.vault_worlds.history import thin_here
from tests.worlds.vaults import HOLDER, SERVICE, STANDBY, Generation, VaultWorld, assert_whole

CHANGE, SEGMENTS, EVERY_DAYS, LOCK_DAYS = 100 * KIB, 8, 7, 8


class Filling:
    """An origin whose service stays as large as it is: every seven days a segment is new and the oldest one goes."""

    def __init__(self, vaults: VaultWorld, quota_bytes: int) -> None:
        self.vaults = vaults
        vaults.size_bytes, vaults.change_bytes = SEGMENTS * CHANGE, CHANGE // EVERY_DAYS
        vaults.sign(lock_seconds=LOCK_DAYS * DAY, quota_bytes=quota_bytes)
        self.grant = vaults.grant()
        self.files: dict[str, bytes] = {}
        self.chain: list[Generation] = []

    def step(self) -> None:
        number = len(self.chain)
        self.files[f"data/0/{number}"] = os.urandom(CHANGE)
        self.files.pop(f"data/0/{number - SEGMENTS}", None)
        self.chain.append(self.vaults.seal(self.grant, self.files, self.chain[-1] if self.chain else None))
        self.vaults.put(self.chain[-1], self.grant)
        self.vaults.advance(EVERY_DAYS * DAY)

    def live(self, days: int) -> list[str]:
        """Go on for `days`, pruning after each step; the generations that were pruned early."""
        went = []
        for _ in range(0, days, EVERY_DAYS):
            self.step()
            before = early_pruning.last_early_pruned(self.vaults.holding(HOLDER))
            thin_here(self.vaults)
            after = early_pruning.last_early_pruned(self.vaults.holding(HOLDER))
            went += [after.generation] if after and after != before else []
        return went

    def held(self) -> list[str]:
        return assert_whole(self.vaults)

    def ages(self) -> list[int]:
        """Days since each held generation came."""
        last = len(self.chain)
        return [EVERY_DAYS * (last - int(name.split(".")[1]) + 1) for name in self.held()]


QUOTA = 13_000_000


@pytest.fixture(scope="module")
def pruned_once(made_desk: VaultWorld, tmp_path_factory: pytest.TempPathFactory) -> Filling:
    """A share that became full, was pruned early once, and is again at the next pass of another day."""
    filling = Filling(made_desk.copy(tmp_path_factory.mktemp("pruned-once") / "desk"), QUOTA)
    for _ in range(200):
        filling.step()
        if early_pruning.last_early_pruned(filling.vaults.holding(HOLDER)):
            return filling
        thin_here(filling.vaults)
    raise AssertionError("it never became full")


@pytest.fixture
def filling(pruned_once: Filling, tmp_path: Path) -> Filling:
    found = copy.copy(pruned_once)
    found.vaults, found.files, found.chain = (
        pruned_once.vaults.copy(tmp_path / "pruned-once"),
        dict(pruned_once.files),
        list(pruned_once.chain),
    )
    return found


def test_a_share_that_fills_is_pruned_at_its_old_end_and_never_refuses(filling: Filling) -> None:
    went = filling.live(280)
    assert went
    assert went == sorted(went), "the oldest first"
    assert filling.vaults.holding(HOLDER).used_bytes() <= 0.7 * QUOTA
    ages = filling.ages()
    assert {age for age in ages if age < LOCK_DAYS} == {7}, "all that is younger than the lock"
    months = {(len(filling.chain) * EVERY_DAYS - age) // (MONTH // DAY) for age in ages}
    assert len(months) >= 12


def test_at_the_floor_a_full_share_refuses(vaults: VaultWorld) -> None:
    """A quota that does not hold a generation of each of twelve months."""
    with pytest.raises(NoSpace, match="the quota at this peer is full"):
        Filling(vaults, QUOTA // 2).live(400)


def test_at_most_one_generation_a_day_is_pruned_early_and_the_holder_tells_it(filling: Filling) -> None:
    vaults = filling.vaults
    thin_here(vaults)
    told = early_pruning.notice(vaults.holding(HOLDER), vaults.open(HOLDER).ageing.now())
    assert told.startswith("generation 2.")
    view = observed(vaults.open(HOLDER), SERVICE, frozenset(), ours=False, thorough=True)
    assert view is not None
    assert view.early_pruned == told
    before = filling.held()
    for _ in range(23):
        vaults.advance(DAY // 24)
        thin_here(vaults)
    assert filling.held() == before


@pytest.mark.parametrize("why", ["alarm", "freeze", "hold"])
def test_nothing_is_pruned_early_while_frozen_held_or_alarmed(filling: Filling, why: str) -> None:
    vaults = filling.vaults
    before = filling.held()
    if why == "alarm":
        freeze.raise_alarm(vaults.open(HOLDER), SERVICE, "two generations contradict each other")
    else:
        accept_act(vaults.open(HOLDER), vaults.act(why, SERVICE, days=10))
    for _ in range(9):
        vaults.advance(DAY)
        thin_here(vaults)
    assert filling.held() == before


def test_a_quota_below_what_is_held_lets_nothing_go(filling: Filling) -> None:
    vaults, before = filling.vaults, early_pruning.last_early_pruned(filling.vaults.holding(HOLDER))
    vaults.sign(quota_bytes=QUOTA // 10)
    for _ in range(20):
        vaults.advance(DAY)
        thin_here(vaults)
    assert early_pruning.last_early_pruned(vaults.holding(HOLDER)) == before
    with pytest.raises(NoSpace, match=r"of a quota of 1\.24 MiB"):
        filling.step()


def test_a_cut_after_the_note_lets_no_second_one_go_on_that_day(
    filling: Filling, monkeypatch: pytest.MonkeyPatch
) -> None:
    vaults = filling.vaults
    with monkeypatch.context() as patched:
        patched.setattr(early_pruning, "note_early_pruned", _note_and_be_cut(early_pruning.note_early_pruned))
        with pytest.raises(RuntimeError):
            thin_here(vaults)
    noted = early_pruning.last_early_pruned(vaults.holding(HOLDER))
    assert noted
    thin_here(vaults)
    assert noted.generation in filling.held(), "nothing went: the cut came first"
    vaults.advance(DAY)
    thin_here(vaults)
    assert noted.generation not in filling.held()


def test_a_takeover_of_which_nothing_came_yet_prunes_nothing_early(filling: Filling) -> None:
    """Its grant comes to a vault by an exchange, before its first generation; a line may be cut for days in between."""
    vaults = filling.vaults
    replica, used = vaults.holding(HOLDER), vaults.holding(HOLDER).used_bytes()
    vaults.sign(quota_bytes=int(1.25 * used))
    book = replica.book / "ledger.json"
    save(book, replace(load(book), bases={str(max(replica.epochs())): Amount(used)}))
    before = early_pruning.last_early_pruned(replica)
    for known_epoch in (max(replica.epochs()), max(replica.epochs()) + 1):
        vaults.advance(DAY)
        thin_here(vaults)
        assert early_pruning.last_early_pruned(replica) == before
        view = observed(vaults.open(HOLDER), SERVICE, frozenset(), ours=False, thorough=True)
        assert view is not None
        assert view.ceiling_bytes is not None
        assert view.ceiling_bytes > used, "and the share is not told to be full"
        sealer_of(vaults.open(HOLDER)).keep(SERVICE, [vaults.grant(STANDBY, known_epoch=known_epoch)])


def test_asking_what_would_go_changes_nothing_after_an_ageing_clock_was_lost(filling: Filling) -> None:
    """The one who asks may not write in a vault."""
    replica = filling.vaults.holding(HOLDER)
    node = filling.vaults.open(HOLDER)
    noted = early_pruning.EarlyPruned(node.ageing.now() + DAY, filling.chain[0].name, 9 * DAY)
    early_pruning.note_early_pruned(replica, noted)
    would_go(node, SERVICE, replica)
    assert early_pruning.last_early_pruned(replica) == noted
    thin_here(filling.vaults)
    assert early_pruning.last_early_pruned(replica) == replace(noted, age_seconds=node.ageing.now())


def _note_and_be_cut(note: object) -> object:
    def cut(*args: object) -> None:
        note(*args)  # type: ignore[operator]
        raise RuntimeError("cut")

    return cut
