"""A still: a service's writer says under its signature that the source is still what a generation holds.

`number` counts the statements about one generation, so that an old one that is sent again proves nothing; `time` is
when the walk began that found nothing changed, by the writer's wall clock.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.errors import IntegrityError
from appliance.trust import signed
from appliance.trust.generation import EPOCH_MAX, SEQUENCE_MAX, GenerationId, Header
from appliance.trust.signed import NAME, SHA256, Document

TYPE = "appliance/still"
FORMAT_MAX = 1
"""The latest format of a statement that this version reads; a replica node shows it."""
BYTES_MAX = 1024
NUMBER_MAX = 9_999_999_999
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


@dataclass(frozen=True)
class Still:
    service: str
    generation: GenerationId
    number: int
    time: str
    document: Document


def make_still(key: Ed25519PrivateKey, *, header: Header, number: int, time: str) -> bytes:
    """The signed statement about the generation of `header`; `time` as in a header."""
    fields = {
        "service": header.service,
        "epoch": header.epoch,
        "sequence": header.sequence,
        "header": header.id.digest,
        "number": number,
        "time": time,
    }
    return signed.make(TYPE, fields, key)


def claimed_epoch(raw: bytes) -> int:
    """The epoch of a statement before anything of it is checked: it says which grant names its writer."""
    fields = signed.parse(signed.split(raw, TYPE, bytes_max=BYTES_MAX)[0], TYPE, (1,))
    epoch = fields.get("epoch")
    if type(epoch) is not int:
        raise IntegrityError(f'{TYPE}: field "epoch" is missing.')
    return epoch


def read_still(raw: bytes, writer_key: str) -> Still:
    """The statement in `raw`, signed by the public key `writer_key`."""
    document = signed.read(raw, TYPE, (writer_key,), bytes_max=BYTES_MAX)
    generation = GenerationId(
        document.number("epoch", least=1, most=EPOCH_MAX),
        document.number("sequence", least=1, most=SEQUENCE_MAX),
        document.text("header", SHA256),
    )
    return Still(
        service=document.text("service", NAME),
        generation=generation,
        number=document.number("number", least=1, most=NUMBER_MAX),
        time=document.text("time", _TIME),
        document=document,
    )
