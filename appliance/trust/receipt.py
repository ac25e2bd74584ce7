"""A receipt: a holder says under its signature that it holds a generation durably, and since when by its own ageing
clock.

Here is only the format. `backup/vault/receipts.py: sign_receipt` calls `make_receipt` with the node's key.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.trust import signed
from appliance.trust.generation import EPOCH_MAX, SEQUENCE_MAX, GenerationId, Header
from appliance.trust.signed import NAME, SHA256, Document

TYPE = "appliance/receipt"


@dataclass(frozen=True)
class Receipt:
    """`age_seconds` is the holder's ageing clock at receipt: what retention counts from; `time` is wall time, for
    people.
    """

    holder: str
    service: str
    generation: GenerationId
    time: str
    age_seconds: int
    document: Document


def make_receipt(key: Ed25519PrivateKey, *, holder: str, header: Header, time: str, age_seconds: int) -> bytes:
    fields = {
        "holder": holder,
        "service": header.service,
        "epoch": header.epoch,
        "sequence": header.sequence,
        "header": header.id.digest,
        "time": time,
        "age_seconds": age_seconds,
    }
    return signed.make(TYPE, fields, key)


def read_receipt(raw: bytes, holder_key: str) -> Receipt:
    """The receipt in `raw`, signed by the holder's key."""
    document = signed.read(raw, TYPE, (holder_key,))
    generation = GenerationId(
        document.number("epoch", least=1, most=EPOCH_MAX),
        document.number("sequence", least=1, most=SEQUENCE_MAX),
        document.text("header", SHA256),
    )
    return Receipt(
        holder=document.text("holder", NAME),
        service=document.text("service", NAME),
        generation=generation,
        time=document.text("time"),
        age_seconds=document.number("age_seconds"),
        document=document,
    )
