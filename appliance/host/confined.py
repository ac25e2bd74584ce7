"""Start a program that reaches the folders it is given, and nothing else of this machine.

It is held in a domain of Landlock (landlock(7)), whatever its account and capabilities are: it opens, makes, renames
and removes nothing elsewhere, runs nothing that it wrote, opens no TCP connection, and sends no signal to a process
outside. The domain is made for one thread, which starts the program and ends; this process is in none. No other
program stands in front: Debian's setpriv calls `capset`, which our units refuse, and knows of files only.

A domain does not hold back who changes the mode, the owner, the times or the attributes of a file, who asks whether one
is there, and who speaks to a socket that has a name in the tree of files.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from appliance.errors import Unsupported

# From <linux/landlock.h> and <linux/prctl.h>; the three calls have these numbers on every machine.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_NO_NEW_PRIVILEGES, _VERSION, _PATH_BENEATH = 38, 1, 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE, _IOCTL_DEVICE = (
    1 << 0,
    1 << 1,
    1 << 2,
    1 << 3,
    1 << 14,
    1 << 15,
)
_OF_A_FILE = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
_FILES_FROM = {3: (1 << 15) - 1, 5: (1 << 16) - 1}
_NETWORK_FROM, _TCP = 4, 0b11
_SCOPES_FROM, _SCOPES = 6, 0b11
ABI_MIN = 3
"""Linux 6.2: an older Landlock lets a file be emptied that may not be written."""

PROGRAMS = tuple(map(Path, ("/usr", "/lib", "/lib64", "/bin")))
_OF_ETC = "group host.conf hosts ld.so.cache locale.alias localtime nsswitch.conf passwd python3.13 resolv.conf"
OF_THE_MACHINE = (
    *(Path("/etc", name) for name in (*_OF_ETC.split(), "ssl/certs", "ssl/openssl.cnf")),
    Path("/dev/random"),
    Path("/dev/urandom"),
)
"""The files that a program in Python asks for: names of accounts and of this machine. None of them is a secret."""
_SINK = Path("/dev/null")

_LIBRARY = ctypes.CDLL(None, use_errno=True)
_LIBRARY.syscall.restype = ctypes.c_long


@dataclass(frozen=True)
class Reach:
    """The files that a program may open besides its own code: `lists` by name only, with all folders below."""

    writes: tuple[Path, ...] = ()
    reads: tuple[Path, ...] = ()
    lists: tuple[Path, ...] = ()
    runs: tuple[Path, ...] = ()


def start_confined[P](reach: Reach, start: Callable[[], P]) -> P:
    """Return the answer of `start`, called where every program that it starts is held to `reach`; as it is where
    `why_not`."""
    if why_not():
        return start()
    ruleset = _ruleset(reach)
    try:
        return _Apart(ruleset, start).answer()
    finally:
        os.close(ruleset)


@cache
def why_not() -> str:
    """Why this kernel confines nothing, as a part of a sentence; "" when it does."""
    abi = _abi()
    if abi >= ABI_MIN:
        return ""
    if abi > 0:
        return "its Landlock is older than that of Linux 6.2"
    reasons = {errno.ENOSYS: "it has no Landlock", errno.EOPNOTSUPP: "Landlock is not among the modules of `lsm=`"}
    return reasons.get(-abi, f"Landlock is refused ({os.strerror(-abi).lower()})")


class _Apart[P](threading.Thread):
    """Enters the domain, calls `start`, and ends: nothing else of this process ever runs in the domain."""

    def __init__(self, ruleset: int, start: Callable[[], P]) -> None:
        super().__init__(name="confined")
        self._ruleset, self._start_program = ruleset, start
        self._answers: list[P] = []
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            _enter(self._ruleset)
            self._answers.append(self._start_program())
        except BaseException as error:  # it is raised where somebody waits for it
            self._error = error

    def answer(self) -> P:
        self.start()
        self.join()
        if self._error is not None:
            raise self._error
        return self._answers[0]


def _enter(ruleset: int) -> None:
    if _LIBRARY.prctl(_NO_NEW_PRIVILEGES, *map(ctypes.c_ulong, (1, 0, 0, 0))) != 0:
        raise _refused()
    _call(_RESTRICT_SELF, ctypes.c_long(ruleset), ctypes.c_long(0))


def _ruleset(reach: Reach) -> int:
    """A descriptor of the domain's rules."""
    abi = _abi()
    handled = max(files for first, files in _FILES_FROM.items() if abi >= first)
    # struct landlock_ruleset_attr: handled_access_fs, handled_access_net, scoped
    wanted = (handled, _TCP if abi >= _NETWORK_FROM else 0, _SCOPES if abi >= _SCOPES_FROM else 0)
    ruleset = _call(_CREATE_RULESET, struct.pack("=3Q", *wanted), ctypes.c_long(24), ctypes.c_long(0))
    try:
        for path, access in rules(reach):
            _allow(ruleset, path, access & handled)
    except BaseException:
        os.close(ruleset)
        raise
    return ruleset


def rules(reach: Reach) -> Iterator[tuple[Path, int]]:
    """Each path with the rights to it and to all below; pure. A file that may be written cannot be run."""
    reads = _READ_FILE | _READ_DIR
    everything = (1 << 16) - 1 & ~_EXECUTE & ~_IOCTL_DEVICE
    yield from ((path, reads | _EXECUTE) for path in (*PROGRAMS, *reach.runs))
    yield from ((path, reads) for path in (*OF_THE_MACHINE, *reach.reads))
    yield from ((path, _READ_DIR) for path in reach.lists)
    yield from ((path, everything) for path in reach.writes)
    yield _SINK, _READ_FILE | _WRITE_FILE | _TRUNCATE


def _allow(ruleset: int, path: Path, access: int) -> None:
    """Nothing is allowed where nothing is."""
    with suppress(OSError):
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            allowed = access if stat.S_ISDIR(os.fstat(place).st_mode) else access & _OF_A_FILE
            if allowed:  # struct landlock_path_beneath_attr: allowed_access, parent_fd; packed
                rule = struct.pack("=Qi", allowed, place)
                _call(_ADD_RULE, ctypes.c_long(ruleset), ctypes.c_long(_PATH_BENEATH), rule, ctypes.c_long(0))
        finally:
            os.close(place)


@cache
def _abi() -> int:
    """The version of Landlock; where there is none, the negative number of the error."""
    answer: int = _LIBRARY.syscall(*map(ctypes.c_long, (_CREATE_RULESET, 0, 0, _VERSION)))
    return answer if answer > 0 else -ctypes.get_errno()


def _call(number: int, *words: ctypes.c_long | bytes) -> int:
    answer: int = _LIBRARY.syscall(ctypes.c_long(number), *words)
    if answer < 0:
        raise _refused()
    return answer


def _refused() -> Unsupported:
    why = os.strerror(ctypes.get_errno()).lower()
    return Unsupported(
        f"the kernel offers Landlock but does not accept its rules: {why}; nothing was started.",
        remedy="Start it where system calls are not filtered: a unit needs SystemCallFilter=@sandbox.",
    )
