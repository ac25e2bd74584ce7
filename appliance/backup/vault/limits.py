"""What a holder lets one service take: pure decisions over what is used, asked and free. Full means refuse, never evict.

Somebody with all of an origin's credentials can at most fill its share. Part of it stays for the next epoch, so that the
replacement of a ransomed node still finds room:

    ceiling(epoch) = base + 0.7 * (quota - base), base = bytes held when this epoch began
"""

from __future__ import annotations

from dataclasses import dataclass

from appliance.errors import NoSpace
from appliance.units import DAY, format_bytes

CURRENT_EPOCH_SHARE = 0.7
HEADERS_PER_PUSH_MAX = 20_000
HEADERS_MAX = 200_000


@dataclass(frozen=True)
class Limits:
    """Declared in the signed bundle, in bytes. `seed` is the first seeding, declared apart from the `daily` ingest."""

    quota: int
    daily: int
    seed: int
    free_floor: int


@dataclass(frozen=True)
class Usage:
    """What is known before the first byte of a push is taken; bytes, `day` counted by the ageing clock."""

    used: int
    used_when_epoch_began: int
    ingested_today: int
    held_generations: int
    headers: int
    disk_free: int


def check_room(limits: Limits, usage: Usage, incoming: int) -> None:
    """Raise NoSpace, with what is missing and who can act, unless `incoming` more bytes fit every limit."""
    ceiling = usage.used_when_epoch_began + CURRENT_EPOCH_SHARE * (limits.quota - usage.used_when_epoch_began)
    if usage.used + incoming > ceiling:
        raise NoSpace(
            f"the share at this peer is full: {format_bytes(usage.used)} used, {format_bytes(incoming)} asked, "
            f"{format_bytes(ceiling)} allowed in this epoch of a quota of {format_bytes(limits.quota)}.",
            remedy="Raise quota in territory.yml and sign a new bundle; nothing that is held is removed.",
        )
    allowance = limits.daily if usage.held_generations else max(limits.seed, limits.daily)
    if usage.ingested_today + incoming > allowance:
        raise NoSpace(
            f"{format_bytes(usage.ingested_today + incoming)} in one day is more than the {format_bytes(allowance)} expected.",
            remedy="If this is wanted, raise change_per_day in territory.yml; if not, look for ransomware at the origin.",
        )
    if usage.disk_free - incoming < limits.free_floor:
        raise NoSpace(
            f"the peer's disk has {format_bytes(usage.disk_free)} free and keeps {format_bytes(limits.free_floor)} "
            "for its own services.",
            remedy="Add a disk at the peer or move a service away (`appliance territory plan`).",
        )


def check_headers(usage: Usage, incoming: int) -> None:
    """Raise NoSpace when a push brings more headers than any honest history has."""
    if incoming > HEADERS_PER_PUSH_MAX or usage.headers + incoming > HEADERS_MAX:
        raise NoSpace(f"{incoming} headers in one push are more than this peer takes.", remedy="Push again in parts.")


def day_of(age_seconds: int) -> int:
    """The day of the ageing clock that the ingest cap counts in."""
    return age_seconds // int(DAY)
