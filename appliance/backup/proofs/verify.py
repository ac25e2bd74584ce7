"""Decrypt and authenticate, a slice a day, every version of every file that a restore by name could bring back.

`borg check --verify-data` reads a whole repository in one go and cannot stop half way: hours on a small box, started
over by every power cut. So the catalogue says what there is, and each version is read through in the archive that it
would be restored from. All of the newest archive is read, and of older ones only what the newer ones have no more;
nothing is read twice. A round goes in the order of paths, is cut and resumed at a path, and begins with borg's own
check of the archives' structure. The plain content is read, so this also finds what hashes cannot: data that was wrong
before the origin sealed it.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from appliance.backup.peers.openable import OpenedSource
from appliance.backup.proofs.proofs import Damaged, Round, load_proofs, proving, save_proofs
from appliance.backup.writer.filling import unread_in
from appliance.borg.client import Borg
from appliance.borg.errors import ArchiveMissing, BorgFailed, BorgKilled, PathMissing, RepositoryDamaged
from appliance.clock import utc_text
from appliance.node.handle import Node
from appliance.restore.catalogue import caught_up
from appliance.restore.walk import Stored, total_bytes, unsound, walk
from appliance.units import DAY, GIB

ROUND_SECONDS = 7 * DAY
SLICES_PER_ROUND = 6
"""One of the daily slices of a round may fail, and it still ends within seven days."""
SLICE_BYTES_MIN = GIB
SLICE_BYTES = 2 * GIB
"""How much is read between two marks of how far the round is."""
HOSTILE = (
    "this archive cannot be restored whole, since a path in it leads outside its folder, or it has too many names to "
    "be examined at once. No regular backup looks like that: find out what wrote it"
)


@dataclass(frozen=True)
class Verified:
    """The versions that one call read, and all that the round found damaged so far; `finished` when it came to the
    round's end.

    `files` are versions: each state of a file that an archive still has.
    """

    service: str
    generation: str
    files: int
    bytes: int
    seconds: float
    damaged: tuple[Damaged, ...]
    finished: bool


def verify_data(
    node: Node,
    service: str,
    *,
    bytes_max: float | None = None,
    on_slice: Callable[[int, int], None] = lambda done, total: None,
) -> Verified:
    """Read on from where the last call stopped, for a daily share of a round; `bytes_max` is another measure for it.

    `on_slice` is told the bytes read of those that this call will read. Raise Refused on a node that the service does
    not trust, NotFound where it has nothing of it, Busy when another proof runs.
    """
    layout = node.service(service)
    with proving(node, service) as opened:
        borg = Borg(opened.repository)
        proofs = load_proofs(layout)
        before = now = proofs.round or _begin(node, borg)
        with caught_up(opened.catalogue, borg, partial(unread_in, borg, service)) as (catalogue, _):
            hostile = unsound(catalogue)
            now = _with_hostile(now, hostile)
            total = total_bytes(catalogue)
            share = slice_of(total) if bytes_max is None else bytes_max
            for piece in slices(walk(catalogue, before.after), min(share, SLICE_BYTES)):
                now = _read(borg, now, piece, hostile)
                save_proofs(layout, replace(proofs, round=now))
                on_slice(now.bytes - before.bytes, int(min(share, total)))
                if now.bytes - before.bytes >= share:
                    break
            else:
                now = _end(node, opened, now)
                save_proofs(layout, replace(proofs, round=None, verified=now))
    return _told(node, service, opened, before, now)


def slice_of(total_bytes: int) -> int:
    """How much a daily call reads, so that a round of `total_bytes` ends within ROUND_SECONDS."""
    return max(SLICE_BYTES_MIN, -(-total_bytes // SLICES_PER_ROUND))


def _begin(node: Node, borg: Borg) -> Round:
    began = Round(utc_text(node.clock.now()))
    try:
        borg.check_archives()
    except RepositoryDamaged as error:
        return replace(began, damaged=(Damaged("", "", error.what),))
    return began


def _end(node: Node, opened: OpenedSource, now: Round) -> Round:
    return replace(now, ended=utc_text(node.clock.now()), ended_age=node.ageing.now(), generation=opened.generation)


def _with_hostile(now: Round, archives: Iterable[str]) -> Round:
    named = {it.archive for it in now.damaged if not it.path}
    return replace(now, damaged=(*now.damaged, *(Damaged(it, "", HOSTILE) for it in archives if it not in named)))


def slices(versions: Iterable[Stored], size_min: float) -> Iterator[list[Stored]]:
    """Cut into pieces of `size_min` bytes or a little more, and never between two versions of one path."""
    piece: list[Stored] = []
    size = 0
    for _, same in itertools.groupby(versions, key=lambda it: it.path):
        of_path = list(same)
        piece += of_path
        size += sum(it.size for it in of_path)
        if size >= size_min:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece


def _read(borg: Borg, now: Round, stored: list[Stored], hostile: Collection[str]) -> Round:
    """The round after this slice was read, archive by archive; the `hostile` ones need not be readable."""
    started = time.monotonic()
    damaged = list(now.damaged)
    by_archive: dict[str, list[str]] = {}
    for it in stored:
        by_archive.setdefault(it.archive, []).append(it.path)
    for archive, paths in by_archive.items():
        if archive in hostile:
            continue
        found = _first_damaged(borg, archive, paths)
        damaged += [found] if found else []
    return replace(
        now,
        after=stored[-1].path,
        files=now.files + len(stored),
        bytes=now.bytes + sum(it.size for it in stored),
        seconds=now.seconds + time.monotonic() - started,
        damaged=tuple(damaged),
    )


def _first_damaged(borg: Borg, archive: str, paths: list[str]) -> Damaged | None:
    """The first of `paths` that cannot be read through; found by halves, as borg stops without naming a file."""
    reason = _reason(borg, archive, paths)
    while reason and len(paths) > 1:
        half = paths[: len(paths) // 2]
        in_half = _reason(borg, archive, half)
        paths, reason = (half, in_half) if in_half else (paths[len(half) :], reason)
    return Damaged(archive, paths[0], reason) if reason else None


def _reason(borg: Borg, archive: str, paths: list[str]) -> str:
    """Why these files cannot be read through; "" when they can, and for an archive that was pruned meanwhile."""
    try:
        borg.read_through(archive, paths)
    except (RepositoryDamaged, PathMissing) as error:
        return error.what
    except BorgKilled:
        raise
    except BorgFailed as error:  # what somebody with the key wrote, no disk would make of it
        return f"borg cannot read it ({error.what.rstrip('.')})"
    except ArchiveMissing:
        return ""
    return ""


def _told(node: Node, service: str, opened: OpenedSource, before: Round, now: Round) -> Verified:
    verified = Verified(
        service=service,
        generation=opened.generation,
        files=now.files - before.files,
        bytes=now.bytes - before.bytes,
        seconds=now.seconds - before.seconds,
        damaged=now.damaged,
        finished=bool(now.ended),
    )
    node.journal.write(
        "verified",
        service=service,
        generation=verified.generation,
        files=verified.files,
        bytes=verified.bytes,
        seconds=round(verified.seconds, 1),
        damaged=len(verified.damaged),
        finished=verified.finished,
    )
    return verified
