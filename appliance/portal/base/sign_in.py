"""Is it who it says? A password and a second factor, asked of every store of accounts that this node serves.

Whatever is wrong, the answer is one and takes the same time: for a name that nobody has, a password is hashed as well.
A node vouches for its own people only: somebody with accounts at two town halls signs in for both at once where both
have the same password and second factor, and neither can let anybody into the other.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from appliance.accounts.model import Account, Store
from appliance.accounts.passwords import is_password, slow_hash
from appliance.accounts.second_factor import printed_code, totp_step
from appliance.portal.base.database import Database, hashed
from appliance.portal.base.limits import Tries
from appliance.portal.base.person import Person
from appliance.secret import Secret

type Stores = Callable[[], tuple[Store, ...]]
ANSWER_SECONDS = 0.5
"""An answer takes this long, whatever was looked at for it."""
PASSWORD_BYTES_MAX = 1024


@dataclass(frozen=True)
class Wait:
    """Too many tries: nothing was looked at."""

    seconds: float


class Authenticator:
    """Lets people in whose accounts are in `stores`; one password is hashed at a time, for the memory it takes."""

    def __init__(self, database: Database, stores: Stores, *, answer_seconds: float = ANSWER_SECONDS) -> None:
        self.stores = stores
        self._database = database
        self._tries = Tries(database)
        self._answer_seconds = answer_seconds
        self._one = threading.Lock()
        self._nobodys = slow_hash(Secret(b"nobody has this password"))

    def enter(self, name: str, password: bytes, code: str, *, address: str, now: float) -> Person | Wait | None:
        """The person, with those nodes that let it in; None when none does."""
        started = time.monotonic()
        wait = self._tries.count(name, address, now)
        if wait and self._is_printed(name, code):
            wait = self._tries.count_printed(name, now)
        if wait:
            return Wait(wait)
        typed = Secret(password[:PASSWORD_BYTES_MAX].decode(errors="replace").encode())
        with self._one:
            proven = list(self._proven(name, typed))
        entered = [(store, account) for store, account in proven if self._spend(store.node, account, code, now)]
        if entered:
            self._tries.forget(name, address)
        time.sleep(max(0.0, started + self._answer_seconds - time.monotonic()))
        return person(entered)

    def _is_printed(self, name: str, code: str) -> bool:
        """Whether `code` is a printed one of `name` that was not shown before: who has it is let past the tries that
        somebody else makes to keep the others out."""
        accounts = [(store.node, store.accounts[name]) for store in self.stores() if name in store.accounts]
        shown = [(node, printed_code(account.codes, code)) for node, account in accounts if not account.disabled]
        query = "SELECT 1 FROM spent WHERE node = ? AND name = ? AND code = ?"
        with self._database.changing() as connection:
            return any(it and not connection.execute(query, (node, name, it)).fetchone() for node, it in shown)

    def _proven(self, name: str, password: Secret) -> Iterator[tuple[Store, Account]]:
        for store in self.stores() or (Store(""),):
            account = store.accounts.get(name)
            enters = account is not None and not account.disabled and account.totp is not None
            kept = account.slow_hash if account and enters else self._nobodys
            if is_password(password, kept) and account and enters:
                yield store, account

    def _spend(self, node: str, account: Account, code: str, now: float) -> bool:
        """Whether `code` is one of this account that was not shown before."""
        assert account.totp is not None
        step, printed = totp_step(account.totp, code, now), printed_code(account.codes, code)
        with self._database.changing() as connection:
            if step is not None:
                statement = (
                    "INSERT INTO step VALUES(?, ?, ?) ON CONFLICT DO UPDATE SET step = excluded.step"
                    " WHERE excluded.step > step"
                )
                return connection.execute(statement, (node, account.name, step)).rowcount == 1
            if printed is not None:
                values = (node, account.name, printed, now)
                return connection.execute("INSERT OR IGNORE INTO spent VALUES(?, ?, ?, ?)", values).rowcount == 1
        return False


def person(entered: Iterable[tuple[Store, Account]]) -> Person | None:
    """One person of the accounts that let it in; None when there are none."""
    found = list(entered)
    if not found:
        return None
    groups = {store.node: account.groups for store, account in found}
    return Person(found[0][1].name, found[0][1].title, groups)


def mark(account: Account) -> str:
    """Changes with whatever lets this account in: a session that began with another one ends."""
    totp = account.totp.reveal().decode() if account.totp else ""
    return hashed(f"{account.slow_hash.reveal().decode()} {totp}")
