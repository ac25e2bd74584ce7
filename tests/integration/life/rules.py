"""The product's pure decisions, as the model asks them; a test puts a former one back in the place of each.

An adapter only turns the model's records into the arguments of the product's function, and its answer back.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from types import SimpleNamespace
from zoneinfo import ZoneInfo

from appliance.backup.chain import retention
from appliance.backup.chain.retention import Generation
from appliance.backup.peers.targets import targets
from appliance.backup.proofs import drill
from appliance.backup.vault.limits import Amount, Limits, Usage, allowance, ceiling, check_room, day_of
from appliance.backup.vault.maintenance.act_effects import limits_by, raising
from appliance.backup.vault.maintenance.early_pruning import must_prune_early
from appliance.backup.vault.maintenance.former_replica import CheckedReceipt, given_up, successor_nodes
from appliance.backup.writer import keep
from appliance.backup.writer.filling import filling
from appliance.backup.writer.manifest import Aged, Manifest, PathManifest
from appliance.backup.writer.shrunken import Read, Sizes
from appliance.clock import utc_text
from appliance.config.build import default_quota
from appliance.config.collected import Collected
from appliance.config.confirming import Confirming, confirm, former_voters_after, unconfirmed_after
from appliance.config.remember import MARGIN_SECONDS, Next, follow, kept_until
from appliance.errors import NoSpace, Refused
from appliance.failover.handover import _check_receipts
from appliance.failover.ports import Synced
from appliance.restore.job import Job
from appliance.restore.undo import is_over
from appliance.restore.unended import needed, that_asks, that_puts_there
from appliance.territory.model import Retention, Territory
from appliance.territory.renaming import with_first_names
from appliance.trust.act import Act
from appliance.trust.bundle import Bundle, Terms
from appliance.trust.former import FormerService
from appliance.trust.former_voters import FormerVoters
from appliance.trust.generation import GenerationId
from appliance.units import DAY
from appliance.voter.grant_rules import Declines, Signs, View, decide
from tests.integration.life.restoring import Line
from tests.integration.life.world import (
    CHUNK_BYTES,
    FILES_A_CHUNK,
    HOME,
    PATHS,
    SCHEDULE,
    SERVICE,
    STANDBY,
    Content,
    Holder,
    Saved,
)
from tests.worlds.small import service

type Kept = frozenset[str]
UTC = ZoneInfo("UTC")
INGEST_DAYS = 5
"""How many days' change the bundle lets in on one (`trust/bundle.py`)."""
CACHED = 1024
"""The manifests of so many archives are made once, since they do not change."""


@dataclass(frozen=True)
class Rules:
    """`keep`: names of the archives that the writer keeps. `limits`: what a node may take of the service, by its bundle
    and by acts. `today`: bytes that a holder lets in today, before a push of so many. `fits`: whether so many fit its
    share, from the writer or handed on. `early_pruned`: what a full quota lets go. `aims`: the nodes that must hold
    what a writer makes. `successor_nodes`: who holds it in the place of a node. `gives_up`: what it gives up for that.
    `restored`: what a whole restore brings of each path. `synced`: whether a planned move may let go. `goes_on`:
    whether the next writer may continue what is offered. `job_of`: with which job a line goes on, that begins with an
    archive otherwise. `in_the_way`: which of the others it must not meet. `pinned`: the archives that they need.
    `is_over`: whether what one replaced may go. `votes`: what a broker answers who asks for an epoch. `confirms`: which
    grants of former voters the next bundle keeps good; `unconfirmed`: of which services it leaves them unknown.
    `former_voters`: whose grants stay good in it. `follows`: what follows a bundle with a plan as it is written, and
    the earlier names that it says."""

    keep: Callable[[Sequence[Saved], Retention, Collection[str]], Kept]
    thin: Callable[[Iterable[Generation], int, int, bool], Sequence[retention.Keep | retention.Drop]]
    limits: Callable[[Terms, Sequence[Act], str, float], Limits]
    today: Callable[[Holder, Limits, float, int], int]
    fits: Callable[[Holder, Limits, int, bool], bool]
    early_pruned: Callable[[Holder, Limits, float, int, int], GenerationId | None]
    aims: Callable[[Bundle, str], tuple[str, ...]]
    successor_nodes: Callable[[Bundle, str, str], tuple[str, ...]]
    gives_up: Callable[[Collection[str], Collection[str], Mapping[str, CheckedReceipt], int], set[str]]
    quota: Callable[[int, int, int, Retention], int]
    says_whole: Callable[[Saved], bool]
    restored: Callable[[Sequence[Saved], Saved], tuple[Content | None, ...]]
    measured: Callable[[Sizes, Saved], Sizes]
    synced: Callable[[Collection[str], str, str], bool]
    goes_on: Callable[[GenerationId, GenerationId], bool]
    job_of: Callable[[Sequence[Job], Line, str], Job | None]
    in_the_way: Callable[[Sequence[Job], Line, Job | None], Job | None]
    pinned: Callable[[Sequence[Job]], Collection[str]]
    is_over: Callable[[Job, float], bool]
    votes: Callable[[View], Signs | Declines]
    confirms: Callable[[Bundle, Mapping[str, Collected], Sequence[Bundle], float], Confirming]
    unconfirmed: Callable[[Bundle, Confirming, int], Mapping[str, tuple[int, ...]]]
    former_voters: Callable[[Bundle, int, str], FormerVoters | None]
    follows: Callable[[Bundle, Territory, Mapping[str, str], float], Next]
    remembered: Callable[[float, int], float]
    drilled: Callable[[Sequence[Saved]], str]
    tidy_seals: bool = True


def kept(archives: Sequence[Saved], rules: Retention, pinned: Collection[str]) -> Kept:
    found = keep.keep([_candidate(it) for it in archives], rules, pinned, UTC)
    return frozenset(it.name for it in found if isinstance(it, keep.Keep))


@lru_cache(CACHED)
def _candidate(saved: Saved) -> keep.Candidate:
    aged = Aged(int(saved.age), saved.clock, saved.boot)
    return keep.Candidate(saved.name, saved.wall, saved.whole, aged)


def let_in(holder: Holder, limits: Limits, age: float, asked: int) -> int:
    """Bytes that the holder's ledger still lets in on this day."""
    holder.book = holder.book.on_day(day_of(int(age)), limits.daily, limits.days_max)
    return min(asked, allowance(limits, _usage(holder)))


def fits(holder: Holder, limits: Limits, asked: int, relayed: bool) -> bool:
    with suppress(NoSpace):
        check_room(limits, _usage(holder), Amount(asked), relayed=relayed)
        return True
    return False


def _usage(holder: Holder) -> Usage:
    seeding, book = not holder.held, holder.book
    return Usage(Amount(holder.used), Amount(holder.base), book.taken(seeding), seeding, 2**62, None, book.carried)


def early_pruned(holder: Holder, limits: Limits, age: float, change_per_day: int, lock: int) -> GenerationId | None:
    """Return the generation that a full quota lets go, at most once a day."""
    allowed = ceiling(limits.quota, holder.base, relayed=False)
    if age - holder.early_pruned_age < DAY or not must_prune_early(limits.quota, allowed, holder.used, change_per_day):
        return None
    return next_early_pruned(holder, age, lock)


def next_early_pruned(holder: Holder, age: float, lock: int) -> GenerationId | None:
    young = {name for name, came in holder.came.items() if age - came < lock}
    found = retention.prune_early(holder.known(), int(age), lock, young)
    return found.id if found else None


@lru_cache(CACHED)
def manifest(saved: Saved) -> Manifest:
    """Return the manifest that the run of `saved` wrote."""
    parts = zip(PATHS, saved.content, strict=True)
    return Manifest(
        tuple(
            PathManifest(path, "failed", 0, 0)
            if part is None
            else PathManifest(path, "read", FILES_A_CHUNK * part.bit_count(), CHUNK_BYTES * part.bit_count())
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
    """Each path that `saved` lacks from the archive that `backup/writer/filling.py` names."""
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
    it = SimpleNamespace(plan=plan, node=SimpleNamespace(name=here), service="docs-a")
    with suppress(Refused):
        _check_receipts(it, to, Synced("", tuple(has)))
        return True
    return False


def just_that_one(required: GenerationId, offered: GenerationId) -> bool:
    return offered == required


def remembered_until(left_at: float, lock: int) -> float:
    """Until when a bundle names the service that left at `left_at`, both in seconds UTC."""
    leaves = replace(service("docs-a", HOME), lock_seconds=lock)
    return kept_until(FormerService(leaves, (), (), 1, utc_text(left_at))) + MARGIN_SECONDS


def in_the_way(others: Sequence[Job], line: Line, begun: Job | None) -> Job | None:
    """One of `others` that has not ended and is in the way of what `line` asks, which may have `begun` already."""
    return that_puts_there(others, line.paths, line.target, {}, begun=begun, is_at_work=lambda job: False)


PRODUCT = Rules(
    keep=kept,
    thin=lambda headers, age, lock, goes_on: retention.prune(headers, age, lock, goes_on=goes_on),
    limits=lambda terms, acts, here, now: limits_by(terms, raising(acts, terms, here, now), 0),
    today=let_in,
    fits=fits,
    early_pruned=early_pruned,
    aims=lambda bundle, writer: tuple(it.node for it in targets(bundle, SERVICE, writer, ())),
    successor_nodes=lambda bundle, writer, here: successor_nodes(bundle, SERVICE, here, writer=writer, lost=()),
    gives_up=given_up,
    quota=lambda size, change, lock, retention: default_quota(size, change, lock, retention, SCHEDULE),
    says_whole=said_whole,
    restored=filled,
    measured=measured,
    synced=has_what_is_let_go,
    goes_on=just_that_one,
    job_of=lambda jobs, line, archive: that_asks(jobs, line.asked, line.target, in_place=not line.folder),
    in_the_way=in_the_way,
    pinned=needed,
    is_over=lambda job, age: is_over(job, int(age)),
    votes=decide,
    confirms=lambda before, shown, earlier, now: confirm(before, shown, now=now, earlier=earlier),
    unconfirmed=unconfirmed_after,
    former_voters=former_voters_after,
    follows=lambda before, file, was, now: follow(before, with_first_names(file, was), now=now),
    remembered=remembered_until,
    drilled=lambda archives: drill.choose({it.name: manifest(it) for it in archives}, "docs-a").archive,
)
