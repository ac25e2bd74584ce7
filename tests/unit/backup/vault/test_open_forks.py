"""Forks among the numbers of the newest epoch are counted in one pass: a head of ten years tells them at once."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from appliance.backup.vault import give
from appliance.backup.vault.give import forks_here, open_forks
from appliance.backup.vault.store import HEADER, Replica
from appliance.backup.vault.stored import Stored


def of(epoch: int, number: int, side: str = "a") -> Stored:
    return Stored(f"{epoch:05d}.{number:010d}.{side * 16}", epoch, number, held=False)


def test_two_headers_of_one_number_of_the_newest_epoch_are_a_fork() -> None:
    stored = [of(1, 1), of(1, 1, "b"), of(2, 1), of(2, 2), of(2, 2, "b"), of(2, 3)]
    assert open_forks(stored) == ["2.2"]
    assert open_forks([]) == []


def test_forks_of_ten_years_cost_no_more_than_ten_times_those_of_one() -> None:
    """Each number was counted among all others: minutes of CPU for each head."""

    def seconds(count: int) -> float:
        stored = [of(2, number) for number in range(count)]
        started = time.process_time()
        open_forks(stored)
        return time.process_time() - started

    assert seconds(87_600) < 50 * max(seconds(8_760), 0.01)


NODE: Any = None
"""The node that asks is of no interest where no act is kept."""


@pytest.mark.parametrize(
    ("shelved", "folders", "forks"),
    [
        ([], [], ()),
        ([of(2, 1)], [of(2, 2)], ()),
        ([of(2, 1), of(2, 2)], [of(2, 2, "b"), of(2, 3)], ("2.2",)),
        ([of(2, 1), of(2, 1, "b")], [of(2, 2)], ("2.1",)),
        ([of(2, 1), of(2, 1, "b")], [of(3, 2)], ()),
        ([of(2, 1), of(2, 1, "b"), of(3, 2)], [of(2, 3)], ()),
        ([], [of(2, 4), of(2, 4, "b")], ("2.4",)),
    ],
)
def test_forks_are_found_among_folders_and_what_years_left(
    shelved: list[Stored],
    folders: list[Stored],
    forks: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(give, "passed_over", lambda node, service: frozenset())
    replica = Replica(tmp_path / "replica")
    replica.create()
    replica.history.add({it.name: {HEADER: b"{}"} for it in shelved})
    for item in folders:
        replica.path(item.name, HEADER).parent.mkdir()
        replica.path(item.name, HEADER).write_bytes(b"{}")
    (replica.generations / of(9, 1).name).mkdir()  # a cut left it empty
    assert forks_here(NODE, "documents", replica) == forks == tuple(open_forks(replica.stored()))
    monkeypatch.setattr(give, "passed_over", lambda node, service: {it.name for it in shelved})
    assert forks_here(NODE, "documents", replica) == tuple(open_forks(folders))
