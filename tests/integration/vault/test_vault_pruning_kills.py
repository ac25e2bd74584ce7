"""kill -9 of pruning at every step: what is kept stays whole, and a later pass ends what this one began."""

from __future__ import annotations

import signal
from pathlib import Path

from appliance.backup.vault.header_parts import previous_by_name
from appliance.backup.vault.maintenance.leftovers import remains, unreferenced_blobs
from appliance.backup.vault.maintenance.pruning import REMAINS_SECONDS, prune_replica
from appliance.trust.generation import NO_PARENT
from appliance.units import DAY, HOUR
from tests.integration.vault.child import die_at_step, wait_status_of
from tests.integration.vault_worlds.history import days_of
from tests.worlds.vaults import HOLDER, ORIGIN, SERVICE, STANDBY, VaultWorld, ask, assert_whole

LET_GO = 3


def lived(root: Path) -> tuple[VaultWorld, list[str]]:
    """A desk whose holder may let go of all but the ends of a day, and the names of those two."""
    vaults = VaultWorld(root).create()
    history = days_of(vaults, 1, per_day=2 + LET_GO)
    vaults.advance(32 * DAY)
    return vaults, [history[0].name, history[-1].name]


def thin_until_killed(vaults: VaultWorld, step: int) -> bool:
    """Thin in a process that dies before its step number `step`; False when it had fewer."""

    def thin() -> None:
        die_at_step(step)()
        prune_replica(vaults.open(HOLDER), SERVICE)

    ended = wait_status_of(thin)
    assert ended in (0, signal.SIGKILL)
    return ended != 0


def thin_to_the_end(vaults: VaultWorld) -> None:
    """The passes of the next month: the lists go in the first, their blobs two days later, what a cut left at last."""
    for seconds in (HOUR, 2 * DAY, REMAINS_SECONDS):
        vaults.advance(seconds)
        assert prune_replica(vaults.open(HOLDER), SERVICE).skipped == ""


def assert_only(vaults: VaultWorld, kept: list[str]) -> None:
    """`kept` is all that is held, and nothing else takes room."""
    assert assert_whole(vaults) == kept
    replica = vaults.holding(HOLDER)
    named = {entry.sha256 for name in kept for entry in replica.entries(name)}
    assert {path.name for path in replica.blobs()} == named
    assert (list(unreferenced_blobs(replica, named)), list(remains(replica))) == ([], [])


def sweep(began: VaultWorld, kept: list[str], tmp_path: Path) -> tuple[list[int], list[int]]:
    """Kill one pass before each of its steps, each in a copy of `began`; how many generations were held and how many
    blobs there were after each kill."""
    held: list[int] = []
    blobs: list[int] = []
    for step in range(10_000):
        vaults = began.copy(tmp_path / str(step))
        if not thin_until_killed(vaults, step):
            break
        names = assert_whole(vaults)
        assert set(kept) <= set(names)
        held.append(len(names))
        blobs.append(len(list(vaults.holding(HOLDER).blobs())))
        thin_to_the_end(vaults)
        assert_only(vaults, kept)
    return held, blobs


def from_all_to_none(kept: int) -> set[int]:
    """The counts when a kill came before the first, between any two and after the last of what goes."""
    return set(range(kept, kept + LET_GO + 1))


def test_killed_at_any_step_of_letting_generations_go_it_loses_nothing_that_is_kept(tmp_path: Path) -> None:
    began, kept = lived(tmp_path / "began")
    held, _ = sweep(began, kept, tmp_path)
    assert set(held) == from_all_to_none(len(kept))
    assert len(held) > 20


def test_killed_at_any_step_of_removing_files_it_loses_nothing_that_is_kept(tmp_path: Path) -> None:
    began, kept = lived(tmp_path / "began")
    assert len(prune_replica(began.open(HOLDER), SERVICE).dropped) == LET_GO
    began.advance(2 * DAY)
    before = len(list(began.holding(HOLDER).blobs()))
    held, blobs = sweep(began, kept, tmp_path)
    assert set(held) == {len(kept)}
    assert set(blobs) == from_all_to_none(before - LET_GO)


HEADERS_ONLY = 40


def test_killed_at_any_step_of_forgetting_headers_none_loses_the_one_before_it(tmp_path: Path) -> None:
    """Some lie in the history already, some have folders still."""
    began = VaultWorld(tmp_path / "began").create()
    grant = began.grant()
    [held] = began.chain(grant, 1)
    began.put(held, grant)
    padding = began.chain(grant, HEADERS_ONLY, held)
    for part in (padding[:30], padding[30:]):
        with began.session(HOLDER, ORIGIN) as channel:
            ask(channel, "put", grants=[], headers=[it.text for it in part], list_bytes=0)
            assert channel.read_frame() == {"kept": len(part)}
    newer = began.grant(STANDBY, known_epoch=grant.epoch)
    began.put(began.seal(newer, {"config": b"next"}, held), newer, caller=STANDBY)
    began.advance(32 * DAY)
    counts = []
    for step in range(10_000):
        vaults = began.copy(tmp_path / str(step))
        if not thin_until_killed(vaults, step):
            break
        previous = previous_by_name(vaults.holding(HOLDER))
        known = {NO_PARENT[:16], *(name[-16:] for name, before in previous.items() if before)}
        assert {before for before in previous.values() if before} <= known, step
        assert len(assert_whole(vaults)) == 2
        counts.append(len(vaults.holding(HOLDER).stored()))
        prune_replica(vaults.open(HOLDER), SERVICE)
        assert vaults.holding(HOLDER).count() == 2
    assert {2, 2 + HEADERS_ONLY} <= set(counts)
    assert len(counts) > 20
