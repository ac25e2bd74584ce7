"""Make a machine's system accounts and Samba's list of passwords what the accounts of town halls say.

Everything here may be repeated and cut: groups and accounts come first, the list last, and a list names nobody who has
no system account. Samba reads it at each login: a new password is in force at once, and the old one no longer.
"""

from __future__ import annotations

import grp
import pwd
from collections.abc import Iterator, Mapping
from pathlib import Path

from appliance.accounts.machine import OURS, Changes, Machine, SystemAccount, samba_list
from appliance.accounts.model import Account
from appliance.host.command import run
from appliance.host.files import write_atomic

TIMEOUT_SECONDS = 60.0


def observe() -> Machine:
    """The accounts and groups of this system."""
    groups = grp.getgrall()
    names = {group.gr_gid: group.gr_name for group in groups}
    accounts = {
        entry.pw_name: SystemAccount(
            entry.pw_uid,
            names.get(entry.pw_gid, ""),
            frozenset(group.gr_name for group in groups if entry.pw_name in group.gr_mem),
        )
        for entry in pwd.getpwall()
    }
    return Machine(accounts, frozenset(names.values()))


def act(changes: Changes) -> None:
    """Make the groups and accounts of `changes`."""
    for argv in commands(changes):
        run(argv, timeout_seconds=TIMEOUT_SECONDS, check=True)


def commands(changes: Changes) -> Iterator[tuple[str, ...]]:
    """Return the commands that carry out `changes`, in its order. No account gets a password, a home directory or a
    shell."""
    for group in changes.groups:
        yield ("groupadd", *(("--system",) if group == OURS else ()), group)
    nowhere = ("--home-dir", "/nonexistent", "--no-create-home", "--shell", "/usr/sbin/nologin")
    for name in changes.accounts:
        yield ("useradd", "--no-user-group", "--gid", OURS, *nowhere, name)
    for name, groups in changes.members:
        yield ("usermod", "--groups", ",".join(groups), name)


def write_samba_list(file: Path, wanted: Mapping[str, tuple[str, Account]], *, dry_run: bool) -> bool:
    """Make `file` Samba's list; whether it was, or with `dry_run` would be, another one."""
    machine = observe()
    if dry_run:
        # Numbers are not known before accounts are there.
        unborn = {name: SystemAccount(0, OURS) for name in wanted if name not in machine.accounts}
        machine = Machine({**machine.accounts, **unborn}, machine.groups)
    text = samba_list(wanted, machine).encode()
    if file.exists() and file.read_bytes() == text:
        return False
    if not dry_run:
        write_atomic(file, text, mode=0o600)
    return True
