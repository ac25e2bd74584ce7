"""The calls of a session and of the agent to a sealer, under the account of each."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from appliance.backup.vault.offer import Offer, read_offer
from appliance.backup.vault.relay import Relay
from appliance.backup.vault.replicas import replica_of
from appliance.backup.vault.sealing.sealer import Sealer
from appliance.node.handle import Node
from appliance.trust.generation import Entry
from appliance.trust.grant import Grant
from tests.integration.vault.accounts import Place
from tests.worlds.vaults import HOLDER, SERVICE, Generation


def offer_of(node: Node, made: Sequence[Generation], grants: Sequence[Grant], listing: bytes | None = None) -> Offer:
    """Return the offer as which a push of the last of `made` would be read."""
    return read_offer(
        replica_of(node, SERVICE),
        node.bundle,
        SERVICE,
        grants=[grant.document.raw.decode() for grant in grants],
        headers=[it.text for it in made],
        listing=made[-1].listing if listing is None else listing,
    )


def receive(node: Node, digest: str, data: bytes) -> Path:
    """The partial of a blob, whole and closed."""
    rest = memoryview(data)

    def read_some(size_max: int) -> bytes:
        nonlocal rest
        piece, rest = rest[:size_max], rest[size_max:]
        return bytes(piece)

    return replica_of(node, SERVICE).receive(Entry("data/0/0", digest, len(data)), 0, read_some)


def push(place: Place, made: Sequence[Generation], grants: Sequence[Grant], relay: Relay | None = None) -> bytes | None:
    """Push the last of `made` as a session does, the ones before it being headers; return its receipt."""

    def do(node: Node, sealer: Sealer) -> bytes | None:
        offer = offer_of(node, made, grants)
        sealer.prepare(SERVICE)
        sealer.keep(SERVICE, offer.grants.values(), offer.headers)
        for entry, _ in replica_of(node, SERVICE).missing(offer.entries):
            sealer.take(SERVICE, entry.sha256, receive(node, entry.sha256, made[-1].blobs[entry.sha256]))
        return sealer.publish(SERVICE, offer, relay)

    return place.as_receiver(do)


def held(place: Place) -> list[str]:
    """The names of what is held, oldest first."""
    return [item.name for item in place.vaults.holding(HOLDER).stored() if item.held]


def rot(place: Place, digest: str) -> None:
    """Flip a bit of a blob, as a disk does: with no account's leave."""
    path = place.vaults.holding(HOLDER).blob(digest)
    mode = path.stat().st_mode
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    path.write_bytes(data)
    path.chmod(mode)


def pass_time(place: Place, seconds: float) -> None:
    """Let the node have been up for `seconds` more."""
    path = place.vaults.layout(HOLDER).ageing
    with open(path, "r+") as file:  # in place: it stays its owner's
        kept = json.load(file)
        kept["age_seconds"] += seconds
        file.seek(0)
        file.write(json.dumps(kept))
        file.truncate()
        os.fsync(file.fileno())
