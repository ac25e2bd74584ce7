"""A grant: the right to write one service, as its epoch, from one range of nonces.

Epoch numbers are the index of the service's grants: even ones from the territory key, odd ones from a majority of the
voters' brokers (`voted.py`; who reads both kinds asks `granters.py`). Each index owns the 2^48 nonces from its floor,
so two grants never share keystream, whatever clocks say. Two machines under one grant (an image, a clone, a thaw) are
kept apart within its range by `borg/lanes.py`, as far as record 66 says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.borg.nonce import floor_of
from appliance.errors import IntegrityError, Refused
from appliance.trust import signed
from appliance.trust.generation import EPOCH_MAX
from appliance.trust.signed import NAME, SHA256, Document

TYPE = "appliance/grant"
REQUEST_TYPE = "appliance/grant-request"


@dataclass(frozen=True)
class Grant:
    service: str
    epoch: int
    repository: str
    writer: str
    writer_key: str
    previous: int
    nonce_floor: int
    reason: str
    document: Document

    @property
    def statement(self) -> str:
        """The digest of the line that was signed: two documents with one are the same grant."""
        raw = self.document.raw
        return signed.digest_of(raw[: raw.find(b"\n") + 1])


@dataclass(frozen=True)
class GrantRequest:
    """The request of a node: `known_epoch` is the highest one that it or any vault it reached knows; 0 for the first.
    `takes_from`: the node that served the service when this was asked, and would lose it; "" for none known."""

    service: str
    repository: str
    writer: str
    writer_key: str
    known_epoch: int
    reason: str
    document: Document
    takes_from: str = ""


def make_request(
    key: Ed25519PrivateKey,
    *,
    service: str,
    repository: str,
    writer: str,
    known_epoch: int,
    reason: str,
    takes_from: str = "",
) -> bytes:
    fields = {
        "service": service,
        "repository": repository,
        "writer": writer,
        "known_epoch": known_epoch,
        "reason": reason,
        **({"takes_from": takes_from} if takes_from else {}),
    }
    return signed.make(REQUEST_TYPE, fields, key)


def read_request(raw: bytes, writer_key: str) -> GrantRequest:
    """The request in `raw`, signed by the asking node's own key."""
    document = signed.read(raw, REQUEST_TYPE, (writer_key,))
    return GrantRequest(
        service=document.text("service", NAME),
        repository=document.text("repository", SHA256),
        writer=document.text("writer", NAME),
        writer_key=writer_key,
        known_epoch=document.number("known_epoch", most=EPOCH_MAX),
        reason=document.text("reason"),
        document=document,
        takes_from=document.text("takes_from", NAME) if "takes_from" in document.fields else "",
    )


def make_grant(territory_key: Ed25519PrivateKey, request: GrantRequest, *, above: int = 0) -> bytes:
    """The territory key's answer to `request`: the next even epoch above every known one and `above`."""
    epoch = max(request.known_epoch, above) // 2 * 2 + 2
    if epoch > EPOCH_MAX:
        raise Refused(
            f"{request.service} has used all its {EPOCH_MAX} epochs.", remedy="Start a new repository with a new key."
        )
    return signed.make(TYPE, granted_fields(request, epoch), territory_key)


def granted_fields(request: GrantRequest, epoch: int) -> dict[str, Any]:
    """The fields of a grant of `epoch` in answer to `request`, whichever key signs it; in the order of the signed
    line."""
    return {
        "service": request.service,
        "epoch": epoch,
        "repository": request.repository,
        "writer": request.writer,
        "writer_key": request.writer_key,
        "previous": request.known_epoch,
        "nonce_floor": floor_of(epoch),
        "reason": request.reason,
    }


def read_grant(raw: bytes, territory_key: str) -> Grant:
    """The grant in `raw`, signed by the territory key alone."""
    document = signed.read(raw, TYPE, (territory_key,))
    grant = grant_from(document)
    if grant.epoch % 2:
        raise IntegrityError(f"the grant of epoch {grant.epoch} contradicts itself: odd epochs belong to the voters.")
    return grant


def grant_from(document: Document) -> Grant:
    """Return the grant in the checked `document`; raise IntegrityError where it contradicts itself."""
    grant = Grant(
        service=document.text("service", NAME),
        epoch=document.number("epoch", least=1, most=EPOCH_MAX),
        repository=document.text("repository", SHA256),
        writer=document.text("writer", NAME),
        writer_key=document.text("writer_key"),
        previous=document.number("previous", most=EPOCH_MAX),
        nonce_floor=document.number("nonce_floor", most=2**64 - 1),
        reason=document.text("reason"),
        document=document,
    )
    if grant.epoch <= grant.previous or grant.nonce_floor != floor_of(grant.epoch):
        raise IntegrityError(f"the grant of epoch {grant.epoch} contradicts itself.")
    return grant
