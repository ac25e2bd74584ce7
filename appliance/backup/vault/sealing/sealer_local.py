"""The sealer in this process: all of it in process mode, and behind the helper's checks on a real host."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.backup.vault.maintenance import damage, freeze, replacing
from appliance.backup.vault.maintenance.damage import Damage
from appliance.backup.vault.offer import Offer
from appliance.backup.vault.receipts import sign_receipt
from appliance.backup.vault.relay import Relay, forget_relay, keep_relay
from appliance.backup.vault.replicas import replica_of
from appliance.backup.vault.sealing.sealer import RepairDocuments
from appliance.backup.vault.still import take_still
from appliance.backup.vault.store import RECEIPT, Replica
from appliance.host.files import locked
from appliance.node.handle import Node
from appliance.trust.generation import Header
from appliance.trust.grant import Grant
from appliance.trust.signed import SHA256

if TYPE_CHECKING:
    from appliance.backup.vault.maintenance.pruning import Pruned
    from appliance.backup.vault.maintenance.scrub import Budget, Scrubbed

RECHECKS_MAX = 64


@dataclass(frozen=True)
class LocalSealer:
    """`key` is the file of the node's signing key."""

    node: Node
    key: Path

    def prepare(self, service: str) -> None:
        replica_of(self.node, service).create()

    def keep(self, service: str, grants: Iterable[Grant], headers: Sequence[Header] = ()) -> None:
        replica = replica_of(self.node, service)
        for grant in grants:
            if replica.add_grant(grant.epoch, grant.document.raw):
                self.node.journal.write("vault-grant", service=service, epoch=grant.epoch, writer=grant.writer)
        sides = _sides(replica, [header.id.name for header in headers]) if headers else {}
        for header in headers:
            if sides.get(_number(header.id.name), set()) - {header.id.name}:
                self.node.journal.write("vault-fork", service=service, generation=str(header.id))
        replica.add_headers((header.id, header.document.raw) for header in headers)

    def take(self, service: str, digest: str, path: Path) -> None:
        replica_of(self.node, service).enter_pool(path, digest)

    def publish(self, service: str, offer: Offer, relay: Relay | None) -> bytes | None:
        """A generation that was damaged and is whole again keeps the receipt and the age it had."""
        replica, generation = replica_of(self.node, service), offer.header.id
        with self._locked(service):  # pruning may have run since the last blob came
            if replica.missing(offer.entries):
                return None
            damage.settle(self.node, replica)
            if replica.holds(generation):
                return replica.read(generation.name, RECEIPT)
            receipt = sign_receipt(self.node, self.key, offer.header)
            replica.unshelve(generation.name)
            if relay:
                keep_relay(self.node, replica, generation, relay)
            else:
                forget_relay(replica, generation)
            replica.publish(generation, offer.listing, offer.entries, receipt)
            damage.settle(self.node, replica)
            return receipt

    def still(self, service: str, raw: bytes) -> bytes:
        with self._locked(service):
            return take_still(self.node, replica_of(self.node, service), service, raw, self.key)

    def recheck(self, service: str, digests: Sequence[str]) -> None:
        for digest in digests[:RECHECKS_MAX]:
            if not SHA256.fullmatch(digest):
                continue
            with self._locked(service):
                if damage.set_corrupt_aside(self.node, replica_of(self.node, service), digest):
                    self.node.journal.write("vault-rotten", service=service, blob=digest, found="by the origin")

    def repair(self, service: str, documents: RepairDocuments) -> tuple[Damage, ...]:
        with self._locked(service):
            replacing.replace(self.node, service, documents, self.key)
            return damage.settle(self.node, replica_of(self.node, service))

    def scrub(self, service: str, budget: Budget) -> Scrubbed:
        # With `pruning` it costs a session, which does neither, a twentieth of its start.
        from appliance.backup.vault.maintenance import scrub

        return scrub.scrub(self.node, service, budget)

    def prune(self, service: str) -> Pruned:
        from appliance.backup.vault.maintenance import pruning

        return pruning.prune_replica(self.node, service)

    def alarm(self, service: str, reason: str) -> None:
        freeze.raise_alarm(self.node, service, reason)

    def _locked(self, service: str) -> contextlib.AbstractContextManager[None]:
        return locked(replica_of(self.node, service).lock, what=f"the pool of {service}", wait=True)


def _sides(replica: Replica, names: Sequence[str]) -> Mapping[str, set[str]]:
    """The names known here by their number, of all that have a folder and of those that lie where `names` would."""
    found: dict[str, set[str]] = {}
    for name in (*replica.folders(), *replica.history.beside(names)):
        found.setdefault(_number(name), set()).add(name)
    return found


def _number(name: str) -> str:
    """Epoch and number, which the sides of a fork share."""
    return name.rpartition(".")[0]
