"""Root's side of what is not served here: its folder can be read and not written, by a mount of it upon itself.

    python3 -I -m appliance.programs.read_only begin FOLDER    nothing is written through FOLDER any more
    python3 -I -m appliance.programs.read_only end FOLDER      the last of these mounts goes, from under open files too

The folder that FOLDER is in may belong to a lesser account, which puts a link in its place or exchanges the two at any
moment; those further up are root's (`provision/failover.py`).

Invariant: nothing but the folder that was found at FOLDER is mounted, and upon nothing but itself; nothing but what is
mounted at FOLDER is unmounted. `begin` passes the path once and follows no link at its end: what it copies and what it
covers are one descriptor, so that there is no moment between the two. The copy is read-only before it is anywhere.
`end` unmounts by one call, which follows no link at the end of the path either.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from contextlib import ExitStack

from appliance.errors import ApplianceError, Forbidden, NotFound, Unsupported, UsageError

# From <linux/mount.h>, <fcntl.h> and <sys/mount.h>. The three calls have these numbers on every machine.
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_AT_EMPTY_PATH, _CLONE, _FROM_DESCRIPTOR, _TO_DESCRIPTOR = 0x1000, 0x1, 0x4, 0x40
_RDONLY, _NOSUID, _NODEV = 0x1, 0x2, 0x4
_DETACH, _NOFOLLOW = 0x2, 0x8
_KINDS = {errno.ENOENT: NotFound, errno.EPERM: Forbidden, errno.EACCES: Forbidden, errno.ENOSYS: Unsupported}
_LIBRARY = ctypes.CDLL(None, use_errno=True)
_LIBRARY.syscall.restype = ctypes.c_long


def begin(folder: str) -> None:
    """Mount `folder` upon itself, read-only; raise ApplianceError when nothing was mounted."""
    with ExitStack() as closing:
        place = _open(folder)
        closing.callback(os.close, place)
        tree = _call(folder, _OPEN_TREE, place, b"", _AT_EMPTY_PATH | _CLONE | os.O_CLOEXEC)
        closing.callback(os.close, tree)
        # struct mount_attr: attr_set, attr_clr, propagation, userns_fd
        wanted = bytes((ctypes.c_uint64 * 4)(_RDONLY | _NOSUID | _NODEV))
        _call(folder, _MOUNT_SETATTR, tree, b"", _AT_EMPTY_PATH, wanted, len(wanted))
        _call(folder, _MOVE_MOUNT, tree, b"", place, b"", _FROM_DESCRIPTOR | _TO_DESCRIPTOR)


def end(folder: str) -> None:
    """Unmount what was mounted at `folder` last; raise ApplianceError when nothing was."""
    os.close(_open(folder))  # only to name what is no folder
    if _LIBRARY.umount2(os.fsencode(folder), _DETACH | _NOFOLLOW) != 0:
        number = ctypes.get_errno()
        raise _refused(folder, number, "nothing is mounted here." if number == errno.EINVAL else "")


def _open(folder: str) -> int:
    try:
        return os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        other = f"this is a link or a file, but must be a folder. Find out what created it: ls -l {folder}"
        raise _refused(folder, error.errno or 0, other if error.errno == errno.ENOTDIR else "") from None


def _call(folder: str, number: int, *words: int | bytes) -> int:
    """Return the kernel's answer to its call `number`; raise ApplianceError about `folder`."""
    given = [ctypes.c_long(it) if isinstance(it, int) else it for it in words]
    answer: int = _LIBRARY.syscall(ctypes.c_long(number), *given)
    if answer < 0:
        raise _refused(folder, ctypes.get_errno())
    return answer


def _refused(folder: str, number: int, what: str = "") -> ApplianceError:
    return _KINDS.get(number, ApplianceError)(what or f"{os.strerror(number)}.", where=folder)


def main(*words: str) -> int:
    try:
        if len(words) != 2 or words[0] not in ("begin", "end"):
            raise UsageError("usage: begin FOLDER, or: end FOLDER.")
        (begin if words[0] == "begin" else end)(words[1])
    except ApplianceError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
