"""Three days of generations at a holder, and what pruning makes of them."""

from __future__ import annotations

from appliance.backup.vault.maintenance.pruning import Pruned, prune_replica
from appliance.units import DAY
from tests.worlds.vaults import HOLDER, SERVICE, Generation, VaultWorld, assert_whole


def thin_here(vaults: VaultWorld) -> Pruned:
    return prune_replica(vaults.open(HOLDER), SERVICE)


def held_here(vaults: VaultWorld) -> list[str]:
    return assert_whole(vaults)


def days_of(vaults: VaultWorld, days: int, per_day: int = 4) -> list[Generation]:
    """A history: `per_day` generations on each of `days` days, pushed as they were made."""
    grant = vaults.grant()
    made: list[Generation] = []
    for number in range(days * per_day):
        files = {"config": b"config", "data/0/0": b"stays", f"data/0/{number + 1}": b"%d" % number * 9}
        made.append(vaults.seal(grant, files, made[-1] if made else None))
        vaults.put(made[-1], grant)
        vaults.advance(DAY / per_day)
    return made
