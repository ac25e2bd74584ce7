"""The answer "I hold": the holder of an epoch says to the broker that asks that it is at work under it.

It answers one question: the `challenge` is random and was sent a moment ago, so nobody who kept an old answer can make
a dead holder speak.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.trust import signed
from appliance.trust.generation import EPOCH_MAX
from appliance.trust.signed import NAME, SHA256, Document

TYPE = "appliance/held"


@dataclass(frozen=True)
class HolderAnswer:
    service: str
    epoch: int
    holder: str
    holder_key: str
    challenge: str
    document: Document
    lease_seconds: int = 0
    """For how long its lease was begun, which may be longer than the bundle in force says; 0 where it does not say."""


def make_holder_answer(
    key: Ed25519PrivateKey, *, service: str, epoch: int, holder: str, challenge: str, lease_seconds: int = 0
) -> bytes:
    fields = {"service": service, "epoch": epoch, "holder": holder, "challenge": challenge}
    lease = {"lease_seconds": lease_seconds} if lease_seconds else {}
    return signed.make(TYPE, fields | lease, key)


def read_holder_answer(raw: bytes, holder_key: str) -> HolderAnswer:
    """The answer in `raw`, signed by the key that the grant of its epoch names."""
    document = signed.read(raw, TYPE, (holder_key,))
    return HolderAnswer(
        service=document.text("service", NAME),
        epoch=document.number("epoch", least=1, most=EPOCH_MAX),
        holder=document.text("holder", NAME),
        holder_key=holder_key,
        challenge=document.text("challenge", SHA256),
        document=document,
        lease_seconds=document.number("lease_seconds") if "lease_seconds" in document.fields else 0,
    )
