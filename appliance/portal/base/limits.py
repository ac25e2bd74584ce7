"""How often somebody may try to sign in: counted before a password is looked at, for names that nobody has as well."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.clock import SKEW_SECONDS_MAX
from appliance.portal.base.database import Database, hashed
from appliance.units import MINUTE

WINDOW_SECONDS = 15 * MINUTE
PER_NAME, PER_NAME_EVERYWHERE, PER_ADDRESS = 5, 30, 30
"""`PER_NAME` counts for one address: wrong passwords that are typed at another one keep nobody out. A whole town hall
may sit behind one address."""
PER_PRINTED = 5


@dataclass(frozen=True)
class Tries:
    """The tries that `database` remembers."""

    database: Database

    def count(self, name: str, address: str, now: float) -> float:
        """Count one more; how many seconds to wait before it would be looked at, 0 when it is now."""
        return self._count(
            now,
            (f"name {hashed(name)} from {address}", PER_NAME),
            (f"name {hashed(name)}", PER_NAME_EVERYWHERE),
            (f"from {address}", PER_ADDRESS),
        )

    def count_printed(self, name: str, now: float) -> float:
        """The same for who shows a right printed code: nobody guesses one, so the tries of others do not count."""
        return self._count(now, (f"printed {hashed(name)}", PER_PRINTED))

    def _count(self, now: float, *keys: tuple[str, int]) -> float:
        with self.database.changing() as connection:
            # One that is still to come was counted while the clock was wrong, and would keep somebody out until then.
            connection.execute(
                "DELETE FROM try WHERE at <= ? OR at > ?", (now - WINDOW_SECONDS, now + SKEW_SECONDS_MAX)
            )
            waits = []
            for key, most in keys:
                rows = connection.execute("SELECT at FROM try WHERE key = ? ORDER BY at DESC LIMIT ?", (key, most))
                times = [row["at"] for row in rows]
                waits.append(times[-1] + WINDOW_SECONDS - now if len(times) == most else 0.0)
            if not any(waits):  # who is made to wait waits no longer for asking again
                connection.executemany("INSERT INTO try VALUES(?, ?)", [(key, now) for key, _ in keys])
        return max(waits)

    def forget(self, name: str, address: str) -> None:
        """Somebody came in as `name`: what was mistyped before counts no more."""
        keys = (f"name {hashed(name)}", f"name {hashed(name)} from {address}", f"printed {hashed(name)}")
        with self.database.changing() as connection:
            connection.executemany("DELETE FROM try WHERE key = ?", [(key,) for key in keys])
