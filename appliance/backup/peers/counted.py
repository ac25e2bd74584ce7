"""How many copies of a generation count, and how many were promised: what `safety.py` judges. A value only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Safety:
    """`counted` holders are in distinct failure domains, none of them the writer's; `acknowledged` are all of them.

    A generation that is not `whole` is never safe, however many hold it.
    """

    acknowledged: tuple[str, ...]
    counted: tuple[str, ...]
    promised: int
    whole: bool = True

    @property
    def held(self) -> bool:
        """Whether as many hold it as was promised."""
        return len(self.counted) >= self.promised

    @property
    def safe(self) -> bool:
        return self.whole and self.held

    def __str__(self) -> str:
        state = "safe" if self.safe else "not safe yet" if self.whole else "partial"
        return f"{state}: {len(self.counted)} of {self.promised} ({', '.join(self.counted) or 'none'})"
