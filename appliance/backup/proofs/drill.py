"""A restore drill: bring files of the newest archive back for real, compare them with what was saved, delete them.

It proves of each file: that it comes out of the archive with its kind, size, time and mode; that its content on the
disk is what borg reads from the archive on a second way, which writes no file; and of a database, that its own tools
can read the dump, and every four weeks that a PostgreSQL here can be filled from it (`rehearsal.py`). borg
authenticates every byte with the service's key, so that content is what the origin read. It does not prove that this
was what people meant to save. The sample is drawn from a seed, so a drill can be repeated.
"""

from __future__ import annotations

import hashlib
import heapq
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from appliance import typed
from appliance.backup.peers.openable import OpenedSource
from appliance.backup.proofs.compare import compare_contents, compare_items, read_dumps
from appliance.backup.proofs.proofs import ROOM, Drilled, Proofs, load_proofs, proving, save_proofs
from appliance.backup.proofs.rehearsal import Rehearsed, untried
from appliance.backup.writer.manifest import Manifest
from appliance.backup.writer.manifests import manifests
from appliance.borg.client import Borg
from appliance.borg.contents import examined
from appliance.borg.model import Item
from appliance.clock import utc_text
from appliance.errors import NoSpace, NotFound
from appliance.host.command import run
from appliance.host.files import make_private_folder
from appliance.host.layout import ServiceLayout
from appliance.node.handle import Node
from appliance.restore.jobs import SPARE_BYTES, sync
from appliance.territory.model import Service
from appliance.units import DAY, GIB, HOUR, format_bytes, format_duration

SAMPLE_FILES = 50
SAMPLE_BYTES = 2 * GIB
WHOLE_SECONDS = 28 * DAY
Rehearse = Callable[[Node, str, Path], Rehearsed]
"""Loads the dump that the folder holds into a cluster that is thrown away; it may take the dump out of the folder."""


@dataclass(frozen=True)
class _Plan:
    """The part of an archive to restore; `items` are all of it with `everything`, else the sample. `told`: see
    Drilled."""

    items: tuple[Item, ...]
    sample: tuple[Item, ...]
    total_bytes: int
    everything: bool
    told: tuple[str, ...]


@dataclass(frozen=True)
class Planned:
    """The restore that a drill would make; the fields are those of Drilled."""

    generation: str
    archive: str
    seed: int
    everything: bool
    files: int
    bytes: int
    total_bytes: int
    told: tuple[str, ...]


def planned(node: Node, service: str, *, seed: int | None = None, everything: bool | None = None) -> Planned:
    """Return what `drill` would restore; the same is refused, and nothing is restored."""
    layout = node.service(service)
    with proving(node, service) as opened:
        seed, everything = _asked(node, layout, seed, everything)
        borg, of = Borg(opened.repository), node.bundle.terms(service).service
        chosen = choose(manifests(borg, service), service)
        archive = chosen.archive
        plan = _plan(borg.items(archive), layout.root, of, seed, everything=everything)
    files, size = _counted(plan)
    return Planned(
        opened.generation, archive, seed, plan.everything, files, size, plan.total_bytes, (*chosen.told, *plan.told)
    )


def drill(
    node: Node, service: str, rehearse: Rehearse, *, seed: int | None = None, everything: bool | None = None
) -> Drilled:
    """Restore a sample of the newest archive that this node has, or everything, compare, and delete it again.

    By default the seed is the day, and everything is restored when that was last done four weeks ago or more; a
    database is loaded by `rehearse` when that was, or did not go well.
    Raise NoSpace when not even the sample has room, Refused on a node that the service does not trust, Busy while
    another proof runs.
    """
    layout = node.service(service)
    with proving(node, service) as opened:
        loads = wants_rehearsal(load_proofs(layout), node.ageing.now()) if everything is None else everything
        seed, everything = _asked(node, layout, seed, everything)
        drilled = _drill(node, service, opened, seed, rehearse if loads else None, everything=everything)
        save_proofs(layout, load_proofs(layout).with_drill(drilled))
    node.journal.write(
        "drilled",
        service=service,
        generation=drilled.generation,
        seed=drilled.seed,
        everything=drilled.everything,
        files=drilled.files,
        bytes=drilled.bytes,
        seconds=round(drilled.seconds, 1),
        rehearsed=drilled.rehearsed,
        rows=drilled.rows,
        wrong=len(drilled.wrong),
        not_proven=len(drilled.told),
    )
    return drilled


def wants_everything(proofs: Proofs, now_age: int) -> bool:
    """Whether a drill at `now_age` of the ageing clock should restore everything; a lost age counts as a long one."""
    return proofs.whole is None or not 0 <= now_age - proofs.whole.age < WHOLE_SECONDS


def wants_rehearsal(proofs: Proofs, now_age: int) -> bool:
    """Whether a drill should load the database: a fault is looked for again each time until it is repaired."""
    last = proofs.rehearsed
    return last is None or bool(last.wrong) or not 0 <= now_age - last.age < WHOLE_SECONDS


def _asked(node: Node, layout: ServiceLayout, seed: int | None, everything: bool | None) -> tuple[int, bool]:
    """Both as they were asked for, or what the day and the drills so far say."""
    if everything is None:
        everything = wants_everything(load_proofs(layout), node.ageing.now())
    return int(node.clock.now() // DAY) if seed is None else seed, everything


@dataclass(frozen=True)
class Chosen:
    """The archive to restore. `told`: why not the newest; `wrong`: why even a good restore of it proves little;
    `notes`: what even a whole backup of a database lacks."""

    archive: str
    told: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def choose(known: Mapping[str, Manifest | None], service: str) -> Chosen:
    """The newest archive that is whole: what a partial one brings back is no proof that all of it would come. `known`:
    by name, oldest first, what each says of itself; None where it says nothing."""
    if not known:
        raise NotFound(f"{service} has no archive yet.", remedy=f"Run `{typed.run(service)}` at its origin.")
    newest = list(known)[-1]
    whole = next((name for name in reversed(list(known)) if (found := known[name]) is None or found.whole), None)
    if whole is None:
        return Chosen(newest, wrong=(f"no archive is whole, and {newest} is partial: restoring it proves nothing.",))
    if whole != newest:
        told = (f"{newest} is partial, and restoring it proves nothing: the last whole archive was restored.",)
        return Chosen(whole, told, notes=_notes(known[whole]))
    return Chosen(newest, notes=_notes(known[newest]))


def _notes(manifest: Manifest | None) -> tuple[str, ...]:
    paths = manifest.paths if manifest else ()
    return tuple(f"the backup of {it.path} lacks: {it.reason}" for it in paths if it.state == "read" and it.reason)


def _counted(plan: _Plan) -> tuple[int, int]:
    """How many files, and their bytes."""
    files = sum(item.kind in ("file", "hardlink") for item in plan.items)
    return files, sum(item.size for item in plan.items if item.kind == "file")


def _drill(
    node: Node, service: str, opened: OpenedSource, seed: int, rehearse: Rehearse | None, *, everything: bool
) -> Drilled:
    borg, of = Borg(opened.repository), node.bundle.terms(service).service
    chosen = choose(manifests(borg, service), service)
    archive = chosen.archive
    with _empty_folder(node.service(service).root / ROOM / "restored") as folder:
        plan = _plan(borg.items(archive), folder, of, seed, everything=everything)
        started = time.monotonic()
        warnings = borg.extract(archive, () if plan.everything else [item.path for item in plan.items], folder)
        sync(folder)
        seconds = time.monotonic() - started
        hashes = borg.sha256_of(archive, [item.path for item in plan.sample])
        wrong = (*compare_items(plan.items, folder), *compare_contents(hashes, folder))
        broken, untold = read_dumps(of.kind, plan.items, folder)
        loaded = _load(node, of, plan, rehearse, folder, broken)
    files, size = _counted(plan)
    told = (
        *chosen.told,
        *plan.told,
        *untold,
        *(f"{it.path}: {it.reason}" for it in warnings),
        *chosen.notes,
        *loaded.told,
        *_late(of, plan, seconds + loaded.seconds),
    )
    return Drilled(
        time=utc_text(node.clock.now()),
        age=node.ageing.now(),
        generation=opened.generation,
        archive=archive,
        seed=seed,
        everything=plan.everything,
        files=files,
        bytes=size,
        total_bytes=plan.total_bytes,
        seconds=seconds + loaded.seconds,
        rehearsed=loaded.done,
        tables=loaded.tables,
        rows=loaded.rows,
        wrong=(*chosen.wrong, *wrong, *broken, *loaded.wrong),
        told=told,
    )


def _load(
    node: Node, of: Service, plan: _Plan, rehearse: Rehearse | None, folder: Path, broken: Sequence[str]
) -> Rehearsed:
    if of.kind != "postgresql" or rehearse is None or broken:
        return Rehearsed()
    if not plan.everything:
        return untried("there was not enough space for all of it.")
    return rehearse(node, of.name, folder)


def _plan(items: Iterable[Item], folder: Path, service: Service, seed: int, *, everything: bool) -> _Plan:
    """Choose in one pass over the archive; what a database's archive holds only proves something together."""
    everything = everything or service.kind != "files"
    every = list(items)
    total = examined(every).size
    sample = draw(every, seed)
    disk = os.statvfs(folder)
    room = disk.f_bavail * disk.f_frsize - SPARE_BYTES
    if everything and total <= room:
        return _Plan(tuple(every), sample, total, everything=True, told=())
    if (asked := sum(item.size for item in sample)) > room:
        raise NoSpace(
            f"to restore a sample of {service.name}, {format_bytes(asked - room)} more must be free.",
            where=str(folder),
            remedy="Free that much; the drill is repeated.",
        )
    missing = f"there is not enough space for everything: {format_bytes(total - room)} more must be free."
    return _Plan(sample, sample, total, everything=False, told=(missing,) if everything else ())


def draw(items: Iterable[Item], seed: int) -> tuple[Item, ...]:
    """A sample of the files of `items`, the same for the same seed: SAMPLE_FILES at most, and SAMPLE_BYTES."""

    def lot(item: Item) -> bytes:
        return hashlib.sha256(f"{seed}\n".encode() + os.fsencode(item.path)).digest()

    # Several times as many lots as files, so that a few large ones that do not fit leave enough others.
    lots = heapq.nsmallest(4 * SAMPLE_FILES, (item for item in items if item.kind == "file"), key=lot)
    drawn: list[Item] = []
    left = SAMPLE_BYTES
    for item in lots:
        if len(drawn) < SAMPLE_FILES and (item.size <= left or not drawn):
            drawn.append(item)
            left -= item.size
    return tuple(drawn)


def _late(service: Service, plan: _Plan, seconds: float) -> Sequence[str]:
    if not plan.everything or seconds <= service.rto_seconds:
        return ()
    took, promised = format_duration(seconds), format_duration(service.rto_seconds)
    return (f"everything took {took}, longer than the {promised} promised (rto in territory.yml).",)


@contextmanager
def _empty_folder(folder: Path) -> Iterator[Path]:
    """`folder`, new and private; gone afterwards, as is what a drill that was cut left there."""
    _remove(folder)
    try:
        yield make_private_folder(folder)
    finally:
        _remove(folder)


def _remove(folder: Path) -> None:
    if folder.exists():
        # Restored folders may deny their owner to write in them.
        run(("chmod", "--recursive", "u+rwX", "--", str(folder)), timeout_seconds=HOUR)
        shutil.rmtree(folder)
