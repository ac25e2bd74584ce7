"""The plain model that judges a real life: what was saved when, and where it must still be.

It knows true days and the bytes that were in the folders, never a clock of a node.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from appliance.backup.vault.stored import Stored
from appliance_lab.counters import reused
from tests.integration.life.real_town import LOCK_SECONDS, RETENTION, Content, Town
from tests.integration.life.world import Broken
from tests.worlds.vaults import SERVICE


@dataclass(frozen=True)
class Saved:
    """An archive: the true day, and what was in each of the paths; None for one that could not be read. `cut`: its run
    did not end, so that nobody may have told whether it is whole."""

    archive: str
    day: int
    content: tuple[Content | None, ...]
    cut: bool = False

    @property
    def whole(self) -> bool:
        return not self.cut and None not in self.content

    @property
    def exit_codes(self) -> tuple[int, ...]:
        """How a restore of it may end."""
        return (0, 1) if self.cut else (0 if self.whole else 1,)

    @property
    def full(self) -> bool:
        return all(self.content)


@dataclass
class Oracle:
    town: Town
    archives: list[Saved] = field(default_factory=list)
    """The archives that the writer's repository must have, oldest first."""
    sealed: dict[str, tuple[Saved, ...]] = field(default_factory=dict)
    receipts: dict[tuple[str, str], int] = field(default_factory=dict)
    """The age at which a holder signed for a generation, by the clock that nobody can set."""
    confirmed_day: int = -1
    spared: int = 0
    """How many archives may be there beyond the retention: partial ones, of a wrong clock, of a paused tidying."""

    def tidies(self, *, tight: bool) -> None:
        """A tidying was not refused, on a disk that is nearly full or not: a small one always is."""
        newest = self.archives[-1].content
        if not tight and None not in newest and not all(newest):
            raise Broken("a tidying goes on while most of the service is gone at its source")

    def forgets(self, gone: Sequence[str], *, paused: bool, pinned: str) -> None:
        """A tidying forgot `gone`."""
        left = [it for it in self.archives if it.archive not in gone]
        whole = [it for it in self.archives if it.whole]
        full = [it for it in self.archives if it.whole and it.full and it.day > self.confirmed_day]
        if unknown := set(gone) - {it.archive for it in self.archives}:
            raise Broken(f"{unknown} are forgotten, and nobody saved them")
        if self.archives and self.archives[-1] not in left:
            raise Broken("the newest archive is forgotten")
        if whole and whole[-1] not in left:
            raise Broken("the newest whole archive is forgotten")
        if full and not any(it in left for it in full):
            raise Broken("every archive with more than an empty mount point is forgotten")
        if paused and gone:
            raise Broken("a tidying forgets while most of the service is gone at its source")
        if pinned in gone:
            raise Broken("an archive is forgotten from which a restore has not ended")
        for saved in whole:
            later = {it.day for it in left if it.day >= saved.day}
            if saved not in left and saved.day not in later and len(later) < RETENTION.daily:
                raise Broken(f"{saved.archive} of day {saved.day} is forgotten; {RETENTION.daily} days are promised")
        self.archives = left

    def has(self, names: Sequence[str], *, tidied: bool) -> None:
        """The writer's repository has `names`."""
        if list(names) != [it.archive for it in self.archives]:
            raise Broken(f"the repository has {names}, not {[it.archive for it in self.archives]}")
        promised = sum(vars(RETENTION).values()) + 1 + self.spared
        if tidied and len(names) > promised:
            raise Broken(f"{len(names)} archives, where retention keeps {promised}")

    def restored(self, saved: Saved, got: Sequence[Content | None], kept: Sequence[Saved], *, filled: bool) -> None:
        """A restore of everything in `saved` brought `got` of each path; `kept` were the archives when it began."""
        before = kept[: kept.index(saved) + 1]
        for index, part in enumerate(saved.content):
            older = next((it.content[index] for it in reversed(before) if it.content[index] is not None), None)
            expected = older if part is None and filled else part
            if (got[index] or None) != (expected or None):
                raise Broken(
                    f"a restore of {saved.archive} brings {_names(got[index])} of path {index}, not {_names(expected)}"
                )

    def says(self, facts: dict[str, object], held: dict[str, list[Stored]]) -> bool:
        """Compare the status of the newest generation with what is really where; return whether it is safe."""
        if not facts["safe"]:
            return False
        names = {name for name, items in held.items() if any(self._is(it, str(facts["newest"])) for it in items)}
        if None in self.archives[-1].content:
            raise Broken("a partial backup is called safe")
        counted = facts["counted"]
        assert isinstance(counted, list)
        if len(counted) < 2 or not set(counted) <= names:
            raise Broken(f"{facts['newest']} is called safe at {counted}, and is at {sorted(names)}")
        return True

    @staticmethod
    def _is(item: Stored, number: str) -> bool:
        return f"{item.epoch}.{item.sequence}" == number and item.held

    def holds(self, name: str, held: Sequence[Stored], age: int) -> None:
        """A holder has what it signed for, as long as its lock lasts."""
        there = {it.name for it in held if it.held}
        for (holder, generation), since in self.receipts.items():
            if holder == name and age - since < LOCK_SECONDS and generation not in there:
                raise Broken(f"{name} let {generation} go, younger than the lock")

    def continues(self, base: str, offered: Sequence[str]) -> None:
        """The service goes on from `base`, where these were offered."""
        if base != max(offered):
            raise Broken(f"{base} is continued, and {max(offered)} was offered")
        self.archives = list(self.sealed[base])

    def counters(self) -> None:
        self.town.note_counters()
        if twice := reused(self.town.used):
            raise Broken(f"{len(twice)} ranges of counters of {SERVICE} were used twice")


def _names(content: Content | None) -> str:
    return "nothing" if content is None else f"{len(content)} files ({', '.join(sorted(content))})"
