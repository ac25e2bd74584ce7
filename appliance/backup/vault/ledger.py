"""A holding's small memory: what was taken on this day of the ageing clock, what was used when each epoch began.

Lost or damaged, it is rebuilt as "nothing taken today"; it never decides what is kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from appliance.backup.vault.limits import Amount
from appliance.host.files import write_atomic


@dataclass(frozen=True)
class Ledger:
    """`seeded` and `ingested`: bytes taken on `day` while nothing was held yet, and since."""

    day: int = 0
    ingested: int = 0
    seeded: int = 0
    bases: Mapping[str, Amount] = field(default_factory=dict)

    def on_day(self, day: int) -> Ledger:
        """The ledger as it stands on `day`: another day starts at nothing, and so does a lost ageing clock."""
        return self if day == self.day else replace(self, day=day, ingested=0, seeded=0)

    def taken(self, seeding: bool) -> int:
        return self.seeded if seeding else self.ingested

    def with_taken(self, size: int, seeding: bool) -> Ledger:
        if seeding:
            return replace(self, seeded=self.seeded + size)
        return replace(self, ingested=self.ingested + size)

    def base_of(self, epoch: int) -> Amount:
        """What was used when `epoch` began; nothing when that is not known, which only lowers the ceiling."""
        return self.bases.get(str(epoch), Amount())

    def with_epoch(self, epoch: int, used: Amount) -> Ledger:
        if str(epoch) in self.bases:
            return self
        return replace(self, bases={**self.bases, str(epoch): used})


def load(path: Path) -> Ledger:
    try:
        return _read(json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return Ledger()


def _read(fields: Mapping[str, Any]) -> Ledger:
    bases = {
        str(epoch): Amount(**{name: int(value) for name, value in base.items()})
        for epoch, base in fields["bases"].items()
    }
    return Ledger(int(fields["day"]), int(fields["ingested"]), int(fields["seeded"]), bases)


def save(path: Path, ledger: Ledger) -> None:
    """On a host the agent reads it too, to tell how much room an epoch has left."""
    write_atomic(path, json.dumps(asdict(ledger)).encode(), mode=0o640)
