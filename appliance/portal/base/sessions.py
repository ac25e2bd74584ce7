"""Sessions are kept here and the browser holds a number that means nothing: they end when we say so.

A session begins at sign-in and never before, so none that an attacker laid into a browser becomes somebody's. It ends
after half an hour without a page, after a working day, at sign-out, and at once when the account is disabled, removed,
or given another password or sheet. One that began at a moment that is still to come began by a wrong clock, and has
ended.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from appliance.accounts.model import Store
from appliance.clock import SKEW_SECONDS_MAX
from appliance.portal.base.database import Database, hashed
from appliance.portal.base.person import Person
from appliance.portal.base.sign_in import Stores, mark, person
from appliance.units import HOUR, MINUTE

IDLE_SECONDS, LONGEST_SECONDS = 30 * MINUTE, 10 * HOUR
SEEN_EVERY_SECONDS = MINUTE
"""The half hour is counted from a page that is at most this much older than the last one."""


@dataclass(frozen=True)
class Session:
    """`form_token` is what every form of this session carries; `ends` in UTC seconds, unless a page is asked before."""

    person: Person
    form_token: str
    ends: float


class Sessions:
    """The sessions in `database`, of people whose accounts are in `stores`."""

    def __init__(self, database: Database, stores: Stores) -> None:
        self._database = database
        self._stores = stores

    def begin(self, who: Person, now: float) -> str:
        """The token of a new session of `who`."""
        token = secrets.token_urlsafe(32)
        marks = {store.node: mark(store.accounts[who.name]) for store in self._stores() if store.node in who.groups}
        row = (hashed(token), who.name, json.dumps(marks), secrets.token_bytes(32), now, now)
        with self._database.changing() as connection:
            connection.execute(f"DELETE FROM session WHERE NOT ({_LASTS})", _bounds(now))
            connection.execute("INSERT INTO session VALUES(?, ?, ?, ?, ?, ?)", row)
        return token

    def find(self, token: str, now: float) -> Session | None:
        """The session of `token`, which starts its half hour over; None when it ended or never was."""
        if not token:
            return None
        with self._database.reading() as connection:
            row = connection.execute(
                f"SELECT * FROM session WHERE id = ? AND {_LASTS}", (hashed(token), *_bounds(now))
            ).fetchone()
        if row is None:
            return None
        if now - row["seen"] >= SEEN_EVERY_SECONDS:  # each write waits for the disk
            with self._database.changing() as connection:
                connection.execute("UPDATE session SET seen = ? WHERE id = ?", (now, row["id"]))
        who = _still(self._stores(), row["name"], json.loads(row["marks"]))
        if who is None:
            self.end(token)
            return None
        form_token = hmac.new(row["form_key"], b"form", hashlib.sha256).hexdigest()
        return Session(who, form_token, min(now + IDLE_SECONDS, row["began"] + LONGEST_SECONDS))

    def end(self, token: str) -> None:
        with self._database.changing() as connection:
            connection.execute("DELETE FROM session WHERE id = ?", (hashed(token),))


_LASTS = "began >= ? AND seen >= ? AND began <= ?"


def _bounds(now: float) -> tuple[float, float, float]:
    return now - LONGEST_SECONDS, now - IDLE_SECONDS, now + SKEW_SECONDS_MAX


def _still(stores: tuple[Store, ...], name: str, marks: Mapping[str, str]) -> Person | None:
    """The person, for the nodes that let it in with what it showed at sign-in."""
    return person(
        (store, account)
        for store in stores
        if (account := store.accounts.get(name)) and not account.disabled and marks.get(store.node) == mark(account)
    )
