"""A release: the holder of an epoch says under its signature that it writes the service no more under that epoch.

It is for ever: the signer has stopped the service, has sent all that it acknowledged, and has noted that on its disk
before. So an old release shown again says nothing that is not true, and another epoch needs another one.

It names the generation that has everything which was acknowledged (format 2): the next writer goes on from that one or
from one that continues it, and from no older one. A release of format 1 names none.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.errors import IntegrityError
from appliance.trust import signed
from appliance.trust.generation import EPOCH_MAX, GENERATION_NAME
from appliance.trust.signed import NAME, Document

TYPE = "appliance/release"
FORMATS = (1, 2)
"""Epoch, sequence and digest, as holders name a generation's folder."""


@dataclass(frozen=True)
class Release:
    """`generation`: the last one, by its full name; "" where nothing was sealed under this epoch or before. `time` is
    UTC, for people."""

    service: str
    epoch: int
    holder: str
    holder_key: str
    reason: str
    time: str
    document: Document
    generation: str = ""


def make_release(
    key: Ed25519PrivateKey, *, service: str, epoch: int, holder: str, generation: str, reason: str, time: str
) -> bytes:
    fields = {"service": service, "epoch": epoch, "holder": holder, "generation": generation}
    return signed.make(TYPE, {**fields, "reason": reason, "time": time}, key, FORMATS[-1])


def read_release(raw: bytes, holder_key: str) -> Release:
    """The release in `raw`, signed by the key that the grant of its epoch names."""
    document = signed.read(raw, TYPE, (holder_key,), formats=FORMATS)
    return Release(
        service=document.text("service", NAME),
        epoch=document.number("epoch", least=1, most=EPOCH_MAX),
        holder=document.text("holder", NAME),
        holder_key=holder_key,
        reason=document.text("reason"),
        time=document.text("time"),
        document=document,
        generation=_generation(document) if document.format > 1 else "",
    )


def epoch_in(generation: str) -> int:
    """The epoch of a generation by its full name, 0 for ""."""
    return int(generation.partition(".")[0] or 0)


def _generation(document: Document) -> str:
    """The generation of this epoch, or of one before: an epoch that was never opened has none of its own."""
    value = document.fields.get("generation")
    if not isinstance(value, str) or (value and not GENERATION_NAME.fullmatch(value)):
        raise IntegrityError(f'{TYPE}: field "generation" is missing or malformed.')
    if epoch_in(value) > document.number("epoch", least=1, most=EPOCH_MAX):
        raise IntegrityError(f"{TYPE} names a generation of a later epoch than it gives up.")
    return value
