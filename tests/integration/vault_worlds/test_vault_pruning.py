"""Pruning removes the right generations in time, and a cut between any two of its steps loses nothing that is kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from appliance.backup.vault.maintenance import damage
from appliance.backup.vault.maintenance.damage import MISSING, Damage
from appliance.backup.vault.maintenance.pruning import Pruned
from appliance.backup.vault.store import BUCKET, HEADER, LIST, RECEIPT, Replica
from appliance.backup.vault.write_lock import write_lock
from appliance.units import DAY, HOUR
from tests.integration.vault_worlds.history import days_of, held_here, thin_here
from tests.worlds.vaults import HOLDER, ORIGIN, SERVICE, STANDBY, Generation, VaultWorld, offer


def test_nothing_younger_than_the_lock_is_touched(vaults: VaultWorld, history: list[Generation]) -> None:
    for _ in range(27):
        vaults.advance(DAY)
        assert thin_here(vaults) == Pruned(SERVICE)
    assert held_here(vaults) == [made.name for made in history]


def test_after_the_lock_the_first_and_last_of_each_day_stay(vaults: VaultWorld, history: list[Generation]) -> None:
    vaults.advance(32 * DAY)
    outcome = thin_here(vaults)
    kept = [made.name for day in range(3) for made in (history[4 * day], history[4 * day + 3])]
    assert held_here(vaults) == kept
    assert sorted(outcome.dropped) == [made.name for made in history if made.name not in kept]
    assert (outcome.files_removed, outcome.skipped) == (0, ""), "blobs wait for a later pass"


def test_headers_grants_and_receipts_stay_for_ever(vaults: VaultWorld, history: list[Generation]) -> None:
    replica = vaults.holding(HOLDER)
    papers = {(it.name, part): replica.read(it.name, part) for part in (HEADER, RECEIPT) for it in replica.stored()}
    for _ in range(5):
        vaults.advance(4000 * DAY)
        thin_here(vaults)
    assert {it: replica.read(*it) for it in papers} == papers
    assert replica.epochs() == (2,)
    assert held_here(vaults) == [history[-1].name], "the newest is never let go"


def test_blobs_go_two_days_after_the_last_list_that_named_them(vaults: VaultWorld, history: list[Generation]) -> None:
    vaults.advance(32 * DAY)
    before = len(list(vaults.holding(HOLDER).blobs()))
    dropped = len(thin_here(vaults).dropped)
    vaults.advance(2 * DAY - HOUR)
    assert thin_here(vaults).files_removed == 0
    vaults.advance(HOUR)
    outcome = thin_here(vaults)
    assert outcome.files_removed == dropped
    assert outcome.bytes_removed > 0
    assert len(list(vaults.holding(HOLDER).blobs())) == before - dropped
    assert len(held_here(vaults)) == len(history) - dropped


def test_a_blob_that_is_named_again_meanwhile_stays(vaults: VaultWorld) -> None:
    grant = vaults.grant()
    first = vaults.seal(grant, {"config": b"c", "data/0/1": b"comes back"})
    between = vaults.seal(grant, {"config": b"c", "data/0/2": b"between"}, first)
    replica = vaults.holding(HOLDER)
    vaults.put(first, grant)
    vaults.put(between)
    replica.path(first.name, LIST).unlink()
    assert thin_here(vaults).files_removed == 0
    again = vaults.seal(grant, {"config": b"c", "data/0/1": b"comes back"}, between)
    vaults.put(again)
    for _ in range(3):
        vaults.advance(5 * DAY)
        assert thin_here(vaults).files_removed == 0
    assert again.name in held_here(vaults)


def test_what_a_cut_push_sent_is_there_when_it_goes_on(vaults: VaultWorld, history: list[Generation]) -> None:
    """A first seeding over a thin line takes days; between its sessions pruning must not take away what came."""
    big = vaults.seal(vaults.grant(), {f"data/9/{n}": b"%d" % n * 7 for n in range(5)}, history[-1])
    with vaults.session(HOLDER, ORIGIN) as channel:
        offer(channel, big)
        needed = channel.read_frame()["need"]
        for digest, _ in needed[:3]:
            channel.write(big.blobs[digest])
        channel.write(big.blobs[needed[3][0]][:2])
    for _ in range(10):
        vaults.advance(2 * DAY)
        thin_here(vaults)
    with vaults.session(HOLDER, ORIGIN) as channel:
        offer(channel, big)
        assert channel.read_frame()["need"] == [[needed[3][0], 2], [needed[4][0], 0]]


def test_what_was_never_finished_goes_after_thirty_days(vaults: VaultWorld) -> None:
    grant = vaults.grant()
    made = vaults.seal(grant, {"data/9/0": b"one" * 9, "data/9/1": b"two" * 9})
    with vaults.session(HOLDER, ORIGIN) as channel:
        offer(channel, made, [grant])
        one, two = (digest for digest, _ in channel.read_frame()["need"])
        channel.write(made.blobs[one] + made.blobs[two][:2])
    replica = vaults.holding(HOLDER)
    thin_here(vaults)
    vaults.advance(30 * DAY - HOUR)
    assert thin_here(vaults).files_removed == 0
    assert replica.blob(one).exists()
    assert (replica.partial / two).exists()
    vaults.advance(HOUR)
    assert thin_here(vaults).files_removed == 2
    assert list(replica.blobs()) == list(replica.partial.iterdir()) == []


def test_a_partial_that_grew_is_young_again(vaults: VaultWorld, history: list[Generation]) -> None:
    partial = vaults.holding(HOLDER).partial / ("ab" * 32)
    partial.write_bytes(b"1")
    thin_here(vaults)
    vaults.advance(29 * DAY)
    partial.write_bytes(b"12")
    thin_here(vaults)
    vaults.advance(29 * DAY)
    thin_here(vaults)
    assert partial.exists()
    vaults.advance(2 * DAY)
    thin_here(vaults)
    assert not partial.exists()


def test_what_cuts_left_behind_goes_too(vaults: VaultWorld, history: list[Generation]) -> None:
    replica = vaults.holding(HOLDER)
    (replica.root / "rotten").mkdir()
    remains = [
        replica.book / ".ledger.json.123.new",
        replica.grants / ".00004.123.new",
        replica.generations / history[0].name / ".list.123.new",
        replica.root / "rotten" / ("cd" * 32),
    ]
    for path in remains:
        path.write_bytes(b"x")
    replica.path(history[1].name, RECEIPT).unlink()  # published but for its receipt
    thin_here(vaults)
    vaults.advance(29 * DAY)
    thin_here(vaults)
    assert all(path.exists() for path in remains)
    vaults.advance(2 * DAY)
    thin_here(vaults)
    assert not any(path.exists() for path in remains)
    assert not replica.path(history[1].name, LIST).exists()


def test_a_relayed_generation_is_sorted_by_its_age_there_and_locked_by_ours(vaults: VaultWorld) -> None:
    history = days_of(vaults, 1, per_day=4)
    replica = vaults.holding(HOLDER)
    for made in history:  # as if all had come from another holder, who has had them for a hundred days
        bucket = vaults.open(HOLDER).ageing.now() - 100 * DAY
        replica.path(made.name, BUCKET).write_text(str(bucket))
    vaults.advance(20 * DAY)
    assert thin_here(vaults).dropped == ()
    assert len(held_here(vaults)) == 4
    vaults.advance(20 * DAY)
    assert len(thin_here(vaults).dropped) > 0


@pytest.mark.parametrize("content", [b"", b"x", b"-5.5", b"99999999999999999999"])
def test_a_bucket_that_cannot_be_or_lies_ahead_counts_as_our_receipt(
    vaults: VaultWorld, history: list[Generation], content: bytes
) -> None:
    replica = vaults.holding(HOLDER)
    for made in history:
        replica.path(made.name, BUCKET).write_bytes(content)
    vaults.advance(32 * DAY)
    thin_here(vaults)
    assert len(held_here(vaults)) == 6


def test_a_receipt_that_cannot_be_read_counts_as_young(vaults: VaultWorld, history: list[Generation]) -> None:
    replica = vaults.holding(HOLDER)
    for made in history:
        path = replica.path(made.name, RECEIPT)
        path.chmod(0o600)
        path.write_bytes(b"rotten")
    vaults.advance(4000 * DAY)
    assert thin_here(vaults).dropped == ()


def test_an_ageing_clock_that_was_lost_makes_everything_young(vaults: VaultWorld, history: list[Generation]) -> None:
    vaults.advance(50 * DAY)
    vaults.layout(HOLDER).ageing.unlink()
    assert thin_here(vaults).dropped == ()
    assert len(held_here(vaults)) == len(history)


def test_a_forged_wall_clock_expires_nothing(vaults: VaultWorld, history: list[Generation]) -> None:
    vaults.clocks[HOLDER].jump_wall(4000 * DAY)
    assert thin_here(vaults).dropped == ()
    vaults.clocks[HOLDER].jump_wall(-8000 * DAY)
    vaults.advance(32 * DAY)
    assert len(thin_here(vaults).dropped) == 6


def test_the_end_of_each_branch_and_epoch_stays(vaults: VaultWorld) -> None:
    """A takeover from 2.1 leaves 2.2 as a branch; a fork leaves two 4.2; a push that was cut leaves a header ahead."""
    old, new = vaults.grant(), vaults.grant(STANDBY, known_epoch=2)
    first, branch = vaults.chain(old, 2)
    for made in (first, branch):
        vaults.put(made, old)
    opened = vaults.seal(new, {"config": b"4.1"}, first)
    sides = [vaults.seal(new, {"config": side}, opened) for side in (b"one", b"other")]
    for made in (opened, *sides):
        vaults.put(made, new, caller=STANDBY)
    ahead = vaults.seal(new, {"config": b"4.3"}, sides[1])
    with vaults.session(HOLDER, STANDBY) as channel:
        offer(channel, ahead)
        channel.read_frame()
    vaults.advance(20_000 * DAY)
    dropped = thin_here(vaults).dropped
    assert sorted(held_here(vaults)) == sorted([branch.name, *(side.name for side in sides)])
    assert set(dropped) == {first.name, opened.name}


def test_a_damaged_newest_does_not_cost_the_newest_that_is_whole(vaults: VaultWorld, history: list[Generation]) -> None:
    node, replica = vaults.open(HOLDER), vaults.holding(HOLDER)
    own = next(entry.sha256 for entry in history[-1].entries if entry.path == f"data/0/{len(history)}")
    replica.blob(own).unlink()
    damage.record(node, replica, [Damage(MISSING, own)])
    for _ in range(3):
        vaults.advance(20_000 * DAY)
        thin_here(vaults)
    assert held_here(vaults) == [history[-2].name]
    assert replica.find(history[-1].name) is not None
    assert replica.find(history[-1].name).damaged  # type: ignore[union-attr]


def test_a_list_that_is_not_its_headers_stops_the_removal_of_blobs(
    vaults: VaultWorld, history: list[Generation]
) -> None:
    replica = vaults.holding(HOLDER)
    path = replica.path(history[-1].name, LIST)
    path.chmod(0o600)
    path.write_bytes(history[0].listing)
    before = set(replica.blobs())
    for _ in range(3):
        vaults.advance(40 * DAY)
        outcome = thin_here(vaults)
        assert outcome.skipped.startswith("no blob was removed: the list of")
    assert set(replica.blobs()) == before


def test_a_session_that_runs_is_not_disturbed(vaults: VaultWorld, history: list[Generation]) -> None:
    vaults.advance(32 * DAY)
    with write_lock(vaults.holding(HOLDER), "a session"):
        assert thin_here(vaults) == Pruned(SERVICE, skipped="a session is taking a push; the next pass prunes.")
    assert len(thin_here(vaults).dropped) == 6


def test_nothing_held_is_nothing_to_do(vaults: VaultWorld) -> None:
    assert thin_here(vaults) == Pruned(SERVICE)
    assert not vaults.holding(HOLDER).root.exists()


def test_what_went_stands_in_the_journal(vaults: VaultWorld, history: list[Generation]) -> None:
    vaults.advance(32 * DAY)
    thin_here(vaults)
    (line,) = vaults.open(HOLDER).journal.events("vault-thinned")
    assert (line["service"], line["generations"]) == (SERVICE, 6)


# Cuts


class Cut(BaseException):
    """The power goes."""


@contextmanager
def cut_after(steps: int) -> Iterator[Callable[[], int]]:
    """Cut before the step after `steps` that would change a name on the disk; how many there were."""
    done = 0
    with pytest.MonkeyPatch.context() as patch:
        for name in ("rename", "unlink", "link", "mkdir", "rmdir"):
            patch.setattr(os, name, _counted(getattr(os, name), lambda: _step()))

        def _step() -> None:
            nonlocal done
            if done == steps:
                raise Cut
            done += 1

        yield lambda: done


def _counted(real: Callable[..., Any], step: Callable[[], None]) -> Callable[..., Any]:
    def call(*args: Any, **options: Any) -> Any:
        step()
        return real(*args, **options)

    return call


def test_a_cut_between_any_two_steps_loses_nothing_that_is_kept(vaults: VaultWorld, history: list[Generation]) -> None:
    vaults.advance(32 * DAY)
    kept = [made.name for day in range(3) for made in (history[4 * day], history[4 * day + 3])]
    for steps in range(10_000):
        try:
            with cut_after(steps):
                thin_here(vaults)
            break
        except Cut:
            assert set(held_here(vaults)) >= set(kept)
            vaults.advance(HOUR)
    vaults.advance(3 * DAY)
    for steps in range(10_000):
        try:
            with cut_after(steps):
                assert thin_here(vaults).skipped == ""
            break
        except Cut:
            assert held_here(vaults) == kept
    assert held_here(vaults) == kept
    assert _unnamed(vaults.holding(HOLDER)) == set()
    assert steps > 3, "there was something to cut"


def _unnamed(replica: Replica) -> set[str]:
    named = {entry.sha256 for item in replica.stored() if item.listed for entry in replica.entries(item.name)}
    return {path.name for path in replica.blobs()} - named
