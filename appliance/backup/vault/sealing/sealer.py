"""The port by which a replica is changed: every sealed file is written, removed and signed for behind it.

In process mode one account is all of a node and does it itself (`sealer_local.py`). On a real host sealed files belong
to an account of their own, and the sessions and the agent ask that account's helper (`sealer_client.py`,
`sealer_server.py`). The helper never believes its caller: it checks every signature, hash and place in the chain again.
Both versions pass one contract suite.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from appliance.backup.vault.offer import Offer
from appliance.backup.vault.relay import Relay
from appliance.trust.generation import Header
from appliance.trust.grant import Grant

if TYPE_CHECKING:  # a session scrubs and prunes nothing, and pays for neither
    from appliance.backup.vault.maintenance.damage import Damage
    from appliance.backup.vault.maintenance.pruning import Pruned
    from appliance.backup.vault.maintenance.scrub import Budget, Scrubbed


@dataclass(frozen=True)
class RepairDocuments:
    """Checked documents of another replica node that may replace damaged ones here; `lists` by the generation's folder
    name.

    `receipts`: sign our own lost receipts again; the lock of those generations then starts over.
    """

    grants: tuple[Grant, ...] = ()
    headers: tuple[Header, ...] = ()
    lists: Mapping[str, bytes] = field(default_factory=dict)
    receipts: bool = False


class Sealer(Protocol):
    """Each method is safe to repeat and to interrupt, and raises ApplianceError when it refuses."""

    def prepare(self, service: str) -> None:
        """Make the folders of a holding; in `partial/` its receiver may write, nowhere else."""

    def keep(self, service: str, grants: Iterable[Grant], headers: Sequence[Header] = ()) -> None:
        """Keep grants and headers, oldest first; those known already stay as they are."""

    def take(self, service: str, digest: str, path: Path) -> None:
        """Make the whole partial `path` a blob of the pool, durable and out of its giver's reach; it is gone then."""

    def publish(self, service: str, offer: Offer, relay: Relay | None) -> bytes | None:
        """Make a generation held whose blobs are all here, and return its receipt; None while one is missing."""

    def still(self, service: str, raw: bytes) -> bytes:
        """Keep the statement `raw` that nothing changed since the newest generation, and return our receipt for it."""

    def recheck(self, service: str, digests: Sequence[str]) -> None:
        """Read these blobs again and set aside those that fail their own hash."""

    def repair(self, service: str, documents: RepairDocuments) -> tuple[Damage, ...]:
        """Replace what is damaged by what is proven in `documents`; what is still known to be wrong then."""

    def scrub(self, service: str, budget: Budget) -> Scrubbed:
        """Read on where the last scrub stopped (`vault/maintenance/scrub.py`)."""

    def prune(self, service: str) -> Pruned:
        """Let go of what retention no longer keeps (`vault/maintenance/pruning.py`)."""

    def alarm(self, service: str, reason: str) -> None:
        """Freeze pruning for 14 days from now (`vault/maintenance/freeze.py`)."""
