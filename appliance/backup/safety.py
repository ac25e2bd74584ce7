"""Is a backup safe? Judged from the receipts of those who hold it, in distinct failure domains. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from appliance.trust.bundle import Bundle


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


def judge(
    bundle: Bundle, service: str, writer: str, holders: Iterable[str], lost: Collection[str] = frozenset()
) -> Safety:
    """How safe a generation is that `writer` made and that `holders` acknowledged with a receipt.

    The receipt of a node in `lost` counts for nothing any more: its copy went with it.
    """
    acknowledged = tuple(sorted(set(holders) - set(lost)))
    return Safety(acknowledged, bundle.counted(writer, acknowledged), bundle.terms(service).service.copies)
