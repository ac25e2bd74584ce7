"""How often somebody may try to sign in: counted before a password is looked at, for names that nobody has as well."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.portal.base.database import Database, hashed
from appliance.units import MINUTE

WINDOW_SECONDS = 15 * MINUTE
PER_NAME, PER_ADDRESS = 5, 30
"""A whole town hall may sit behind one address."""


@dataclass(frozen=True)
class Tries:
    """The tries that `database` remembers."""

    database: Database

    def count(self, name: str, address: str, now: float) -> float:
        """Count one more; how many seconds to wait before it would be looked at, 0 when it is now."""
        keys = ((f"name {hashed(name)}", PER_NAME), (f"from {address}", PER_ADDRESS))
        with self.database.changing() as connection:
            connection.execute("DELETE FROM try WHERE at <= ?", (now - WINDOW_SECONDS,))
            waits = []
            for key, most in keys:
                rows = connection.execute("SELECT at FROM try WHERE key = ? ORDER BY at DESC LIMIT ?", (key, most))
                times = [row["at"] for row in rows]
                waits.append(times[-1] + WINDOW_SECONDS - now if len(times) == most else 0.0)
            if not any(waits):  # who is made to wait waits no longer for asking again
                connection.executemany("INSERT INTO try VALUES(?, ?)", [(key, now) for key, _ in keys])
        return max(waits)

    def forget(self, name: str) -> None:
        """Somebody came in as `name`: what was mistyped before counts no more."""
        with self.database.changing() as connection:
            connection.execute("DELETE FROM try WHERE key = ?", (f"name {hashed(name)}",))
