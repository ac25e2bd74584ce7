"""A release: the holder of an epoch says under its signature that it writes the service no more under that epoch.

It is for ever: who signs one has stopped the service, has sent all that it acknowledged, and has noted that on its disk
before. So an old release shown again says nothing that is not true, and another epoch needs another one.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.trust import signed
from appliance.trust.generation import EPOCH_MAX
from appliance.trust.signed import NAME, Document

TYPE = "appliance/release"


@dataclass(frozen=True)
class Release:
    """`time` is UTC, for people."""

    service: str
    epoch: int
    holder: str
    holder_key: str
    reason: str
    time: str
    document: Document


def make_release(key: Ed25519PrivateKey, *, service: str, epoch: int, holder: str, reason: str, time: str) -> bytes:
    fields = {"service": service, "epoch": epoch, "holder": holder, "reason": reason, "time": time}
    return signed.make(TYPE, fields, key)


def read_release(raw: bytes, holder_key: str) -> Release:
    """The release in `raw`, signed by the key that the grant of its epoch names."""
    document = signed.read(raw, TYPE, (holder_key,))
    return Release(
        service=document.text("service", NAME),
        epoch=document.number("epoch", least=1, most=EPOCH_MAX),
        holder=document.text("holder", NAME),
        holder_key=holder_key,
        reason=document.text("reason"),
        time=document.text("time"),
        document=document,
    )
