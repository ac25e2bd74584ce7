"""What a peer holds of one service: blobs by their hash, and the generations that name them.

    pool/ab/abcd...                     blobs, read-only, named by their SHA-256
    partial/abcd...                     what arrived of a blob so far; resumed by the byte
    grants/00002                        the grant of each epoch
    generations/00002.0000000007.HHHH/  header, list, receipt; for a relayed one also relay (the relaying holder's receipt)
    lock                                held exclusively while a session publishes or thinning removes

Invariant: a generation is held when its `list` and `receipt` are there, and then every blob of the list is durable in the pool.
So the order is: blob fsynced, renamed into the pool, its folder fsynced; list; receipt last. Nothing here removes a blob except
`discard`, which only thinning calls, and `set_aside`, for a blob that failed its own hash.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from appliance.errors import IntegrityError, NotFound
from appliance.host.files import fsync_folder, make_private_folder, sha256_file, write_atomic
from appliance.trust.generation import Entry, GenerationId, parse_list

HEADER, LIST, RECEIPT, RELAY, BUCKET = "header", "list", "receipt", "relay", "bucket"


@dataclass(frozen=True)
class Stored:
    """A generation folder by its name; `held` when its files are here, else only its header is."""

    name: str
    epoch: int
    sequence: int
    held: bool


class Holding:
    """One service's folder at this peer."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.pool = root / "pool"
        self.partial = root / "partial"
        self.grants = root / "grants"
        self.generations = root / "generations"
        self.lock = root / "lock"

    def create(self) -> None:
        for folder in (self.root, self.pool, self.partial, self.grants, self.generations):
            make_private_folder(folder)

    # Blobs

    def blob(self, digest: str) -> Path:
        return self.pool / digest[:2] / digest

    def has(self, entry: Entry) -> bool:
        """Whether a blob of that name and that size is here; a rotten one is found by the scrub, not here."""
        try:
            return self.blob(entry.sha256).stat().st_size == entry.size
        except FileNotFoundError:
            return False

    def missing(self, entries: Iterable[Entry]) -> tuple[tuple[Entry, int], ...]:
        """Each blob the pool lacks, once, with the offset from which to resume it."""
        lacking = {entry.sha256: entry for entry in entries if not self.has(entry)}
        return tuple((entry, min(self._partial_size(digest), entry.size)) for digest, entry in lacking.items())

    def _partial_size(self, digest: str) -> int:
        try:
            return (self.partial / digest).stat().st_size
        except FileNotFoundError:
            return 0

    def receive(self, entry: Entry, offset: int, read_some: Callable[[int], bytes]) -> None:
        """Take the rest of a blob from `read_some(size_max)`, prove its hash and put it in the pool.

        A cut leaves the partial to be resumed; a wrong hash removes it and raises IntegrityError.
        """
        path = self.partial / entry.sha256
        digest = hashlib.sha256()
        with open(path, "r+b" if path.exists() else "w+b") as file:
            file.truncate(offset)
            while piece := file.read(1 << 20):
                digest.update(piece)
            left = entry.size - offset
            while left:
                piece = read_some(left)
                file.write(piece)
                digest.update(piece)
                left -= len(piece)
            file.flush()
            os.fchmod(file.fileno(), 0o440)
            os.fsync(file.fileno())
        if digest.hexdigest() != entry.sha256:
            path.unlink()
            raise IntegrityError(f"what was sent as {entry.path} does not have the hash the list gives.")
        self._enter_pool(path, entry.sha256)

    def _enter_pool(self, path: Path, digest: str) -> None:
        folder = self.pool / digest[:2]
        if not folder.exists():
            make_private_folder(folder)
            fsync_folder(self.pool)
        os.rename(path, folder / digest)
        fsync_folder(folder)

    def blobs(self) -> Iterator[Path]:
        """Every blob of the pool, in the order of names."""
        for folder in sorted(self.pool.iterdir()):
            yield from sorted(folder.iterdir())

    def set_aside(self, digest: str) -> bool:
        """Take a blob that fails its own hash out of the pool, so that it can come again; say whether it was rotten."""
        path = self.blob(digest)
        if not path.exists() or sha256_file(path) == digest:
            return False
        rotten = make_private_folder(self.root / "rotten")
        os.rename(path, rotten / digest)
        fsync_folder(path.parent)
        return True

    def discard(self, digest: str) -> int:
        """Remove an unreferenced blob, for thinning; return its size in bytes."""
        path = self.blob(digest)
        size = path.stat().st_size
        path.unlink()
        return size

    # Generations

    def stored(self) -> tuple[Stored, ...]:
        """Every generation known here, oldest first by (epoch, sequence)."""
        names = sorted(os.listdir(self.generations)) if self.generations.exists() else []
        return tuple(self._stored(name) for name in names if name.count(".") == 2)

    def _stored(self, name: str) -> Stored:
        epoch, sequence, _ = name.split(".")
        folder = self.generations / name
        held = (folder / RECEIPT).exists() and (folder / LIST).exists()
        return Stored(name, int(epoch), int(sequence), held)

    def read(self, name: str, part: str) -> bytes:
        """The file `part` of generation `name`; raise NotFound when it is not here."""
        try:
            return (self.generations / name / part).read_bytes()
        except FileNotFoundError as error:
            raise NotFound(f"generation {name} has no {part} here.") from error

    def knows(self, generation: GenerationId) -> bool:
        return (self.generations / generation.name / HEADER).exists()

    def holds(self, generation: GenerationId) -> bool:
        return self._stored(generation.name).held

    def add_header(self, generation: GenerationId, raw: bytes) -> None:
        """Keep a header whose signature and place in the chain were checked."""
        folder = self.generations / generation.name
        if not folder.exists():
            make_private_folder(folder)
            fsync_folder(self.generations)
        if not (folder / HEADER).exists():
            write_atomic(folder / HEADER, raw, mode=0o440)

    def publish(self, generation: GenerationId, listing: bytes, entries: Iterable[Entry], receipt: bytes) -> None:
        """Make a generation held; the caller holds the lock, so thinning cannot remove a blob between check and receipt."""
        lacking = [entry.path for entry in entries if not self.has(entry)]
        if lacking:
            raise NotFound(f"{len(lacking)} files of generation {generation} are no longer here.", remedy="Push again.")
        folder = self.generations / generation.name
        write_atomic(folder / LIST, listing, mode=0o440)
        write_atomic(folder / RECEIPT, receipt, mode=0o440)

    def entries(self, name: str) -> tuple[Entry, ...]:
        """The list of a held generation; its hash was checked when it was published and is again by the scrub."""
        return parse_list(self.read(name, LIST))

    def add_grant(self, epoch: int, raw: bytes) -> bool:
        """Keep the grant of an epoch; say whether it is new."""
        path = self.grants / f"{epoch:05d}"
        if path.exists():
            return False
        write_atomic(path, raw, mode=0o440)
        return True

    def epochs(self) -> tuple[int, ...]:
        """The epochs whose grants are here, oldest first."""
        names = sorted(os.listdir(self.grants)) if self.grants.exists() else []
        return tuple(int(name) for name in names if name.isdigit())

    def grant(self, epoch: int) -> bytes:
        try:
            return (self.grants / f"{epoch:05d}").read_bytes()
        except FileNotFoundError as error:
            raise NotFound(f"there is no grant of epoch {epoch} here.") from error

    # Room

    def used_bytes(self) -> int:
        """Bytes of everything in this holding, each name counted as at least 4 KiB (an inode and its folder entry)."""
        total = 0
        for folder, _, names in os.walk(self.root):
            for name in names:
                total += max(4096, os.stat(os.path.join(folder, name)).st_size)
        return total
