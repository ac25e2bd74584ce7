"""One contract for both sealers: in this process, and behind the socket of another account (needs root)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from appliance.backup.node import Node
from appliance.backup.vault.offer import Offer, read_offer
from appliance.backup.vault.relay import Relay
from appliance.backup.vault.sealer import Sealer
from appliance.backup.vault.store import RECEIPT, Stored
from appliance.trust.generation import Entry
from appliance.trust.receipt import read_receipt
from tests.integration.vault.accounts import Place, host
from tests.unit.backup.vault.desk import HOLDER, SERVICE, Desk, Generation

BLOB = b"stays" * 50


@pytest.fixture(params=["here", pytest.param("host", marks=pytest.mark.root)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "here":
        yield Place(Desk(tmp_path / "desk").create())
        return
    with host() as found:
        yield found


@pytest.fixture
def chain(place: Place) -> list[Generation]:
    return place.desk.chain(place.desk.grant(), 2)


def offer_of(node: Node, place: Place, made: Sequence[Generation]) -> Offer:
    return read_offer(
        node.holding(SERVICE),
        node.bundle,
        SERVICE,
        grants=[place.desk.grant().document.raw.decode()],
        headers=[it.text for it in made],
        listing=made[-1].listing,
    )


def give(node: Node, sealer: Sealer, digest: str, data: bytes) -> None:
    """As a session does with the bytes of a push."""
    rest = memoryview(data)

    def read_some(size_max: int) -> bytes:
        nonlocal rest
        piece, rest = rest[:size_max], rest[size_max:]
        return bytes(piece)

    entry = Entry("data/0/0", digest, len(data))
    sealer.take(SERVICE, digest, node.holding(SERVICE).receive(entry, 0, read_some))


def push(place: Place, made: Generation, before: Sequence[Generation] = (), relay: Relay | None = None) -> bytes | None:
    """What a session does with one generation; its receipt, None when the sealer finds a blob missing."""
    grant = place.desk.grant().document.raw

    def do(node: Node, sealer: Sealer) -> bytes | None:
        offer = read_offer(
            node.holding(SERVICE),
            node.bundle,
            SERVICE,
            grants=[grant.decode()],
            headers=[it.text for it in (*before, made)],
            listing=made.listing,
        )
        sealer.prepare(SERVICE)
        sealer.keep(SERVICE, offer.grants.values(), offer.headers)
        for entry, _ in node.holding(SERVICE).missing(made.entries):
            give(node, sealer, entry.sha256, made.blobs[entry.sha256])
        return sealer.publish(SERVICE, offer, relay)

    return place.as_receiver(do)


def stored(place: Place, made: Generation) -> Stored | None:
    return place.desk.holding(HOLDER).find(made.name)


def test_a_generation_whose_blobs_are_here_is_held_with_a_receipt_of_this_node(
    place: Place, chain: list[Generation]
) -> None:
    raw = push(place, chain[0])
    assert raw is not None
    receipt = read_receipt(raw, place.desk.open(HOLDER).bundle.member(HOLDER).keys.sign)
    assert (receipt.holder, receipt.generation) == (HOLDER, chain[0].header.id)
    holding = place.desk.holding(HOLDER)
    assert holding.read(chain[0].name, RECEIPT) == raw
    assert [item.name for item in holding.stored() if item.held] == [chain[0].name]
    assert {path.name: path.read_bytes() for path in holding.blobs()} == chain[0].blobs
    assert list(holding.partial.iterdir()) == []
