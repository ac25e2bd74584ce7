"""When a quota is full, and what it let go before its time for that (`retention.prune_early` decides what that is).

It is full where 100 days of the declared change, or a tenth of what the epoch may fill, are no longer free. That is so
early because the first ones free nothing: generations of one year hold much the same archives, and one a day goes. Each
generation is written down before it goes, so that no cut makes two of one day. A quota that was set below what is held
prunes nothing early: that may be a mistake in a file, and what went would not come back.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from appliance.backup.vault import ledger
from appliance.backup.vault.limits import Amount, ceiling
from appliance.backup.vault.maintenance.act_effects import quota_bytes
from appliance.backup.vault.maintenance.leftovers import unreferenced_blobs
from appliance.backup.vault.store import NAME_BYTES, Replica, size_of
from appliance.host.records import Record
from appliance.node.handle import Node
from appliance.trust.bundle import Terms
from appliance.units import DAY, MIB, format_duration

HEADROOM_DAYS, HEADROOM_SHARE = 100, 0.1
SHORT_SHARE = 0.5
"""Early pruning holds the free room above this part of what it keeps free, even at twice the declared change; with
less, the quota will not last."""
CHANGE_MIN = 16 * MIB
"""The least change of a day: a run with hardly a change still writes a segment, a list and documents."""
NOTICE_SECONDS = 30 * DAY
"""For how long the notice of an early pruning is shown."""


@dataclass(frozen=True)
class EarlyPruned:
    """A generation that was let go before its time, at `age_seconds` of the ageing clock, and how old it was then."""

    age_seconds: int
    generation: str
    was_seconds: int


EARLY_PRUNED = Record(EarlyPruned, mode=0o640)
"""On a host the agent reads it too, to tell it."""


def room_of(allowed: float, change_per_day: int) -> float:
    """Bytes of the `allowed` ones from which on a quota is full."""
    return allowed - _headroom(allowed, change_per_day)


def must_prune_early(quota: int, allowed: float, used: int, change_per_day: int) -> bool:
    """Whether the `quota` with `used` bytes is full; not one that was set below what is held."""
    return room_of(allowed, change_per_day) < used <= quota


def short_bytes(terms: Terms, allowed: float) -> int:
    """`short_from` for the service of `terms`."""
    return int(short_from(allowed, _change(terms)))


def short_from(allowed: float, change_per_day: int) -> float:
    """Bytes of the `allowed` ones from which on early pruning does not keep up: soon the vault refuses."""
    return allowed - SHORT_SHARE * _headroom(allowed, change_per_day)


def _headroom(allowed: float, change_per_day: int) -> float:
    return min(HEADROOM_DAYS * change_per_day, HEADROOM_SHARE * allowed)


def _change(terms: Terms) -> int:
    return max(CHANGE_MIN, terms.service.change_bytes_per_day)


def is_full(
    node: Node, service: str, replica: Replica, referenced: Callable[[], Collection[str]], *, unfinished: bool
) -> bool:
    """Whether the quota must be pruned early: `referenced` gives the blobs that the remaining lists name, which reads
    every list. A blob that no list names goes by itself soon, unless a push is unfinished, which may need it."""
    terms = node.bundle.terms(service)
    quota, used = quota_bytes(node, terms), replica.used_bytes()
    allowed = allowed_now(replica, quota, used)
    if used > room_of(allowed, _change(terms)) and not unfinished:
        used -= sum(max(NAME_BYTES, size_of(path) or 0) for path in unreferenced_blobs(replica, referenced()))
    return must_prune_early(quota, allowed, used, _change(terms))


def allowed_now(replica: Replica, quota: int, used: int) -> float:
    """The bytes that the newest epoch may fill: less than the quota, so that the next writer finds room. An epoch of
    which nothing came yet begins with what is `used`."""
    epoch, book = max(replica.epochs(), default=0), ledger.load(replica.book / "ledger.json")
    return ceiling(quota, book.with_epoch(epoch, Amount(used)).base_of(epoch).bytes, relayed=False)


def last_early_pruned(replica: Replica) -> EarlyPruned | None:
    """Return what was let go last; None when nothing was, or it cannot be read."""
    return EARLY_PRUNED.load_or(replica.root / "bent", None)


def note_early_pruned(replica: Replica, pruned: EarlyPruned) -> None:
    EARLY_PRUNED.save(replica.root / "bent", pruned)


def pruned_within(replica: Replica, now_age_seconds: int, seconds: int) -> bool:
    """Whether something was let go less than `seconds` ago."""
    last = last_early_pruned(replica)
    return last is not None and now_age_seconds - last.age_seconds < seconds


def settle(replica: Replica, now_age_seconds: int) -> None:
    """After an ageing clock that was lost, what was let go last went just now."""
    last = last_early_pruned(replica)
    if last and last.age_seconds > now_age_seconds:
        note_early_pruned(replica, EarlyPruned(now_age_seconds, last.generation, last.was_seconds))


def notice(replica: Replica, now_age_seconds: int) -> str:
    """Return what the vault let go of late before its time; "" when nothing."""
    last = last_early_pruned(replica)
    if last is None or now_age_seconds - last.age_seconds >= NOTICE_SECONDS:
        return ""
    epoch, sequence, _ = last.generation.split(".")
    return f"generation {int(epoch)}.{int(sequence)} was removed when it was {format_duration(last.was_seconds)} old"
