"""Three days of generations at a holder, and what thinning makes of them."""

from __future__ import annotations

from appliance.backup.vault.maintenance.thinning import Thinned, thin_holding
from appliance.units import DAY
from tests.integration.desk.desk import HOLDER, SERVICE, Desk, Generation, assert_whole


def thin_here(desk: Desk) -> Thinned:
    return thin_holding(desk.open(HOLDER), SERVICE)


def held_here(desk: Desk) -> list[str]:
    return assert_whole(desk)


def days_of(desk: Desk, days: int, per_day: int = 4) -> list[Generation]:
    """A history: `per_day` generations on each of `days` days, pushed as they were made."""
    grant = desk.grant()
    made: list[Generation] = []
    for number in range(days * per_day):
        files = {"config": b"config", "data/0/0": b"stays", f"data/0/{number + 1}": b"%d" % number * 9}
        made.append(desk.seal(grant, files, made[-1] if made else None))
        desk.put(made[-1], grant)
        desk.advance(DAY / per_day)
    return made
