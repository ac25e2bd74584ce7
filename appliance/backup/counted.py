"""How many copies of a generation count, and how many were promised: what `safety.py` judges. A value only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Safety:
    """`counted` holders are in distinct failure domains, none of them the writer's; `acknowledged` are all of them."""

    acknowledged: tuple[str, ...]
    counted: tuple[str, ...]
    promised: int

    @property
    def safe(self) -> bool:
        return len(self.counted) >= self.promised

    def __str__(self) -> str:
        state = "safe" if self.safe else "not safe yet"
        return f"{state}: {len(self.counted)} of {self.promised} ({', '.join(self.counted) or 'nobody'})"
