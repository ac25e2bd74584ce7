"""The accounts of town halls on a machine: system accounts without a sign-in, Samba's list of passwords. Pure.

Samba takes a person for the system account of the same name, and what that person writes belongs to it. Such an account
has no password of the system, no shell and no home directory, and is marked as ours by its primary group. It is never
deleted: its number used again would give the next one the files of the last.

A standby may serve the shares of two town halls, each with its "secretariat": system groups carry a mark of the node
that they are of, so that the people of one never enter what belongs to the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from appliance.accounts.groups import EVERYBODY, system_group
from appliance.accounts.model import Account, Store
from appliance.errors import Refused

OURS = "appliance-people"
_NO_LANMAN = "X" * 32


@dataclass(frozen=True)
class SystemAccount:
    """`groups` are the ones besides its primary `group`."""

    number: int
    group: str
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Machine:
    """The accounts and groups that the system has now."""

    accounts: Mapping[str, SystemAccount] = field(default_factory=dict)
    groups: frozenset[str] = frozenset()

    @property
    def taken(self) -> frozenset[str]:
        """Names of accounts that are not ours: of the system, of somebody who works on the machine itself."""
        return frozenset(name for name, account in self.accounts.items() if account.group != OURS)


@dataclass(frozen=True)
class Changes:
    """In this order: groups to make, accounts to make, and of some accounts the groups to set."""

    groups: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    members: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names that a person would call changed."""
        return tuple(dict.fromkeys((*self.groups, *self.accounts, *(name for name, _ in self.members))))


def system_groups(node: str, account: Account) -> tuple[str, ...]:
    """The system groups of an account of `node`."""
    return tuple(system_group(group, node) for group in (EVERYBODY, *account.groups))


def people(
    own: Store, others: Iterable[Store], taken: frozenset[str]
) -> tuple[dict[str, tuple[str, Account]], tuple[str, ...]]:
    """Each account with its node by its name, and a sentence for each of `others` whose name is used here already.

    The machine's own accounts come first: an account from another node never takes a name from a person who works here.
    Raise Refused when the name of an account of `own` is `taken` by the system.
    """
    for name in own.accounts:
        if name in taken:
            raise Refused(f'"{name}" is an account of this machine, not of a person.', remedy="Choose another name.")
    found = {name: (own.node, account) for name, account in own.accounts.items()}
    left_out = []
    for store in others:
        for name, account in store.accounts.items():
            if name in found or name in taken:
                whose = found[name][0] if name in found else "this machine"
                left_out.append(f"{name} of {store.node} is left out: {whose} already has an account of that name.")
            else:
                found[name] = (store.node, account)
    return found, tuple(left_out)


def decide(wanted: Mapping[str, tuple[str, Account]], node: str, machine: Machine) -> Changes:
    """Return the changes that give `machine` the accounts `wanted`.

    An account of ours that nobody wants is left in no group: Samba's list does not name it either.
    """
    groups = {name: system_groups(of, account) for name, (of, account) in wanted.items()}
    needed = (OURS, system_group(EVERYBODY, node), *(group for of_one in groups.values() for group in of_one))
    ours = {name for name, account in machine.accounts.items() if account.group == OURS}
    members = {name: groups.get(name, ()) for name in sorted({*ours, *wanted})}
    return Changes(
        groups=tuple(dict.fromkeys(group for group in needed if group not in machine.groups)),
        accounts=tuple(sorted(name for name in wanted if name not in machine.accounts)),
        members=tuple((name, of_one) for name, of_one in members.items() if set(of_one) != _groups(machine, name)),
    )


def samba_list(wanted: Mapping[str, tuple[str, Account]], machine: Machine) -> str:
    """Samba's list of passwords (smbpasswd(5)) for those of `wanted` who have a system account."""
    lines = [
        _line(account, machine.accounts[name].number)
        for name, (_, account) in sorted(wanted.items())
        if name in machine.accounts
    ]
    return "# Written by `appliance internal account sync`; what is changed here is lost.\n" + "".join(lines)


def _line(account: Account, number: int) -> str:
    flags = "DU" if account.disabled else "U"
    nt_hash = account.nt_hash.reveal().decode()
    # Without its time Samba would ask for another password at each login.
    return f"{account.name}:{number}:{_NO_LANMAN}:{nt_hash}:[{flags:11}]:LCT-{account.password_set:08X}:\n"


def _groups(machine: Machine, name: str) -> frozenset[str]:
    return machine.accounts[name].groups if name in machine.accounts else frozenset()
