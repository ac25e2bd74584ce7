"""Take a push: check all of it first, then the bytes, then publish and answer a signed receipt."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import replace

from appliance.backup.vault import ledger
from appliance.backup.vault.call import Call
from appliance.backup.vault.limits import Limits, Usage, check_headers, check_room, day_of
from appliance.backup.vault.offer import Offer, check_writer, read_offer
from appliance.backup.vault.relay import Relay, keep_relay, read_relay
from appliance.backup.vault.store import RECEIPT
from appliance.clock import utc_text
from appliance.errors import IntegrityError
from appliance.host.files import locked
from appliance.trust.bundle import FREE_FLOOR_BYTES, Terms
from appliance.trust.generation import LIST_BYTES_MAX, Header
from appliance.trust.keys import load_key
from appliance.trust.receipt import make_receipt
from appliance.trust.signed import SHA256

RECHECKS_MAX = 256


def put(call: Call) -> None:
    """A new generation from the service's writer."""

    def fence(offer: Offer) -> None:
        check_writer(offer, call.node.bundle, call.caller)

    _receive(call, fence)


def put_relayed(call: Call) -> None:
    """A generation from another holder: its receipt says since when it is held there, our lock starts anew."""
    _receive(call, lambda offer: read_relay(call, offer))


def _receive(call: Call, check: Callable[[Offer], Relay | None]) -> None:
    """Take a push. One at a time per service; every limit is checked before the first byte is taken."""
    listing = _read_listing(call)
    call.holding.create()
    with locked(call.holding.root / "session.lock", what=f"the vault's share of {call.terms.name}"):
        offer = read_offer(
            call.holding,
            call.node.bundle,
            call.terms.name,
            grants=call.texts("grants"),
            headers=call.texts("headers"),
            listing=listing,
        )
        relay = check(offer)
        _recheck(call)
        book = _open_ledger(call, offer.header.epoch)
        usage = _usage(call, book, offer.header.epoch)
        check_headers(usage, len(offer.headers))
        missing = call.holding.missing(offer.entries)
        incoming = sum(entry.size - offset for entry, offset in missing)
        # A push of nothing new must still fit: list and headers are bytes and inodes too.
        check_room(_limits(call.terms), usage, incoming + len(listing) + 4096 * len(missing))
        _keep_chain(call, offer)
        with _counted(call, book, seeding=not usage.held_generations):
            receipt = _take_and_publish(call, offer, relay)
    call.channel.write_frame({"receipt": receipt.decode()})
    call.node.journal.write(
        "vault-took", caller=call.caller, service=call.terms.name, generation=str(offer.header.id), bytes=incoming
    )


@contextlib.contextmanager
def _counted(call: Call, book: ledger.Ledger, *, seeding: bool) -> Iterator[None]:
    """Write down what really came, also when the push is cut: a cut and resumed one counts once.

    A first seeding that ended well leaves the day's ordinary allowance whole: it was declared apart.
    """
    before = call.channel.bytes_received
    try:
        yield
        if seeding:
            before = call.channel.bytes_received
            book = replace(book, ingested=0)
    finally:
        taken = call.channel.bytes_received - before
        ledger.save(call.holding.root / "ledger.json", book.with_ingested(taken))


def _read_listing(call: Call) -> bytes:
    size = call.request.get("list_bytes")
    if not isinstance(size, int) or not 0 < size <= LIST_BYTES_MAX:
        raise IntegrityError("the push has no list.")
    return call.channel.read(size)


def _recheck(call: Call) -> None:
    """Blobs the origin doubts: one that fails its own hash is set aside, so that it is asked for again."""
    for digest in call.texts("recheck")[:RECHECKS_MAX]:
        if SHA256.fullmatch(digest) and call.holding.set_aside(digest):
            call.node.journal.write("vault-rotten", service=call.terms.name, blob=digest, found="by the origin")


def _open_ledger(call: Call, epoch: int) -> ledger.Ledger:
    book = ledger.load(call.holding.root / "ledger.json").on_day(day_of(call.node.ageing.now()))
    if any(stored.held for stored in call.holding.stored()):
        return book.with_epoch(epoch, call.holding.used_bytes())
    return book.with_epoch(epoch, 0)


def _usage(call: Call, book: ledger.Ledger, epoch: int) -> Usage:
    stored = call.holding.stored()
    disk = os.statvfs(call.holding.root)
    return Usage(
        used=call.holding.used_bytes(),
        used_when_epoch_began=book.base_of(epoch),
        ingested_today=book.ingested,
        held_generations=sum(item.held for item in stored),
        headers=len(stored),
        disk_free=disk.f_bavail * disk.f_frsize,
    )


def _limits(terms: Terms) -> Limits:
    return Limits(terms.quota_bytes, terms.daily_bytes, terms.seed_bytes, FREE_FLOOR_BYTES)


def _keep_chain(call: Call, offer: Offer) -> None:
    for epoch, grant in offer.grants.items():
        if call.holding.add_grant(epoch, grant.document.raw):
            call.node.journal.write("vault-grant", service=grant.service, epoch=epoch, writer=grant.writer)
    numbers = {(item.epoch, item.sequence): item.name for item in call.holding.stored()}
    for header in offer.headers:
        other = numbers.get((header.epoch, header.sequence))
        if other not in (None, header.id.name):
            call.node.journal.write("vault-fork", service=header.service, generation=str(header.id))
        call.holding.add_header(header.id, header.document.raw)


def _take_and_publish(call: Call, offer: Offer, relay: Relay | None) -> bytes:
    """Ask for what is missing until nothing is, then publish under the lock; thinning may have run in between."""
    while True:
        missing = call.holding.missing(offer.entries)
        if missing:
            call.channel.write_frame({"need": [[entry.sha256, offset] for entry, offset in missing]})
            for entry, offset in missing:
                call.holding.receive(entry, offset, call.channel.read_some)
        with locked(call.holding.lock, what=f"the pool of {call.terms.name}", wait=True):
            if not call.holding.missing(offer.entries):
                return _publish(call, offer, relay)


def _publish(call: Call, offer: Offer, relay: Relay | None) -> bytes:
    generation = offer.header.id
    if call.holding.holds(generation):
        return call.holding.read(generation.name, RECEIPT)
    receipt = _receipt(call, offer.header)
    if relay:
        keep_relay(call, generation, relay)
    call.holding.publish(generation, offer.listing, offer.entries, receipt)
    return receipt


def _receipt(call: Call, header: Header) -> bytes:
    node = call.node
    return make_receipt(
        load_key(node.signing_key),
        holder=node.name,
        header=header,
        time=utc_text(node.clock.now()),
        age_seconds=node.ageing.now(),
    )
