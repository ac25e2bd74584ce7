"""A holding's small memory: what a writer may still bring on this day of the ageing clock, and what was used when each
epoch began.

A day allows `daily` bytes. Days without a receipt add up, so that a town that was cut off can bring what it could not:

    allowance = daily + carried - ingested

`carried` is what the days since the last receipt left, at most the daily bytes of the lock. A receipt ends it: then a
day allows `daily` again. So over any time a writer brings at most `daily` bytes for each day of it, and in one day more
than `daily` only after days on which it brought less and got no receipt.

Lost or damaged, it is rebuilt as "nothing taken today, nothing carried"; it never decides what is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from appliance.backup.vault.limits import Amount
from appliance.host.records import Record

NO_DAY = -1


@dataclass(frozen=True)
class Ledger:
    """`seeded` and `ingested`: bytes taken on `day` while nothing was held yet, and since.

    `received`: whether a receipt was signed on that day."""

    day: int = NO_DAY
    ingested: int = 0
    seeded: int = 0
    bases: Mapping[str, Amount] = field(default_factory=dict)
    carried: int = 0
    received: bool = True

    def on_day(self, day: int, daily: int, days_max: int) -> Ledger:
        """The ledger as it stands on `day`, when a day allows `daily` bytes and at most `days_max` days add up.

        An ageing clock that was lost starts at nothing, and so does a ledger that was.
        """
        if day == self.day:
            return self
        carried = self._carried(day - self.day, daily, days_max) if NO_DAY < self.day < day else 0
        return replace(self, day=day, ingested=0, seeded=0, carried=carried, received=False)

    def _carried(self, days: int, daily: int, days_max: int) -> int:
        left = 0 if self.received else max(0, daily + self.carried - self.ingested)
        return min(left + (days - 1) * daily, (days_max - 1) * daily)

    def with_receipt(self) -> Ledger:
        """Use the carried allowance first; the rest of it lapses."""
        return replace(self, ingested=max(0, self.ingested - self.carried), carried=0, received=True)

    def taken(self, seeding: bool) -> int:
        return self.seeded if seeding else self.ingested

    def with_taken(self, size: int, seeding: bool) -> Ledger:
        if seeding:
            return replace(self, seeded=self.seeded + size)
        return replace(self, ingested=self.ingested + size)

    def base_of(self, epoch: int) -> Amount:
        """Return what was used when `epoch` began; nothing when that is not known, which only lowers the ceiling."""
        return self.bases.get(str(epoch), Amount())

    def with_epoch(self, epoch: int, used: Amount) -> Ledger:
        if str(epoch) in self.bases:
            return self
        return replace(self, bases={**self.bases, str(epoch): used})


KEPT = Record(Ledger, mode=0o640)
"""On a host the agent reads it too, to tell how much room an epoch has left."""


def load(path: Path) -> Ledger:
    return KEPT.load_or(path, Ledger())


def save(path: Path, ledger: Ledger) -> None:
    KEPT.save(path, ledger)
