"""Seal a generation: the repository's committed files, linked aside, hashed, listed and signed.

borg only ever adds and unlinks segment files, so a hard link pins their content whatever borg does next; `config` and
`README` it rewrites in place, so those are copied. The set is consistent because the last committed transaction is
the same before and after the links are made and nobody held borg's lock; that costs nothing, where `borg with-lock`
costs a start of borg. Left out are index, hints and integrity (rebuilt by who opens a copy), nonce and locks (never
to be copied) and segments beyond the last committed transaction (their numbers are used again).

For the same reason a segment that was sealed once has the same bytes for ever. One that has others now is corrupt: it
is never sealed, for the peers would then keep the rot as the newest state, but repaired from what they hold. Nor is one
lost unnoticed: only compaction removes a segment that was sealed, and it is announced (`will_compact`).
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

from appliance.backup.chain.chain import Chain, Sealed
from appliance.backup.chain.hashes import HashCache
from appliance.backup.writer.saved import Completeness
from appliance.borg.folder import put_back_reserve
from appliance.borg.locks import is_locked
from appliance.borg.segments import committed
from appliance.clock import utc_text
from appliance.errors import Busy, IntegrityError
from appliance.host.files import fsync_folder, make_private_folder, write_atomic
from appliance.host.layout import ServiceLayout
from appliance.trust.generation import NO_PARENT, Entry, Header, make_header, parse_list, read_header, render_list
from appliance.trust.grant import Grant
from appliance.trust.keys import load_key, public_line

COPIED = ("config", "README")
ATTEMPTS = 3
READER_SECONDS_MAX = 5.0
READER_LOOK_SECONDS = 0.05


class CorruptSegment(IntegrityError):
    """A segment of the writer's own repository does not have the bytes any more that were sealed, or is gone."""


def seal(
    layout: ServiceLayout,
    chain: Chain,
    grant: Grant,
    envelopes: Path,
    key: Path,
    now: float,
    *,
    time: str = "",
    completeness: Completeness | None = None,
) -> Sealed:
    """Seal the repository of `layout` under `grant`; the caller holds the service's lock.

    `envelopes` is the folder of this service's NAME.age files; `key` the node's signing key; `now` seconds UTC. `time`
    is what the header says in place of it, for a generation that holds no newer state than the one before. Without
    `completeness` the header is of format 1, which says nothing of it.
    The header is durable on this disk when this returns, before anything is sent.
    """
    folder = layout.sealed / ".new"
    shutil.rmtree(folder, ignore_errors=True)
    put_back_reserve(layout.repository)
    make_private_folder(folder)
    names = _link_repository(layout.repository, folder)
    names += _add_documents(folder, grant, envelopes)
    cache = HashCache(layout.root / "hashes.json")
    cache.forget_oldest(names, now)
    entries = [Entry(name, *cache.digest(name, folder / name, now)) for name in names]
    before = _before(chain, grant)
    _refuse_rot(layout, before, entries, grant.service)
    _refuse_loss(layout, before, names, grant.service)
    listing = render_list(entries)
    header = _sign(chain, grant, listing, entries, key, time or utc_text(now), completeness)
    cache.save(names)
    target = layout.sealed / header.id.name
    shutil.rmtree(target, ignore_errors=True)  # a seal that was cut before the chain knew of it, and is made again
    os.rename(folder, target)
    fsync_folder(layout.sealed)
    chain.add(header, listing)
    _compacting(layout).unlink(missing_ok=True)
    _drop_older(layout.sealed, keep=header.id.name)
    return Sealed(header, listing, parse_list(listing, header))


def _before(chain: Chain, grant: Grant) -> Sealed | None:
    """The newest generation of this very repository: one with a new key has other files under the same numbers."""
    newest = chain.newest()
    sealed_under = chain.grant_of(newest.header.epoch) if newest else None
    return newest if sealed_under and sealed_under.repository == grant.repository else None


def _refuse_rot(layout: ServiceLayout, newest: Sealed | None, entries: Iterable[Entry], service: str) -> None:
    sealed = {entry.path: entry.sha256 for entry in newest.entries} if newest else {}
    corrupt = [
        entry.path
        for entry in entries
        if entry.path.startswith("data/") and sealed.get(entry.path, entry.sha256) != entry.sha256
    ]
    if corrupt:
        raise CorruptSegment(
            f"the content of {len(corrupt)} sealed files has changed, this one first: the disk may be failing.",
            where=str(layout.repository / corrupt[0]),
            remedy=f"Replace them from a peer: `appliance backup repair {service}`.",
        )


def will_compact(layout: ServiceLayout) -> None:
    """Called before borg compacts: until the next generation is sealed, files may be gone for that reason."""
    write_atomic(_compacting(layout), b"")


def lost(layout: ServiceLayout, newest: Sealed) -> tuple[Entry, ...]:
    """The segments of `newest` that are gone from the repository and that no compaction can have removed."""
    if is_compacting(layout):
        return ()
    return tuple(
        entry
        for entry in newest.entries
        if entry.path.startswith("data/") and not (layout.repository / entry.path).exists()
    )


def is_compacting(layout: ServiceLayout) -> bool:
    """Whether borg compacted, or was about to, since the newest generation was sealed."""
    return _compacting(layout).exists()


def _compacting(layout: ServiceLayout) -> Path:
    return layout.root / "compacting"


def _refuse_loss(layout: ServiceLayout, newest: Sealed | None, names: Iterable[str], service: str) -> None:
    gone = {entry.path for entry in lost(layout, newest)} - {*names} if newest else set()
    if gone:
        raise CorruptSegment(
            f"{len(gone)} sealed files are missing, this one first, and no compaction removed them.",
            where=str(layout.repository / min(gone)),
            remedy=f"Replace them from a peer: `appliance backup repair {service}`.",
        )


def _link_repository(repository: Path, folder: Path) -> list[str]:
    """Link the committed segments of `repository` into `folder`; return their names and those of the copied files."""
    for _ in range(ATTEMPTS):
        _wait_for_readers(repository)
        before = committed(repository)
        if before.beyond or is_locked(repository):
            raise Busy("the repository is being written.", where=str(repository), remedy="Run the backup again.")
        shutil.rmtree(folder / "data", ignore_errors=True)
        names = [f"data/{path.parent.name}/{path.name}" for path in before.segments]
        if _link_all(repository, folder, names) and committed(repository) == before:
            for name in COPIED:
                shutil.copyfile(repository / name, folder / name)
            return [*names, *COPIED]
    raise Busy("the repository changes while it is sealed.", where=str(repository), remedy="Stop other borg commands.")


def _wait_for_readers(repository: Path) -> None:
    """Wait, with a bound, for a lock under which nothing is written: a program that lists archives has it for an
    instant, as it comes and as it goes."""
    deadline = time.monotonic() + READER_SECONDS_MAX
    while is_locked(repository) and not committed(repository).beyond and time.monotonic() < deadline:
        time.sleep(READER_LOOK_SECONDS)


def _link_all(repository: Path, folder: Path, names: Iterable[str]) -> bool:
    try:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            os.link(repository / name, folder / name)
    except FileNotFoundError:
        return False  # compacted away under our hands: take the new transaction
    return True


def _add_documents(folder: Path, grant: Grant, envelopes: Path) -> list[str]:
    """The grant and the envelopes travel with each generation, so that every holder has what a restore needs."""
    write_atomic(folder / "grant", grant.document.raw)
    names = ["grant"]
    if envelopes.exists():
        (folder / "envelopes").mkdir()
        for path in sorted(envelopes.glob("*.age")):
            os.link(path, folder / "envelopes" / path.name)
            names.append(f"envelopes/{path.name}")
    return names


def next_sequence(chain: Chain, grant: Grant) -> int:
    """The number of the generation that is sealed next under `grant`; it starts over in each epoch."""
    newest = chain.newest()
    return newest.header.sequence + 1 if newest and newest.header.epoch == grant.epoch else 1


def _sign(
    chain: Chain,
    grant: Grant,
    listing: bytes,
    entries: list[Entry],
    key: Path,
    time: str,
    completeness: Completeness | None,
) -> Header:
    newest = chain.newest()
    private = load_key(key)
    raw = make_header(
        private,
        service=grant.service,
        epoch=grant.epoch,
        sequence=next_sequence(chain, grant),
        previous=newest.header.id.digest if newest else NO_PARENT,
        time=time,
        listing=listing,
        entries=entries,
        whole=completeness.whole if completeness else None,
        missing=completeness.missing if completeness else (),
    )
    return read_header(raw, public_line(private))


def _drop_older(sealed: Path, keep: str) -> None:
    """Older sealed folders only pin disk space. A push of one has its files open by name and starts over when they
    vanish."""
    for name in os.listdir(sealed):
        if name != keep:
            shutil.rmtree(sealed / name, ignore_errors=True)
