"""The product's pure decisions, as the model asks them; a test puts a former one back in the place of each.

An adapter only turns the model's records into the arguments of the product's function, and its answer back.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import SimpleNamespace
from zoneinfo import ZoneInfo

from appliance.backup import keep, retention
from appliance.backup.filling import filling
from appliance.backup.manifest import Aged, Manifest, PathManifest
from appliance.backup.retention import Generation
from appliance.backup.shrunken import Read, Sizes
from appliance.backup.vault.bending import room_of
from appliance.backup.vault.limits import Amount, Limits, Usage, allowance, ceiling, day_of
from appliance.config.build import default_quota
from appliance.errors import Refused
from appliance.failover.giving_up import _check_receipts
from appliance.failover.ports import Synced
from appliance.territory.model import Retention
from appliance.trust.generation import GenerationId
from appliance.units import DAY
from tests.integration.life.world import (
    CHUNK_BYTES,
    FILES_A_CHUNK,
    HOME,
    PATHS,
    SCHEDULE,
    STANDBY,
    Content,
    Holder,
    Saved,
)

type Kept = frozenset[str]
UTC = ZoneInfo("UTC")
INGEST_DAYS = 5
"""How many days' change the bundle lets in on one (`trust/bundle.py`)."""


@dataclass(frozen=True)
class Rules:
    """`keep`: names of the archives that the writer keeps. `today`: bytes that a holder lets in today, before a push of
    so many. `free`: bytes of its share that are left. `bends`: what a
    full share lets go. `restored`: what a whole restore brings of each path. `synced`:
    whether a planned move may let go. `goes_on`: whether the next writer may continue what is offered. `job_archive`:
    from which archive a restore goes on that was cut."""

    keep: Callable[[Sequence[Saved], Retention, Collection[str]], Kept]
    thin: Callable[[Iterable[Generation], int, int], Sequence[retention.Keep | retention.Drop]]
    today: Callable[[Holder, float, int, int, int], int]
    free: Callable[[Holder], int]
    bends: Callable[[Holder, float, int, int], GenerationId | None]
    quota: Callable[[int, int, int, Retention], int]
    says_whole: Callable[[Saved], bool]
    restored: Callable[[Sequence[Saved], Saved], tuple[Content | None, ...]]
    measured: Callable[[Sizes, Saved], Sizes]
    synced: Callable[[Collection[str], str, str], bool]
    goes_on: Callable[[GenerationId, GenerationId], bool]
    job_archive: Callable[[str, Saved, Sequence[Saved]], Saved | None]
    tidy_seals: bool = True


def kept(archives: Sequence[Saved], rules: Retention, pinned: Collection[str]) -> Kept:
    found = keep.keep([_candidate(it) for it in archives], rules, pinned, UTC)
    return frozenset(it.name for it in found if isinstance(it, keep.Keep))


def _candidate(saved: Saved) -> keep.Candidate:
    aged = Aged(int(saved.age), saved.clock, saved.boot)
    return keep.Candidate(saved.name, saved.wall, saved.whole, aged)


def let_in(holder: Holder, age: float, change_per_day: int, lock: int, asked: int) -> int:
    """Bytes that the holder's ledger still lets in on this day."""
    daily, days_max = INGEST_DAYS * change_per_day, lock // int(DAY)
    holder.book = holder.book.on_day(day_of(int(age)), daily, days_max)
    limits = Limits(holder.quota, daily, 10 * holder.quota, 0, days_max)
    seeding = not holder.held
    usage = Usage(Amount(holder.used), Amount(), holder.book.taken(seeding), seeding, 2**62, None, holder.book.carried)
    return min(asked, allowance(limits, usage))


def left(holder: Holder) -> int:
    return int(ceiling(holder.quota, holder.base, relayed=False)) - holder.used


def bent(holder: Holder, age: float, change_per_day: int, lock: int) -> GenerationId | None:
    """What a full share lets go, at most once a day."""
    allowed = ceiling(holder.quota, holder.base, relayed=False)
    if age - holder.bent_age < DAY or not room_of(allowed, change_per_day) < holder.used <= holder.quota:
        return None
    found = retention.bend(holder.headers.values(), int(age), lock)
    return found.id if found else None


def manifest(saved: Saved) -> Manifest:
    """What the run of `saved` wrote about itself."""
    parts = zip(PATHS, saved.content, strict=True)
    return Manifest(
        tuple(
            PathManifest(path, "failed", 0, 0)
            if part is None
            else PathManifest(path, "read", FILES_A_CHUNK * len(part), CHUNK_BYTES * len(part))
            for path, part in parts
        )
    )


def said_whole(saved: Saved) -> bool:
    return manifest(saved).whole


def measured(sizes: Sizes, saved: Saved) -> Sizes:
    return sizes.with_run(_read(saved))


def _read(saved: Saved) -> Read:
    paths = {it.path: (it.files, it.bytes) for it in manifest(saved).paths if it.state == "read"}
    return Read(saved.name, int(saved.age), saved.whole, paths)


def filled(archives: Sequence[Saved], saved: Saved) -> tuple[Content | None, ...]:
    """Each path that `saved` lacks from the archive that `backup/filling.py` names."""
    by_name = {it.name: it for it in archives}

    def present(archive: str, names: Sequence[str]) -> list[str]:
        content = by_name[archive].content
        return [name for name in names if content[PATHS.index(f"/{name}")] is not None]

    found = filling({it.name: manifest(it) for it in archives}, saved.name, present)
    content = list(saved.content)
    for fill in found.fills:
        index = PATHS.index(f"/{fill.path}")
        content[index] = by_name[fill.archive].content[index]
    return tuple(content)


def has_what_is_let_go(has: Collection[str], here: str, to: str) -> bool:
    plan = SimpleNamespace(node=HOME, standbys=(STANDBY,))
    it = SimpleNamespace(plan=plan, site=SimpleNamespace(name=here), service="docs-a")
    with suppress(Refused):
        _check_receipts(it, to, Synced("", tuple(has)))
        return True
    return False


def just_that_one(required: GenerationId, offered: GenerationId) -> bool:
    return offered == required


def its_own_archive(asked: str, archive: Saved, archives: Sequence[Saved]) -> Saved | None:
    return archive if archive in archives else None


PRODUCT = Rules(
    keep=kept,
    thin=lambda headers, age, lock: retention.thin(headers, age, lock),
    today=let_in,
    free=left,
    bends=bent,
    quota=lambda size, change, lock, retention: default_quota(size, change, lock, retention, SCHEDULE),
    says_whole=said_whole,
    restored=filled,
    measured=measured,
    synced=has_what_is_let_go,
    goes_on=just_that_one,
    job_archive=its_own_archive,
)
