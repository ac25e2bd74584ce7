"""What a vault shows: what it knows, that it holds it, and the generations themselves to those who may have them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from appliance.backup.vault.call import Call
from appliance.backup.vault.store import HEADER, LIST, RECEIPT, Stored
from appliance.errors import IntegrityError, NotFound, Refused
from appliance.trust.signed import SHA256

PROOFS_MAX = 256


def head(call: Call) -> None:
    """What is known and held here: every grant, the tip of each epoch, and the names and receipts of what is held."""
    holding = call.holding
    stored = holding.stored()
    tips = {item.epoch: item for item in stored}
    held = [item for item in stored if item.held]
    forks = sorted({_id(a) for a, b in pairwise(stored) if _id(a) == _id(b)})
    newest = held[-1] if held else None
    call.channel.write_frame(
        {
            "holder": call.node.name,
            "age_seconds": call.node.ageing.now(),
            "grants": [holding.grant(epoch).decode() for epoch in holding.epochs()],
            "tips": [holding.read(item.name, HEADER).decode() for item in tips.values()],
            "held": [item.name for item in held],
            "known": len(stored),
            "forks": forks,
            "receipt": holding.read(newest.name, RECEIPT).decode() if newest else None,
        }
    )


def _id(item: Stored) -> str:
    return f"{item.epoch}.{item.sequence}"


def prove(call: Call) -> None:
    """Show that blobs are here and whole: SHA-256 over the caller's challenge and the blob, which cannot be kept ready."""
    challenge = str(call.request.get("challenge", ""))
    digests = call.texts("blobs")
    if not SHA256.fullmatch(challenge) or len(digests) > PROOFS_MAX:
        raise IntegrityError(f"a proof takes a challenge of 64 hex digits and at most {PROOFS_MAX} blobs.")
    proofs: list[str | None] = []
    for digest in digests:
        if not SHA256.fullmatch(digest) or not call.holding.blob(digest).exists():
            proofs.append(None)
            continue
        proof = hashlib.sha256(bytes.fromhex(challenge))
        with open(call.holding.blob(digest), "rb") as file:
            while piece := file.read(1 << 20):
                proof.update(piece)
        proofs.append(proof.hexdigest())
    call.channel.write_frame({"proofs": proofs})


def get(call: Call) -> None:
    """One generation for somebody who may have it: its chain and list, then the blobs it asks for by hash and offset."""
    name = _wanted_generation(call)
    listing = call.holding.read(name, LIST)
    stored = call.holding.stored()
    call.channel.write_frame(
        {
            "generation": name,
            "grants": [call.holding.grant(epoch).decode() for epoch in call.holding.epochs()],
            "headers": [call.holding.read(item.name, HEADER).decode() for item in stored],
            "receipt": call.holding.read(name, RECEIPT).decode(),
            "list_bytes": len(listing),
        }
    )
    call.channel.write(listing)
    sizes = {entry.sha256: entry.size for entry in call.holding.entries(name)}
    while wanted := call.channel.read_frame().get("want"):
        for digest, offset in wanted:
            _send_blob(call, digest, offset, sizes)


def _wanted_generation(call: Call) -> str:
    held = {item.name for item in call.holding.stored() if item.held}
    asked = call.request.get("generation")
    if asked is None and held:
        return max(held)
    if asked not in held:
        raise NotFound(f"{call.terms.name} has no such generation here.", remedy=f"{len(held)} are held; ask `head`.")
    return str(asked)


def _send_blob(call: Call, digest: Any, offset: Any, sizes: Mapping[str, int]) -> None:
    if digest not in sizes or not isinstance(offset, int) or not 0 <= offset <= sizes[digest]:
        raise Refused("that file is not of this generation.")
    with open(call.holding.blob(digest), "rb") as file:
        file.seek(offset)
        call.channel.send_file(file, sizes[digest] - offset)
