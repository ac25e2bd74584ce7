"""kill -9 of the vault at every step of a push and after any byte: nothing half is claimed, little is resent."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from appliance.backup.vault.wire import Channel
from appliance.errors import Unreachable
from appliance.trust.grant import Grant
from appliance.units import MIB
from tests.integration.vault.child import die_after_bytes, die_at_step, vault_child
from tests.worlds.vaults import HOLDER, Generation, VaultWorld, assert_whole, head, offer

RESENT_MAX = MIB


@pytest.fixture
def vaults(made: VaultWorld, tmp_path: Path) -> VaultWorld:
    return made.copy(tmp_path / "desk")


def _push(channel: Channel, generation: Generation, grants: Sequence[Grant]) -> int:
    """Push; how many bytes of blobs were sent, also when the vault dies."""
    sent = 0
    with suppress(Unreachable):
        offer(channel, generation, grants)
        while "need" in (answer := channel.read_frame()):
            for digest, offset in answer["need"]:
                before = channel.bytes_sent
                try:
                    channel.write(generation.blobs[digest][offset:])
                finally:
                    sent += channel.bytes_sent - before
    return sent


def _pushed_again(vaults: VaultWorld, generation: Generation, grants: Sequence[Grant]) -> int:
    with vault_child(vaults) as child:
        return _push(child.channel, generation, grants)


def test_a_vault_killed_at_any_step_claims_nothing_half_and_goes_on(made: VaultWorld, tmp_path: Path) -> None:
    grant = made.grant()
    first = made.seal(grant, {"config": b"config", "data/0/0": os.urandom(300_000)})
    second = made.seal(
        grant,
        {"config": b"config", "data/0/0": first.blobs[first.entries[1].sha256], "data/0/1": os.urandom(700_000)},
        first,
    )
    size = 700_000
    began = made.copy(tmp_path / "began")
    _pushed_again(began, first, [grant])
    for step in range(10_000):
        vaults = began.copy(tmp_path / str(step))
        with vault_child(vaults, die_at_step(step)) as child:
            sent = _push(child.channel, second, [grant])
        if not child.was_killed:
            break
        assert assert_whole(vaults)[:1] == [first.name]
        again = _pushed_again(vaults, second, [grant])
        assert assert_whole(vaults) == [first.name, second.name]
        assert sent + again - size <= RESENT_MAX
        assert list(vaults.holding(HOLDER).partial.iterdir()) == []
    assert step > 30, "there were steps to be killed at"
    assert child.ended == 0


def test_a_first_push_killed_at_any_step_begins_again(made: VaultWorld, tmp_path: Path) -> None:
    grant = made.grant()
    first = made.seal(grant, {"config": b"config", "data/0/0": b"segment" * 100})
    for step in range(10_000):
        vaults = made.copy(tmp_path / str(step))
        with vault_child(vaults, die_at_step(step)) as child:
            _push(child.channel, first, [grant])
        if not child.was_killed:
            break
        _pushed_again(vaults, first, [grant])
        assert assert_whole(vaults) == [first.name]
    assert step > 40


def test_a_vault_killed_after_any_number_of_bytes_asks_for_the_rest_only(
    made: VaultWorld, tmp_path: Path, seed: int
) -> None:
    draw = random.Random(seed)
    grant = made.grant()
    data = {f"data/0/{n}": os.urandom(size) for n, size in enumerate((3 * MIB, 5, 800_000, 2 * MIB))}
    whole = made.seal(grant, data)
    size = sum(len(blob) for blob in whole.blobs.values())
    for number in range(12):
        vaults = made.copy(tmp_path / str(number))
        cut = draw.randrange(size)
        with vault_child(vaults, die_after_bytes(len(whole.listing) + 2000 + cut)) as child:
            sent = _push(child.channel, whole, [grant])
        assert child.was_killed
        assert assert_whole(vaults) == []
        again = _pushed_again(vaults, whole, [grant])
        assert assert_whole(vaults) == [whole.name]
        assert sent + again - size <= RESENT_MAX, f"cut at {cut}"


def test_many_cuts_in_a_row_still_come_to_an_end(vaults: VaultWorld, seed: int) -> None:
    draw = random.Random(seed)
    grant = vaults.grant()
    whole = vaults.seal(grant, {"data/0/0": os.urandom(6 * MIB), "data/0/1": os.urandom(MIB)})
    sent = cuts = 0
    while True:
        with vault_child(vaults, die_after_bytes(len(whole.listing) + 2000 + draw.randrange(MIB))) as child:
            sent += _push(child.channel, whole, [grant])
        if not child.was_killed:
            break
        cuts += 1
    assert cuts > 3
    assert assert_whole(vaults) == [whole.name]
    assert sent - 7 * MIB <= cuts * RESENT_MAX


def test_a_session_killed_while_it_holds_the_turn_holds_it_no_more(vaults: VaultWorld) -> None:
    grant = vaults.grant()
    whole = vaults.seal(grant, {"data/0/0": os.urandom(MIB)})
    with vault_child(vaults) as child:
        offer(child.channel, whole, [grant])
        child.channel.read_frame()
        os.kill(child.pid, 9)
    with vault_child(vaults) as child:
        assert _push(child.channel, whole, [grant]) == MIB
        assert head(child.channel)["held"] == [whole.name]
