"""A holding's small memory: bytes taken per day of the ageing clock, bytes held when each epoch began, freezes.

Lost or damaged, it is rebuilt as "nothing taken today"; it never decides what is kept.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from appliance.host.files import write_atomic


@dataclass(frozen=True)
class Ledger:
    day: int = 0
    ingested: int = 0
    epoch_bases: dict[str, int] = field(default_factory=dict)

    def on_day(self, day: int) -> Ledger:
        """The ledger as it stands on `day`: a new day starts at nothing."""
        return self if day <= self.day else replace(self, day=day, ingested=0)

    def with_ingested(self, size: int) -> Ledger:
        return replace(self, ingested=self.ingested + size)

    def base_of(self, epoch: int) -> int:
        """Bytes held when `epoch` began; 0 when it is not known, which only lowers the ceiling."""
        return self.epoch_bases.get(str(epoch), 0)

    def with_epoch(self, epoch: int, used: int) -> Ledger:
        if str(epoch) in self.epoch_bases:
            return self
        return replace(self, epoch_bases={**self.epoch_bases, str(epoch): used})


def load(path: Path) -> Ledger:
    try:
        return Ledger(**json.loads(path.read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return Ledger()


def save(path: Path, ledger: Ledger) -> None:
    write_atomic(path, json.dumps(asdict(ledger)).encode(), mode=0o600)
