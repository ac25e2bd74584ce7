"""The replica of one service at a peer: blobs by their hash, and the generations that name them.

    pool/ab/abcd...                     blobs, read-only, named by their SHA-256
    partial/abcd...                     what arrived of a blob so far; resumed by the byte
    book/ledger.json                    what was taken today (`ledger.py`)
    rotten/abcd...                      a blob that failed its own hash, kept 30 days to be looked at
    grants/00002                        the grant of each epoch
    generations/00002.0000000007.HHHH/  header, list, receipt; for a relayed one also relay (the relaying replica
                                        node's receipt) and bucket; `damaged` while a file of it is corrupt or gone;
                                        given-up is a receipt once other nodes have it in this node's place
    history/00002.0000000               the same of a thousand that are held no more (`chain/history.py`)
    damage, unreferenced, scrubbed, alarm
                                        small memories, each explained where it is written
    lock                                held exclusively while a session publishes or pruning removes
    session.lock                        held by the one session that receives, by pruning and by repair
    wanted.lock                         held by pruning and repair while they wait until a relay makes way

Invariant: a generation is held when its `list` and `receipt` are there without `damaged`, and then every blob of the
list is durable in the pool. So the order is: blob fsynced, linked into the pool, the pool's folder fsynced, partial
gone; list; receipt last. A blob counts as here only once its partial is gone, because until then its name may not
outlive a power cut. Nothing here removes a blob except `discard`, which only pruning calls, and `set_aside`, for one
that fails its own hash.

On a real host all of it belongs to an account of its own, and `partial/` and `book/` are all that the account that
receives may write in (`sealing/sealer.py`). Folders are as readable as the one they are in, which says for both kinds
of host who may look.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Callable, Container, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from appliance.backup.chain.history import History
from appliance.backup.vault.stored import BUCKET as BUCKET
from appliance.backup.vault.stored import DAMAGED as DAMAGED
from appliance.backup.vault.stored import GIVEN_UP as GIVEN_UP
from appliance.backup.vault.stored import HEADER as HEADER
from appliance.backup.vault.stored import LIST as LIST
from appliance.backup.vault.stored import RECEIPT as RECEIPT
from appliance.backup.vault.stored import RELAY as RELAY
from appliance.backup.vault.stored import Stored, stored_of
from appliance.errors import IntegrityError, NoSpace, NotFound
from appliance.host.files import fsync_folder, make_private_folder, sha256_file, write_atomic
from appliance.trust.generation import GENERATION_NAME, Entry, GenerationId, parse_list
from appliance.units import format_count

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
FOLDERS_AT_ONCE_MAX = 16
"""More headers than these that come at once are of a long history, which needs no folders."""
NAME_BYTES = 4096
"""The least that each file and folder counts: an inode and its entry are room too."""


class WrongStart(IntegrityError):
    """A blob has a wrong hash, and its start was here already: anybody who was cut may have sent that."""


class Replica:
    """One service's folder at this peer."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.pool = root / "pool"
        self.partial = root / "partial"
        self.book = root / "book"
        self.corrupt = root / "rotten"
        self.grants = root / "grants"
        self.generations = root / "generations"
        self.history = History(root / "history", 0o440)
        self.lock = root / "lock"

    def create(self) -> None:
        make_private_folder(self.root.parent)
        for folder in (self.root, self.pool, self.partial, self.book, self.grants, self.generations):
            make_folder_within(folder)

    # Blobs

    def blob(self, digest: str) -> Path:
        return self.pool / digest[:2] / digest

    def has(self, entry: Entry) -> bool:
        """Whether a blob of that name and that size is here; a corrupt one is found by the scrub, not here."""
        return size_of(self.blob(entry.sha256)) == entry.size and size_of(self.partial / entry.sha256) is None

    def missing(self, entries: Iterable[Entry]) -> tuple[tuple[Entry, int], ...]:
        """Each blob the pool lacks, once, with the offset from which to resume it."""
        lacking = {entry.sha256: entry for entry in entries if not self.has(entry)}
        return tuple((entry, min(self._resumable(digest), entry.size)) for digest, entry in lacking.items())

    def _resumable(self, digest: str) -> int:
        """Bytes of a partial that go on; one that another account wrote, or a cut left to the sealer, starts over."""
        path = self.partial / digest
        return (size_of(path) or 0) if _is_own(path) else 0

    def receive(self, entry: Entry, offset: int, read_some: Callable[[int], bytes]) -> Path:
        """Take the rest of a blob from `read_some(size_max)` and prove its hash; return its partial, whole and durable.

        A cut leaves the partial to be resumed, and so does a full disk, with NoSpace; a wrong hash removes it and
        raises IntegrityError, WrongStart where this caller did not send all of it.
        """
        with full_disk_named():
            return self._receive(entry, offset, read_some)

    def _receive(self, entry: Entry, offset: int, read_some: Callable[[int], bytes]) -> Path:
        path = self.partial / entry.sha256
        with open(_open_partial(path), "r+b") as file:
            file.truncate(offset)
            digest = hashlib.sha256()
            while piece := file.read(1 << 18):
                digest.update(piece)
            left = entry.size - offset
            while left:
                piece = read_some(left)
                file.write(piece)
                digest.update(piece)
                left -= len(piece)
            file.flush()
            if digest.hexdigest() != entry.sha256:
                path.unlink()
                raise (WrongStart if offset else IntegrityError)(
                    f"the received file {entry.path} does not match the hash in the list.",
                    remedy="Repair it at its source: `backup repair`, or `vault repair` at a replica node.",
                )
            os.fchmod(file.fileno(), 0o440)
            os.fsync(file.fileno())
        return path

    def take(self, entry: Entry, source: Path) -> bool:
        """Link `source`, a file of this machine, into the pool if it is the blob of `entry`; say whether it was. From
        another disk it is copied.

        borg, whose segment it is, adds and unlinks but never rewrites one.
        """
        with contextlib.suppress(OSError):
            if size_of(source) == entry.size and sha256_file(source) == entry.sha256:
                # Only until the name is durable. Never a link itself: a partial is cut to size and written to.
                partial = self.partial / entry.sha256
                os.close(_open_partial(partial))
                with open(source, "rb") as file:
                    if os.fstat(file.fileno()).st_dev == partial.stat().st_dev:
                        os.fchmod(file.fileno(), 0o440)
                        os.fsync(file.fileno())
                    else:
                        source = self.receive(entry, 0, _reader_of(file))
                self.enter_pool(source, entry.sha256)
                return True
        return False

    def enter_pool(self, source: Path, digest: str) -> None:
        """Link the proven file `source` into the pool; its partial is gone then. Raise NoSpace on a full disk."""
        target = self.blob(digest)
        with full_disk_named():
            make_folder_within(target.parent)
            if target.exists():  # linked before a cut, or of another size: its own hash now decides
                target.unlink()
            os.link(source, target)
            fsync_folder(target.parent)
        (self.partial / digest).unlink()

    def blobs(self) -> Iterator[Path]:
        """Every blob of the pool, in the order of names."""
        for folder in sorted(self.pool.iterdir()) if self.pool.exists() else ():
            yield from sorted(folder.iterdir())

    def set_aside(self, digest: str) -> bool:
        """Take a blob that fails its own hash out of the pool, so that it can come again; say whether it failed."""
        path = self.blob(digest)
        if size_of(path) is None or is_whole(path, digest):
            return False
        os.rename(path, make_folder_within(self.corrupt) / digest)
        fsync_folder(path.parent)
        return True

    def discard(self, digest: str) -> int:
        """Remove an unreferenced blob, for pruning; return its size in bytes."""
        path = self.blob(digest)
        size = size_of(path) or 0
        path.unlink(missing_ok=True)
        return size

    # Generations

    def stored(self) -> tuple[Stored, ...]:
        """Every generation known here, oldest first by (epoch, sequence), what years left too; see `listed`, `find`."""
        folders = self.folders()  # before the history, into which one may go just now
        old = self.history.index()
        apart = frozenset(folders)
        found = {name: stored_of(name, it.parts) for name, it in old.items() if name not in apart}
        found |= {name: self._stored(name) for name in folders}
        return tuple(stored for name in sorted(found) if (stored := found[name]))

    def listed(self) -> tuple[Stored, ...]:
        """Those that are held or damaged, oldest first: each has a folder, and nothing of years of others is read."""
        return tuple(it for it in self.newest_first() if it.listed)[::-1]

    def names(self) -> tuple[str, ...]:
        """The names of all generations known here, oldest first; one whose folder a cut left empty is among them."""
        return tuple(sorted({*self.folders(), *self.history.index()}))

    def folders(self) -> tuple[str, ...]:
        """The names of those that have a folder, oldest first: each that is listed, others until they are shelved."""
        names = os.listdir(self.generations) if self.generations.exists() else []
        return tuple(sorted(name for name in names if name.count(".") == 2))

    def first_after(self, epoch: str) -> str:
        """The name of the first generation known of an epoch later than `epoch`, five digits; "" when there is none."""
        later = (name for name in self.folders() if name[: len(epoch)] > epoch)
        return min(filter(None, (next(later, ""), self.history.first_after(epoch))), default="")

    def count(self) -> int:
        """How many generations are known here; one that was held again since it was shelved counts twice."""
        return len(self.folders()) + self.history.count()

    def newest_held(self, over: Container[str] = ()) -> Stored | None:
        """The newest generation held here whose name is not in `over`; None when there is none."""
        return next((it for it in self.newest_first() if it.held and it.name not in over), None)

    def newest_first(self) -> Iterator[Stored]:
        """Those that have a folder, the newest first, each read when it is asked for: no years of older ones are."""
        return (stored for name in reversed(self.folders()) if (stored := self._stored(name)))

    def _stored(self, name: str) -> Stored | None:
        """None for a folder that a cut left empty."""
        try:
            parts = set(os.listdir(self.generations / name))
        except FileNotFoundError:
            parts = set()
        if HEADER not in parts and (old := self.history.find(name)):
            parts |= old.parts
        return stored_of(name, parts)

    def find(self, name: str) -> Stored | None:
        """The generation of that folder name, which a peer may have sent; None when it is not known here."""
        return self._stored(name) if GENERATION_NAME.fullmatch(name) else None

    def path(self, name: str, part: str) -> Path:
        return self.generations / name / part

    def read(self, name: str, part: str) -> bytes:
        """The file `part` of generation `name`; raise NotFound when it is not here."""
        try:
            return self.path(name, part).read_bytes()
        except FileNotFoundError as error:
            if not self.path(name, HEADER).exists() and (raw := self.history.parts(name).get(part)) is not None:
                return raw
            raise NotFound(f"generation {name} has no {part} here.") from error

    def knows(self, generation: GenerationId) -> bool:
        return self.path(generation.name, HEADER).exists() or self.history.find(generation.name) is not None

    def holds(self, generation: GenerationId) -> bool:
        stored = self._stored(generation.name)
        return stored is not None and stored.held

    def add_headers(self, headers: Iterable[tuple[GenerationId, bytes]]) -> None:
        """Keep headers whose signatures and places in the chain were checked; a long history in few files."""
        new = [(generation.name, raw) for generation, raw in headers if not self.knows(generation)]
        folders = new if len(new) <= FOLDERS_AT_ONCE_MAX else new[-1:]
        self.history.add({name: {HEADER: raw} for name, raw in new[: len(new) - len(folders)]})
        for name, raw in folders:
            make_folder_within(self.generations / name)
            write_atomic(self.path(name, HEADER), raw, mode=0o440)
            fsync_folder(self.generations)

    def unshelve(self, name: str) -> None:
        """Have the documents of a generation in a folder of its own, where they can be added to; the header comes last,
        since a folder without one is looked up in the history."""
        make_folder_within(self.generations / name)
        parts = {} if self.path(name, HEADER).exists() else self.history.parts(name)
        for part in sorted(parts, key=lambda it: it == HEADER):
            write_atomic(self.path(name, part), parts[part], mode=0o440)
        fsync_folder(self.generations)

    def publish(self, generation: GenerationId, listing: bytes, entries: Iterable[Entry], receipt: bytes) -> None:
        """Make a generation held; the caller holds the lock, so pruning cannot remove a blob between check and
        receipt."""
        lacking = [entry.path for entry in entries if not self.has(entry)]
        if lacking:
            of = f"of generation {generation}"
            what = format_count(len(lacking), f"file {of} is", f"files {of} are")
            raise NotFound(f"{what} no longer here.", remedy="Push again.")
        # A folder that a cut session made may still be known to memory only.
        for folder in (self.root.parent, self.root, self.pool, self.grants, self.generations):
            fsync_folder(folder)
        write_atomic(self.path(generation.name, LIST), listing, mode=0o440)
        write_atomic(self.path(generation.name, RECEIPT), receipt, mode=0o440)
        self.path(generation.name, DAMAGED).unlink(missing_ok=True)

    def entries(self, name: str) -> tuple[Entry, ...]:
        """The list of a listed generation; its hash was checked when it was published and is again by the scrub."""
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

    def used(self) -> tuple[int, int]:
        """Bytes of everything in this holding, and how many files and folders; each counts as at least NAME_BYTES."""
        total = names = 0
        for folder, _, files in os.walk(self.root):
            names += 1 + len(files)
            total += NAME_BYTES
            for name in files:
                total += max(NAME_BYTES, size_of(f"{folder}/{name}") or 0)
        return total, names

    def used_bytes(self) -> int:
        return self.used()[0]


def size_of(path: Path | str) -> int | None:
    """Bytes of the regular file `path`; None when there is none, and for a link, which nothing here ever follows."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def is_whole(path: Path, digest: str) -> bool:
    """Whether `path` has the hash that is its name. A file that its disk cannot read any more is corrupt: a checksum of
    btrfs or of the disk itself found that before ours could."""
    try:
        return sha256_file(path) == digest
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return False


def make_folder_within(path: Path) -> Path:
    """Create the folder `path` unless it is there, as readable as the one it lies in; return it."""
    if not path.exists():
        path.mkdir(mode=stat.S_IMODE(path.parent.stat().st_mode), exist_ok=True)
    return path


@contextlib.contextmanager
def full_disk_named() -> Iterator[None]:
    """Raise NoSpace, which names no path of ours, for what the system says of a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise NoSpace("the peer's disk is full.", remedy="Push again when space is free: what came is kept.") from error


def _is_own(path: Path) -> bool:
    try:
        return path.lstat().st_uid == os.geteuid()
    except FileNotFoundError:
        return False


def _reader_of(file: BinaryIO) -> Callable[[int], bytes]:
    """Return the function that `receive` reads with; a file that got shorter meanwhile ends it."""

    def read_some(size_max: int) -> bytes:
        if piece := file.read(size_max):
            return piece
        raise OSError(errno.ENODATA, "it became shorter while it was read")

    return read_some


def _open_partial(path: Path) -> int:
    """A descriptor of our own partial, never of what a link there points to."""
    with contextlib.suppress(FileNotFoundError):
        if size_of(path) is None or not _is_own(path):
            path.unlink()
        else:
            path.chmod(0o600)  # a cut after its last byte left it read-only
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
