"""The sealer of a real host, from the side of its callers: one short conversation with the helper for each call.

A request travels as the signed documents themselves, in the frames of `vault/wire.py`, and a finished partial as an
open file, because the helper opens no path that somebody else chose.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appliance.backup.vault.maintenance.damage import Damage
from appliance.backup.vault.offer import Offer
from appliance.backup.vault.relay import Relay
from appliance.backup.vault.sealing.request import ask
from appliance.backup.vault.sealing.sealer import RepairDocuments
from appliance.trust.generation import Header
from appliance.trust.grant import Grant

if TYPE_CHECKING:
    from appliance.backup.vault.maintenance.pruning import Pruned
    from appliance.backup.vault.maintenance.scrub import Budget, Scrubbed

NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True)
class SealerClient:
    """`socket` is where the helper listens."""

    socket: Path

    def prepare(self, service: str) -> None:
        self._ask("prepare", service)

    def keep(self, service: str, grants: Iterable[Grant], headers: Sequence[Header] = ()) -> None:
        self._ask("keep", service, _chain(grants, headers))

    def take(self, service: str, digest: str, path: Path) -> None:
        # For reading only: the helper refuses a file that anybody can still write to, ourselves included.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            self._ask("take", service, {"digest": digest}, descriptors=(descriptor,))
        finally:
            os.close(descriptor)
        path.unlink()

    def publish(self, service: str, offer: Offer, relay: Relay | None) -> bytes | None:
        said = relay and {"holder": relay.holder, "receipt": relay.raw.decode(), "held_seconds": relay.held_seconds}
        chain = _chain(offer.grants.values(), offer.headers[-1:])
        receipt = self._ask("publish", service, {**chain, "relay": said}, raw=offer.listing)["receipt"]
        return None if receipt is None else str(receipt).encode()

    def still(self, service: str, raw: bytes) -> bytes:
        return str(self._ask("still", service, {"statement": raw.decode(errors="replace")})["receipt"]).encode()

    def recheck(self, service: str, digests: Sequence[str]) -> None:
        self._ask("doubt", service, {"digests": list(digests)})

    def repair(self, service: str, documents: RepairDocuments) -> tuple[Damage, ...]:
        lists = {name: raw.decode() for name, raw in documents.lists.items()}
        said = {**_chain(documents.grants, documents.headers), "lists": lists, "receipts": documents.receipts}
        return _damage(self._ask("mend", service, said)["damage"])

    def scrub(self, service: str, budget: Budget) -> Scrubbed:
        from appliance.backup.vault.maintenance.scrub import Scrubbed

        bounds = {name: value for name, value in vars(budget).items() if value != float("inf")}
        found = self._ask("scrub", service, bounds)["scrubbed"]
        return Scrubbed(**{**found, "damage": _damage(found["damage"])})

    def prune(self, service: str) -> Pruned:
        from appliance.backup.vault.maintenance.pruning import Pruned

        found = self._ask("thin", service)["thinned"]
        return Pruned(**{**found, "dropped": tuple(found["dropped"])})

    def alarm(self, service: str, reason: str) -> None:
        self._ask("alarm", service, {"reason": reason})

    def _ask(
        self,
        do: str,
        service: str,
        said: Mapping[str, Any] = NOTHING,
        *,
        raw: bytes = b"",
        descriptors: Sequence[int] = (),
    ) -> dict[str, Any]:
        """The helper's answer; what it refuses is raised as the error it is."""
        frame = {"do": do, "service": service, "raw_bytes": len(raw), **said}
        return ask(self.socket, frame, raw=raw, descriptors=descriptors)


def _chain(grants: Iterable[Grant], headers: Iterable[Header]) -> dict[str, list[str]]:
    return {
        "grants": [grant.document.raw.decode() for grant in grants],
        "headers": [header.document.raw.decode() for header in headers],
    }


def _damage(found: Iterable[Mapping[str, str]]) -> tuple[Damage, ...]:
    return tuple(Damage(item["kind"], item["name"]) for item in found)
