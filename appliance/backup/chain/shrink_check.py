"""Has most of a service gone with its newest generation? A person who would continue it hears so before, not
afterwards.

An attacker with a node's keys cannot remove a generation, but can add one: of an emptied repository. The rule: the
newest has less than half the bytes of another generation of the same repository that somebody still holds. A repository
grows with each run, and forgetting old archives takes little of it at a time, so it hardly ever halves without a person
who meant it. All held generations are looked at, not the one before only: more small ones can be pushed behind the
first.

Signed headers give the bytes, so it costs nothing and needs no key. Archives that were forgotten but not freed, or
replaced by other bytes, show only to a person who opens the repository.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

TIMES = 2


@dataclass(frozen=True)
class BackupSize:
    """How much a generation has, by its header; `name` is its folder's, `time` what its writer's clock said, UTC."""

    name: str
    bytes: int
    files: int
    time: float


def lost_most_of_its_size(newest: BackupSize, others: Iterable[BackupSize]) -> BackupSize | None:
    """The newest of `others` beside which `newest` has lost most; None when it has not."""
    larger = {it.name: it for it in others if it.bytes > TIMES * newest.bytes}
    return larger[max(larger)] if larger else None
