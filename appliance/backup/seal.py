"""Seal a generation: the repository's committed files, linked aside, hashed, listed and signed.

borg only ever adds and unlinks segment files, so a hard link pins their content whatever borg does next; `config` and
`README` it rewrites in place, so those are copied. The set is consistent because the last committed transaction is
the same before and after the links are made and nobody held borg's lock; that costs nothing, where `borg with-lock`
costs a start of borg. Left out are index, hints and integrity (rebuilt by who opens a copy), nonce and locks (never
to be copied) and segments beyond the last committed transaction (their numbers are used again).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from appliance.backup.chain import Chain, Sealed
from appliance.borg.segments import committed
from appliance.clock import utc_text
from appliance.errors import Busy
from appliance.host.files import fsync_folder, make_private_folder, sha256_file, write_atomic
from appliance.host.layout import ServiceLayout
from appliance.trust.generation import NO_PARENT, Entry, Header, make_header, parse_list, read_header, render_list
from appliance.trust.grant import Grant
from appliance.trust.keys import load_key, public_line

COPIED = ("config", "README")
ATTEMPTS = 3


@dataclass(frozen=True)
class HashCache:
    """SHA-256 by path, reused while size, mtime and inode stand; losing it costs only time."""

    path: Path
    known: dict[str, list[object]]

    @classmethod
    def load(cls, path: Path) -> HashCache:
        try:
            return cls(path, json.loads(path.read_bytes()))
        except (FileNotFoundError, ValueError):
            return cls(path, {})

    def digest(self, name: str, file: Path) -> tuple[str, int]:
        """The hash and the size in bytes of `file`, known as `name`."""
        status = file.stat()
        stamp = [status.st_size, status.st_mtime_ns, status.st_ino]
        saved = self.known.get(name)
        if not saved or saved[:3] != stamp:
            self.known[name] = [*stamp, sha256_file(file)]
        return str(self.known[name][3]), status.st_size

    def save(self, names: Iterable[str]) -> None:
        kept = {name: self.known[name] for name in names}
        write_atomic(self.path, json.dumps(kept).encode(), mode=0o600)


def seal(layout: ServiceLayout, chain: Chain, grant: Grant, envelopes: Path, key: Path, now: float) -> Sealed:
    """Seal the repository of `layout` under `grant`; the caller holds the service's lock.

    `envelopes` is the folder of this service's NAME.age files; `key` the node's signing key; `now` seconds UTC.
    The header is durable on this disk when this returns, before anything is sent.
    """
    folder = layout.sealed / ".new"
    shutil.rmtree(folder, ignore_errors=True)
    make_private_folder(folder)
    names = _link_repository(layout.repository, folder)
    names += _add_papers(folder, grant, envelopes)
    cache = HashCache.load(layout.root / "hashes.json")
    entries = [Entry(name, *cache.digest(name, folder / name)) for name in names]
    listing = render_list(entries)
    header = _sign(chain, grant, listing, entries, key, now)
    cache.save(names)
    target = layout.sealed / header.id.name
    os.rename(folder, target)
    fsync_folder(layout.sealed)
    chain.add(header, listing)
    _drop_older(layout.sealed, keep=header.id.name)
    return Sealed(header, listing, parse_list(listing, header))


def _link_repository(repository: Path, folder: Path) -> list[str]:
    """Link the committed segments of `repository` into `folder`; return their names and those of the copied files."""
    for _ in range(ATTEMPTS):
        before = committed(repository)
        if before.beyond or (repository / "lock.exclusive").exists():
            raise Busy("the repository is being written.", where=str(repository), remedy="Run the backup again.")
        shutil.rmtree(folder / "data", ignore_errors=True)
        names = [f"data/{path.parent.name}/{path.name}" for path in before.segments]
        if _link_all(repository, folder, names) and committed(repository) == before:
            for name in COPIED:
                shutil.copyfile(repository / name, folder / name)
            return [*names, *COPIED]
    raise Busy("the repository changes while it is sealed.", where=str(repository), remedy="Stop other borg commands.")


def _link_all(repository: Path, folder: Path, names: Iterable[str]) -> bool:
    try:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            os.link(repository / name, folder / name)
    except FileNotFoundError:
        return False  # compacted away under our hands: take the new transaction
    return True


def _add_papers(folder: Path, grant: Grant, envelopes: Path) -> list[str]:
    """The grant and the envelopes travel with each generation, so that every holder has what a restore needs."""
    write_atomic(folder / "grant", grant.document.raw)
    names = ["grant"]
    if envelopes.exists():
        (folder / "envelopes").mkdir()
        for path in sorted(envelopes.glob("*.age")):
            os.link(path, folder / "envelopes" / path.name)
            names.append(f"envelopes/{path.name}")
    return names


def _sign(chain: Chain, grant: Grant, listing: bytes, entries: list[Entry], key: Path, now: float) -> Header:
    newest = chain.newest()
    same_epoch = newest is not None and newest.header.epoch == grant.epoch
    private = load_key(key)
    raw = make_header(
        private,
        service=grant.service,
        epoch=grant.epoch,
        sequence=newest.header.sequence + 1 if newest and same_epoch else 1,
        previous=newest.header.id.digest if newest else NO_PARENT,
        time=utc_text(now),
        listing=listing,
        entries=entries,
    )
    return read_header(raw, public_line(private))


def _drop_older(sealed: Path, keep: str) -> None:
    """Older sealed folders only pin disk space. A push of one has its files open by name and starts anew when they
    vanish.
    """
    for name in os.listdir(sealed):
        if name != keep:
            shutil.rmtree(sealed / name, ignore_errors=True)
