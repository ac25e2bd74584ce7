"""The accounts of one town hall, and what may be done to them. Pure: each change is a new store."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from appliance.accounts.groups import EVERYBODY
from appliance.accounts.passwords import NT_HASH, SLOW_HASH
from appliance.accounts.second_factor import CODE_HASH, CODES, TOTP
from appliance.errors import ApplianceError, NotFound, UsageError
from appliance.secret import Secret
from appliance.territory.model import GROUP
from appliance.units import as_typed

NAME = re.compile(r"[a-z](?:[a-z0-9]|[.-](?=[a-z0-9])){0,31}")
TITLE_LENGTH_MAX = 100
# Accounts of the appliance itself; those by which other nodes reach the vault are called vault-NODE.
RESERVED = ("appliance", "vault-")
# Debian's packages make these when a role installs them, and would take a person's for their own. What begins with "_"
# (_chrony, _tang) is no name of a person; what every machine has from the beginning (www-data, sshd) is seen there.
SYSTEM = frozenset({"etcd", "nut", "postgres", "prometheus", "tss"})


@dataclass(frozen=True)
class Account:
    """One person. `title` is the name for people; `password_set` in UTC seconds: when the hashes were made.

    `totp` is the secret that a phone has as well, None for somebody who was given no sheet and enters no page;
    `codes` are the hashes of the printed codes of that sheet.
    """

    name: str
    title: str
    nt_hash: Secret
    slow_hash: Secret
    password_set: int
    groups: tuple[str, ...] = ()
    disabled: bool = False
    totp: Secret | None = None
    codes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Store:
    """The accounts of the node `node`, by name."""

    node: str
    accounts: Mapping[str, Account] = field(default_factory=dict)

    def account(self, name: str) -> Account:
        """The account `name`; raise NotFound with the known ones."""
        if name not in self.accounts:
            known = ", ".join(sorted(self.accounts)) or "none yet"
            raise NotFound(f'there is no account "{name}" at {self.node}; known: {known}.')
        return self.accounts[name]


def put(store: Store, account: Account) -> Store:
    """`store` with `account` instead of that of its name; raise UsageError when something of it is no name."""
    check(account)
    store.account(account.name)
    return _with(store, account)


def add(store: Store, account: Account) -> Store:
    """`store` with a new account; raise ApplianceError when the name is taken, UsageError when something is no name."""
    check(account)
    if account.name in store.accounts:
        again = as_typed("appliance", "account", "passwd", account.name)
        raise ApplianceError(
            f"{account.name} is already an account of {store.node}.",
            remedy=f"Its password: `{again}`.",
        )
    return _with(store, account)


def renew(store: Store, name: str, nt_hash: Secret, slow_hash: Secret, now: int) -> Store:
    """`store` after a change of the password of `name`, at `now` in UTC seconds."""
    changed = replace(store.account(name), nt_hash=nt_hash, slow_hash=slow_hash, password_set=now)
    return _with(store, changed)


def give_sheet(store: Store, name: str, totp: Secret | None, codes: tuple[str, ...]) -> Store:
    """`store` with another second factor of `name`: what the sheet before it says is refused from then on."""
    changed = replace(store.account(name), totp=totp, codes=codes)
    check(changed)
    return _with(store, changed)


def allow(store: Store, name: str, *, disabled: bool) -> Store:
    """`store` with `name` disabled, or let in again."""
    return _with(store, replace(store.account(name), disabled=disabled))


def remove(store: Store, name: str) -> Store:
    """`store` without `name`; raise NotFound when it is not there."""
    store.account(name)
    return replace(store, accounts={key: it for key, it in store.accounts.items() if key != name})


def check(account: Account) -> None:
    """Raise UsageError unless everything of `account` is what it must be: root will make accounts of it."""
    check_name(account.name)
    check_groups(account.groups)
    if not account.title.isprintable() or not 1 <= len(account.title) <= TITLE_LENGTH_MAX:
        raise UsageError(f"the display name of {account.name} must be one line of at most {TITLE_LENGTH_MAX} letters.")
    if not NT_HASH.fullmatch(account.nt_hash.reveal().decode("ascii", "replace")):
        raise UsageError(f"the stored password of {account.name} is not an NT hash.")
    if not SLOW_HASH.fullmatch(account.slow_hash.reveal().decode("ascii", "replace")):
        raise UsageError(f"the stored password of {account.name} is not one of our slow hashes.")
    if account.totp and not TOTP.fullmatch(account.totp.reveal().decode("ascii", "replace")):
        raise UsageError(f"the second factor of {account.name} is not one of our secrets.")
    if len(account.codes) > CODES or not all(CODE_HASH.fullmatch(code) for code in account.codes):
        raise UsageError(f"the printed codes of {account.name} are not our hashes.")


def check_name(name: str) -> None:
    """Raise UsageError unless `name` can be an account."""
    if not NAME.fullmatch(name):
        raise UsageError(
            f'"{name}" is not a valid account name: use small letters, digits, "." and "-" inside, a letter first, '
            "at most 32.",
            remedy="Accents go into the display name, --title.",
        )
    if name.startswith(RESERVED):
        raise UsageError(f'"{name}" starts like an account of the appliance itself.', remedy="Choose another.")
    if name in SYSTEM:
        raise UsageError(f'"{name}" is an account of the machine, not of a person.', remedy="Choose another.")


def check_groups(groups: Iterable[str]) -> None:
    """Raise UsageError unless each of `groups` can be a group."""
    for group in groups:
        if group == EVERYBODY:
            raise UsageError(f'every account is always in "{EVERYBODY}".', remedy="Omit it.")
        if not GROUP.fullmatch(group):
            raise UsageError(
                f'"{group}" is not a valid group: use small letters, digits and single hyphens between them, at most '
                "24."
            )


def _with(store: Store, account: Account) -> Store:
    return replace(store, accounts={**store.accounts, account.name: account})
