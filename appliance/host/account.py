"""Work as the account that owns a folder, when root typed: a file that root made there would lock that account out.

Root starts the same program again as that account and gives up everything but what putting files back needs: to read
and write what is others', to give a file its owner, mode, attributes and kind, and to ask whether one is open. It can
then neither load a module, nor change an address, nor end another's process. setpriv does it, since it sets all of it
or starts nothing.

A verb that stays root works as that account for a while where it looks into such a folder: `as_owner`.
"""

from __future__ import annotations

import os
import pwd
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from appliance.errors import Refused

POWERS = ("chown", "dac_override", "dac_read_search", "fowner", "fsetid", "lease", "mknod", "setfcap")
"""Capabilities kept, in setpriv's names: borg gives back owners, modes, setgid bits, devices, file capabilities; and a
lease says whether somebody has a file open that a merge would replace (`host/disks/opened.py`)."""
_ROOT = 0


def step_down_to_owner(folder: Path) -> None:
    """Return when this process is not root's, or `folder` is; else start this program again as the owner of `folder`.

    The owner of a folder that is not there yet is that of the nearest one that is. The command line, the terminal and
    the working folder stay as they are. Raise Refused when the owner is no account of this machine.
    """
    if os.geteuid() != _ROOT:
        return
    owner = next(it for it in (folder, *folder.absolute().parents) if it.exists()).stat().st_uid
    if owner == _ROOT:
        return
    account = _account(owner, folder)
    argv = (sys.executable, *sys.orig_argv[1:])
    # setpriv would die of a Ctrl-C; this program, started again, answers it (`cli/main.py: run`).
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))
    os.execvpe("setpriv", setpriv(account, argv), environment(account, os.environ))


@contextmanager
def as_owner(folder: Path) -> Iterator[None]:
    """Work as the account that owns `folder`, without any power of root's, and be root again afterwards.

    So no link in that folder leads to what the account may not read, and what is made there is the account's. A program
    that is started meanwhile stays that account. Nothing happens when this process is not root's, or `folder` is, or
    is not there yet.
    """
    owner = folder.stat().st_uid if folder.exists() else _ROOT
    if os.geteuid() != _ROOT or owner == _ROOT:
        yield
        return
    account, groups = _account(owner, folder), os.getgroups()
    try:
        os.setgroups(os.getgrouplist(account.pw_name, account.pw_gid))
        os.setresgid(account.pw_gid, account.pw_gid, _ROOT)
        os.setresuid(account.pw_uid, account.pw_uid, _ROOT)
        yield
    finally:
        os.setresuid(_ROOT, _ROOT, _ROOT)
        os.setresgid(_ROOT, _ROOT, _ROOT)
        os.setgroups(groups)


def setpriv(account: pwd.struct_passwd, argv: Sequence[str]) -> tuple[str, ...]:
    """The command that runs `argv` as `account`, with POWERS and without any other."""
    powers = ",".join(("-all", *(f"+{power}" for power in POWERS)))
    kept = (f"--bounding-set={powers}", f"--inh-caps={powers}", f"--ambient-caps={powers}", "--no-new-privs")
    return ("setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--init-groups", *kept, "--", *argv)


def environment(account: pwd.struct_passwd, present: Mapping[str, str]) -> dict[str, str]:
    """`present` with the names and the home of `account`: ssh and psql look there, and root's is none of theirs."""
    return {**present, "HOME": account.pw_dir, "USER": account.pw_name, "LOGNAME": account.pw_name}


def _account(uid: int, folder: Path) -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(uid)
    except KeyError as error:
        raise Refused(
            f"it belongs to the account {uid}, which does not exist on this machine.",
            where=str(folder),
            remedy="Give it to the account of the node: chown -R appliance: FOLDER",
        ) from error
