"""Take a file over from the account that received it, so that nobody but its new owner can ever change it again.

The order is the proof:

1. It becomes ours and read-only. From now on its giver can neither open it for writing nor change its mode.
2. A read lease (fcntl F_SETLEASE, F_RDLCK) is asked for. The kernel gives none on a file that anybody has open for
   writing, by a descriptor, a shared mapping, or one under way through a socket; so what was opened before step 1 shows
   here, and what is not open now can never be again.
3. It is read and must have its hash. The bytes that were read are then the bytes that stay.
4. The very file that was read gets its name in the pool, by its descriptor.

We open it once more by its name in `partial/`, and go on only if that is the very file that was given. The giver could
move the position of the descriptor it passed; and each unit of a host has mounts of its own, across which the kernel
links nothing: a descriptor of the giver's could be read here, and would get no name.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from appliance.backup.vault.store import Replica, full_disk_named, make_folder_within
from appliance.backup.vault.write_lock import make_locks
from appliance.errors import Forbidden, IntegrityError, Refused

RECEIVERS_FOLDER = 0o770


def make_folders(replica: Replica) -> None:
    """Make the folders of `replica` ours; the group that receives may write where it must, and lock, nothing else."""
    replica.create()
    for folder in (replica.partial, replica.book):
        folder.chmod(RECEIVERS_FOLDER)
    make_locks(replica)


def take_over(replica: Replica, digest: str, given: int, giver: int) -> None:
    """Make the file open as `given`, which belongs to the account `giver`, the blob `digest` of the pool; durable then.

    Raise Forbidden for a file that is not the giver's to give, Refused while somebody can still write to it,
    IntegrityError when it does not have that hash.
    """
    status = os.fstat(given)
    if not stat.S_ISREG(status.st_mode) or status.st_uid not in (giver, os.geteuid()):
        raise Forbidden("only a file of the caller can be submitted for sealing.")
    os.fchown(given, os.geteuid(), os.getegid())
    os.fchmod(given, 0o440)
    with _opened_here(replica.partial / digest, status) as file, full_disk_named():
        _prove_nobody_writes(file)
        if _sha256(file) != digest:
            raise IntegrityError("the submitted file does not match its hash.", remedy="Push again.")
        os.fsync(file)
        _enter(replica, digest, file)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)


@contextlib.contextmanager
def _opened_here(partial: Path, given: os.stat_result) -> Iterator[int]:
    """The file `given`, opened by its name in `partial/`, where a link is not followed and a pipe not waited for."""
    try:
        own = os.open(partial, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise Forbidden("the submitted file is not the partial file of that name.") from error
    try:
        if not os.path.samestat(os.fstat(own), given):
            raise Forbidden("the submitted file is not the partial file of that name.")
        yield own
    finally:
        os.close(own)


def _prove_nobody_writes(file: int) -> None:
    try:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError as error:
        raise Refused("the file is still open for writing.", remedy="Close it, then submit it again.") from error


def _sha256(file: int) -> str:
    with os.fdopen(os.dup(file), "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _enter(replica: Replica, digest: str, file: int) -> None:
    """Link the open file into the pool; a blob of that name is replaced in one step, never missing in between."""
    folder: Path = make_folder_within(replica.blob(digest).parent)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    fresh = f".{digest}.new"
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(fresh, dir_fd=descriptor)
        # With a folder's descriptor it is linkat(AT_SYMLINK_FOLLOW), which links the file and not the link in /proc.
        os.link(f"/proc/self/fd/{file}", fresh, dst_dir_fd=descriptor, follow_symlinks=True)
        os.rename(fresh, digest, src_dir_fd=descriptor, dst_dir_fd=descriptor)
        with contextlib.suppress(FileNotFoundError):  # rename does nothing between two names of one file
            os.unlink(fresh, dir_fd=descriptor)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
