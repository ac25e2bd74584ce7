"""A look for the newest generation held costs the same after ten years of hourly backups, and misses nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.backup.vault import store
from appliance.backup.vault.latest import Latest
from appliance.backup.vault.store import DAMAGED, HEADER, LIST, RECEIPT, Replica

TEN_YEARS_HOURLY = 87_600


def name(number: int) -> str:
    return f"00002.{number:010d}.{number:016x}"


def make(replica: Replica, number: int, *parts: str) -> None:
    folder = replica.generations / name(number)
    folder.mkdir(parents=True, exist_ok=True)
    for part in parts:
        (folder / part).touch()


def thinned(replica: Replica, count: int) -> None:
    """`count` generations that retention let go, by calls as cheap as a test may make them."""
    replica.generations.mkdir(parents=True)
    one = replica.root / "one"
    one.touch()
    for number in range(1, count + 1):
        folder = f"{replica.generations}/{name(number)}"
        os.mkdir(folder)
        os.symlink(one, f"{folder}/{RECEIPT}")


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> Callable[[Replica], None]:
    """Makes what is in a holding old: what changed within the last second is read again at each look."""

    def old(replica: Replica) -> None:
        then = time.time() - 3600
        folders = [
            replica.generations,
            *(replica.generations / it for it in sorted(os.listdir(replica.generations))[-9:]),
        ]
        for folder in folders:
            os.utime(folder, (then, then))

    return old


def calls(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> int:
    """How often `act` lists a folder or asks for a status, and the names that it is given."""
    count = 0

    def counted[**P, T](call: Callable[P, T]) -> Callable[P, T]:
        def counting(*args: P.args, **kwargs: P.kwargs) -> T:
            nonlocal count
            found = call(*args, **kwargs)
            count += 1 + (len(found) if isinstance(found, list) else 0)
            return found

        return counting

    with monkeypatch.context() as patched:
        for call in ("listdir", "stat", "lstat", "scandir", "open"):
            patched.setattr(os, call, counted(getattr(os, call)))
        act()
    return count


@pytest.mark.long
def test_a_look_after_ten_years_of_hourly_backups_costs_two_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settled: Callable[[Replica], None]
) -> None:
    replica = Replica(tmp_path / "service")
    thinned(replica, TEN_YEARS_HOURLY)
    make(replica, TEN_YEARS_HOURLY + 1, HEADER, LIST, RECEIPT)
    settled(replica)
    latest = Latest(replica)
    first = latest.look()
    assert first
    assert first.name == name(TEN_YEARS_HOURLY + 1)
    assert calls(monkeypatch, latest.look) == 2


def test_the_newest_held_is_found_without_reading_older_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short, long = Replica(tmp_path / "short"), Replica(tmp_path / "long")
    for replica, count in ((short, 10), (long, 1000)):
        thinned(replica, count)
        make(replica, count + 1, HEADER, LIST, RECEIPT)
    read: list[str] = []
    monkeypatch.setattr(store.Replica, "_stored", _noting(store.Replica._stored, read))
    assert short.newest_held()
    assert long.newest_held()
    assert read == [name(11), name(1001)]


def _noting[T](call: Callable[[Replica, str], T], read: list[str]) -> Callable[[Replica, str], T]:
    def noting(replica: Replica, name: str) -> T:
        read.append(name)
        return call(replica, name)

    return noting


def test_every_change_that_matters_is_seen_at_the_next_look(tmp_path: Path, settled: Callable[[Replica], None]) -> None:
    replica = Replica(tmp_path / "service")
    latest = Latest(replica)

    def look() -> str:
        settled(replica) if replica.generations.exists() else None
        found = latest.look()
        return found.name if found else ""

    assert look() == ""
    make(replica, 1, HEADER, LIST, RECEIPT)
    assert look() == name(1)
    make(replica, 2, HEADER)
    make(replica, 3, HEADER)
    assert look() == name(1), "only headers of the newer ones came"
    make(replica, 2, LIST, RECEIPT)
    assert latest.look() == replica.find(name(2)), "it became held without a new folder"
    make(replica, 2, DAMAGED)
    assert latest.look() == replica.find(name(1))
    (replica.generations / name(2) / DAMAGED).unlink()
    assert latest.look() == replica.find(name(2))


@pytest.mark.long
def test_a_holding_with_ten_years_in_its_history_is_read_by_its_index_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = []
    for count in (1000, TEN_YEARS_HOURLY):
        replica = Replica(tmp_path / str(count))
        replica.create()
        replica.history.add({name(number): {HEADER: b"{}", RECEIPT: b"r"} for number in range(1, count + 1)})
        make(replica, count + 1, HEADER, LIST, RECEIPT)
        read = Replica(replica.root)
        counts.append(calls(monkeypatch, read.stored))
        assert (len(read.stored()), [it.name for it in read.stored() if it.held]) == (count + 1, [name(count + 1)])
    short, long = counts
    files = TEN_YEARS_HOURLY // 1000
    assert long - short <= 4 * files, "what is asked of the system grows with the files, not with the generations"


def test_what_is_held_or_damaged_is_listed_without_reading_the_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica = Replica(tmp_path / "service")
    replica.create()
    replica.history.add({name(number): {HEADER: b"{}", RECEIPT: b"r"} for number in range(1, 1001)})
    make(replica, 1001, HEADER, LIST, RECEIPT)
    make(replica, 1002, HEADER, LIST, RECEIPT, DAMAGED)
    make(replica, 1003, HEADER)
    make(replica, 1004, HEADER, RECEIPT)
    expected = tuple(item for item in replica.stored() if item.listed)
    monkeypatch.setattr(store.History, "_index_of", lambda history, file: pytest.fail(f"the index of {file} was read"))
    found = Replica(replica.root).listed()
    assert found == expected
    assert [(item.name, item.held) for item in found] == [(name(1001), True), (name(1002), False)]


def test_a_damaged_generation_whose_header_is_only_in_the_history_is_listed(tmp_path: Path) -> None:
    replica = Replica(tmp_path / "service")
    replica.create()
    replica.history.add({name(1): {HEADER: b"{}"}})
    make(replica, 1, LIST, RECEIPT)
    assert replica.listed() == replica.stored()
    assert [item.held for item in replica.listed()] == [True]
