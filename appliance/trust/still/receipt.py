"""The receipt for a still: a replica node says under its signature that it holds the generation and took the statement.

It says nothing of how fresh the replica is but by the statement that it names: a reader of one reads both.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.errors import IntegrityError
from appliance.trust import signed
from appliance.trust.signed import NAME, SHA256, Document
from appliance.trust.still.statement import BYTES_MAX, Still

TYPE = "appliance/still-receipt"


@dataclass(frozen=True)
class StillReceipt:
    """`statement` is the SHA-256 of the signed line of the statement; `time` the holder's wall clock, for people, and
    `age_seconds` its ageing clock."""

    holder: str
    service: str
    statement: str
    time: str
    age_seconds: int
    document: Document


def make_still_receipt(key: Ed25519PrivateKey, *, holder: str, still: Still, time: str, age_seconds: int) -> bytes:
    fields = {
        "holder": holder,
        "service": still.service,
        "statement": still.document.line_digest,
        "time": time,
        "age_seconds": age_seconds,
    }
    return signed.make(TYPE, fields, key)


def read_still_receipt(raw: bytes, holder: str, holder_key: str, still: Still) -> StillReceipt:
    """The receipt in `raw` of `holder` for `still`; raise IntegrityError for that of another node or statement."""
    document = signed.read(raw, TYPE, (holder_key,), bytes_max=BYTES_MAX)
    receipt = StillReceipt(
        holder=document.text("holder", NAME),
        service=document.text("service", NAME),
        statement=document.text("statement", SHA256),
        time=document.text("time"),
        age_seconds=document.number("age_seconds"),
        document=document,
    )
    if (receipt.holder, receipt.service, receipt.statement) != (holder, still.service, still.document.line_digest):
        raise IntegrityError(f"the receipt is not from {holder} for this statement about {still.service}.")
    return receipt
