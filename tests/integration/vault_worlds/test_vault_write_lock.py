"""One session writes at a time; a stronger one ends exactly the weaker one's process, whatever its number is now."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from appliance.backup.vault import write_lock as lock_module
from appliance.backup.vault.maintenance.pruning import prune_replica
from appliance.backup.vault.store import RECEIPT, Replica
from appliance.backup.vault.write_lock import Rank, announce, check_not_wanted, write_lock
from appliance.errors import ApplianceError, Busy
from tests.waiting import wait_until
from tests.worlds.vaults import HOLDER, ORIGIN, SERVICE, STANDBY, VaultWorld, assert_whole, offer, push

WHAT = "the vault's replica of docs-a"
# Another process that takes the lock, says its rank if it is given one, tells that it has it and waits.
OTHER = """
import sys
from pathlib import Path
from appliance.backup.vault.store import Replica
from appliance.backup.vault.write_lock import Rank, announce, write_lock
replica = Replica(Path(sys.argv[1]))
with write_lock(replica, "this"):
    if len(sys.argv) > 2:
        announce(replica, Rank(int(sys.argv[2]), sys.argv[3] == "writer"))
    print("mine", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def replica(tmp_path: Path) -> Replica:
    made = Replica(tmp_path / "docs-a")
    made.create()
    return made


@pytest.fixture
def others() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def _other(others: ExitStack, replica: Replica, *rank: str) -> subprocess.Popen[str]:
    """A process that has the lock; ended at the end of the test if it still lives."""
    process = subprocess.Popen(
        (sys.executable, "-c", OTHER, str(replica.root), *rank),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(lock_module.__file__).parents[3])},
    )

    def end() -> None:
        process.communicate()

    others.callback(end)
    assert process.stdout is not None
    assert process.stdout.readline() == "mine\n"
    return process


@pytest.mark.parametrize(
    ("holds", "comes", "ends"),
    [
        (("2", "writer"), Rank(4, True), True),
        (("2", "writer"), Rank(4, False), True),
        (("2", "relay"), Rank(2, True), True),
        (("2", "writer"), Rank(2, True), False),
        (("2", "relay"), Rank(2, False), False),
        (("4", "relay"), Rank(2, True), False),
        (("4", "writer"), Rank(4, False), False),
        ((), Rank(4, True), False),
    ],
)
def test_a_stronger_session_ends_a_weaker_one(
    others: ExitStack, replica: Replica, holds: tuple[str, ...], comes: Rank, ends: bool
) -> None:
    other = _other(others, replica, *holds)
    if ends:
        with write_lock(replica, WHAT, lambda: comes):
            assert other.wait(10) == -9
        return
    with (
        pytest.raises(Busy, match="the vault's replica of docs-a is in use by another process"),
        write_lock(replica, WHAT, lambda: comes),
    ):
        pass
    assert other.poll() is None


def test_who_has_no_rank_ends_nobody(others: ExitStack, replica: Replica) -> None:
    other = _other(others, replica, "2", "relay")
    with pytest.raises(Busy), write_lock(replica, WHAT):
        pass
    assert other.poll() is None


def test_the_rank_is_only_asked_when_somebody_has_the_lock(replica: Replica) -> None:
    def never() -> Rank:
        raise AssertionError

    with write_lock(replica, WHAT, never):
        pass


def test_a_claim_that_is_not_proven_ends_nobody(others: ExitStack, replica: Replica) -> None:
    def refuse() -> Rank:
        raise ApplianceError("not proven.")

    other = _other(others, replica, "2", "relay")
    with pytest.raises(ApplianceError, match="not proven"), write_lock(replica, WHAT, refuse):
        pass
    assert other.poll() is None


@pytest.mark.parametrize("changed", [{"started": 1}, {"pid": 2**22 + 5}, {"pid": "x"}, {"epoch": None}, {"pid": 0}])
def test_a_number_that_is_another_process_by_now_is_left_alone(
    others: ExitStack, replica: Replica, changed: dict[str, object]
) -> None:
    """The lock file names a process that started at another time: its number was given again."""
    other = _other(others, replica, "2", "writer")
    path = replica.root / "session.lock"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))
    with pytest.raises(Busy), write_lock(replica, WHAT, lambda: Rank(4, True)):
        pass
    assert other.poll() is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}"])
def test_a_lock_file_that_says_nothing_ends_nobody(others: ExitStack, replica: Replica, text: str) -> None:
    other = _other(others, replica)
    (replica.root / "session.lock").write_text(text)
    with pytest.raises(Busy), write_lock(replica, WHAT, lambda: Rank(4, True)):
        pass
    assert other.poll() is None


def test_nobody_ends_itself(replica: Replica) -> None:
    with write_lock(replica, WHAT):
        announce(replica, Rank(2, True))
        with pytest.raises(Busy), write_lock(replica, WHAT, lambda: Rank(4, True)):
            pass


def test_what_an_ended_session_said_is_not_believed_of_the_next(others: ExitStack, replica: Replica) -> None:
    with write_lock(replica, WHAT):
        announce(replica, Rank(2, True))
    assert (replica.root / "session.lock").read_text() == ""


def test_two_pushes_at_once_are_one_and_a_busy(vaults: VaultWorld) -> None:
    grant = vaults.grant()
    first, second = vaults.chain(grant, 2)
    with vaults.session(HOLDER, ORIGIN) as one:
        offer(one, first, [grant])
        one.read_frame()
        with (
            vaults.session(HOLDER, ORIGIN) as other,
            pytest.raises(Busy, match="the vault's replica of docs-a is in use"),
        ):
            push(other, second, [grant], [first])
        assert vaults.exit_code == Busy.exit_code
    vaults.put(second, grant, before=[first])
    assert assert_whole(vaults) == [second.name]


def test_a_relay_of_a_byte_at_a_time_makes_way_for_tidying_and_goes_on_later(vaults: VaultWorld) -> None:
    """Thinning and repair were busy for as long as a holder liked, and a full quota stayed full."""
    made = vaults.chain(grant := vaults.grant(), 1)[0]
    vaults.put(made, grant)
    details = {
        "receipt": vaults.holding(HOLDER).read(made.name, RECEIPT).decode(),
        "age_seconds": vaults.open(HOLDER).ageing.now(),
    }
    relayed: dict[str, Any] = {"verb": "put-relayed", "details": details}
    with vaults.session(STANDBY, HOLDER) as slow, ThreadPoolExecutor(1) as pool:
        offer(slow, made, [grant], **relayed)
        digest, _ = slow.read_frame()["need"][0]
        tidied = pool.submit(prune_replica, vaults.open(STANDBY), SERVICE)
        wait_until(lambda: is_wanted(vaults.holding(STANDBY)), "tidying waits")
        with vaults.session(STANDBY, HOLDER) as again, pytest.raises(Busy, match="this replica node is pruning now"):
            push(again, made, [grant], **relayed)
        slow.write(made.blobs[digest][:1])
        with pytest.raises(Busy, match="this replica node is pruning now"):
            slow.read_frame()
        assert tidied.result(20).skipped == ""
    with vaults.session(STANDBY, HOLDER) as later:
        assert push(later, made, [grant], **relayed)
    assert assert_whole(vaults, STANDBY) == [made.name]


def test_tidying_waits_for_no_writer(vaults: VaultWorld) -> None:
    made = vaults.chain(grant := vaults.grant(), 1)[0]
    with vaults.session(HOLDER, ORIGIN) as writer:
        offer(writer, made, [grant])
        writer.read_frame()
        assert "a session is taking a push" in prune_replica(vaults.open(HOLDER), SERVICE).skipped
        assert not is_wanted(vaults.holding(HOLDER))


def is_wanted(replica: Replica) -> bool:
    try:
        check_not_wanted(replica)
    except Busy:
        return True
    return False


def test_a_stranger_to_the_newest_epoch_cannot_end_a_session(vaults: VaultWorld) -> None:
    """The claim of a higher rank is checked like the push itself: with an old grant there is none."""
    grant = vaults.grant()
    newer = vaults.grant(STANDBY, known_epoch=2)
    first = vaults.chain(grant, 1)[0]
    vaults.put(first, grant)
    with vaults.session(HOLDER, STANDBY) as one:
        offer(one, vaults.seal(newer, {"data/0/5": b"five"}, first), [newer])
        one.read_frame()
        with vaults.session(HOLDER, ORIGIN) as other, pytest.raises(ApplianceError) as caught:
            push(other, vaults.seal(grant, {"data/0/6": b"six"}, first))
    assert "epoch 2 of docs-a ended" in caught.value.what
