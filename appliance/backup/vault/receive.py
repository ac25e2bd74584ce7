"""Take a push: check all of it first, then the bytes, then publish and answer a signed receipt.

A push that is larger than what the writer may bring today is taken in parts: today's part is kept by its hashes; the
next push, of this generation or a newer one, goes on from there.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable
from dataclasses import dataclass

from appliance.backup.vault import ledger
from appliance.backup.vault.call import Call
from appliance.backup.vault.flow import Taking
from appliance.backup.vault.free_space import FREE_BYTES_MIN
from appliance.backup.vault.limits import (
    LISTING_BYTES_MAX,
    Amount,
    Limits,
    Usage,
    allowance,
    check_room,
    day_of,
    part_of,
    postponed,
)
from appliance.backup.vault.maintenance.act_effects import check_quarantine, check_side, limits_of
from appliance.backup.vault.offer import Offer, check_writer, newest_grant, read_chain, read_offer
from appliance.backup.vault.relay import Relay, read_relay
from appliance.backup.vault.sealing.sealer import Sealer
from appliance.backup.vault.sealing.sealer_choice import sealer_of
from appliance.backup.vault.still import check_statement
from appliance.backup.vault.store import FOLDERS_AT_ONCE_MAX, NAME_BYTES, RECEIPT, WrongStart
from appliance.backup.vault.write_lock import Rank, announce, check_not_wanted, write_lock
from appliance.errors import IntegrityError, NoSpace, Refused
from appliance.trust.generation import Entry
from appliance.units import MIB

SAVE_EVERY_BYTES = 64 * MIB
NAMES_OF_A_PUBLICATION = 5
NAMES_OF_A_HEADER = 2

Check = Callable[[Offer], Relay | None]
Missing = tuple[tuple[Entry, int], ...]


def put(call: Call) -> None:
    """A new generation from the service's writer."""

    def fence(offer: Offer) -> None:
        check_writer(offer, call.node.bundle, call.caller)
        check_side(call.node, offer)

    if call.request.get("list_bytes") == 0 and not call.texts("headers"):
        _take_grants(call)
    else:
        _receive(call, fence, is_writer=True)


def _take_grants(call: Call) -> None:
    """The newest grant from the one that it names, which has nothing to bring yet: from then on a vault that holds
    nothing refuses the former writer, too."""
    check_quarantine(call.node, call.caller, call.terms.name)
    sealer = sealer_of(call.node)
    sealer.prepare(call.terms.name)
    known, _ = read_chain(call.replica, call.node.bundle, call.terms.name, grants=call.texts("grants"), headers=())
    check_writer(Offer(known, (), b"", ()), call.node.bundle, call.caller)
    sealer.keep(call.terms.name, known.values())
    call.channel.write_frame({"kept": 0})


def put_relayed(call: Call) -> None:
    """A generation from another replica node: its receipt says since when it is held there, our lock starts over."""
    _receive(call, lambda offer: read_relay(call, offer), is_writer=False)


def still(call: Call) -> None:
    """Answer the word of the service's writer that nothing changed with our receipt."""
    check_quarantine(call.node, call.caller, call.terms.name)
    raw = str(call.request.get("statement", "")).encode()
    grant = newest_grant(call.replica, call.node.bundle)
    if grant is None or grant.writer != call.caller:
        raise Refused(f"{call.caller} does not write {call.terms.name}.", remedy="Ask for a new grant.")
    check_statement(call.node, call.replica, call.terms.name, raw)
    receipt = sealer_of(call.node).still(call.terms.name, raw)
    call.channel.write_frame({"receipt": receipt.decode()})


def _receive(call: Call, check: Check, *, is_writer: bool) -> None:
    """Take a push. One at a time per service; every limit is checked before the first byte is taken."""
    check_quarantine(call.node, call.caller, call.terms.name)
    listing = _read_listing(call)
    sealer = sealer_of(call.node)
    sealer.prepare(call.terms.name)
    if not is_writer:
        check_not_wanted(call.replica)

    def checked() -> tuple[Offer, Relay | None, Rank]:
        offer = _read_offer(call, listing)
        return offer, check(offer), Rank(offer.newest_grant.epoch, is_writer)

    with write_lock(call.replica, f"the vault's replica of {call.terms.name}", lambda: checked()[2]):
        offer, relay, rank = checked()
        answer: dict[str, object]
        if listing:
            sealer.recheck(call.terms.name, call.texts("recheck"))
            receipt = _known_receipt(call, offer, is_writer) or _take(call, sealer, offer, relay, rank)
            answer = {"receipt": receipt.decode()}
        else:
            answer = {"kept": _take_headers(call, sealer, offer, is_writer)}
    call.channel.write_frame(answer)


def _read_listing(call: Call) -> bytes:
    """The list of a push; empty when only headers are sent ahead."""
    size = call.request.get("list_bytes")
    if not isinstance(size, int) or not 0 <= size <= LISTING_BYTES_MAX:
        raise IntegrityError(f"a push comes with a list of at most {LISTING_BYTES_MAX} bytes.")
    return call.channel.read(size)


def _read_offer(call: Call, listing: bytes) -> Offer:
    return read_offer(
        call.replica,
        call.node.bundle,
        call.terms.name,
        grants=call.texts("grants"),
        headers=call.texts("headers"),
        listing=listing,
    )


def _known_receipt(call: Call, offer: Offer, is_writer: bool) -> bytes | None:
    """Our receipt for what is held whole already; a relay does not bring back what retention has let go either."""
    stored = call.replica.find(offer.header.id.name)
    if stored is None or not (stored.held or (stored.pruned and not is_writer)):
        return None
    if stored.held and call.replica.missing(offer.entries):
        return None
    return call.replica.read(stored.name, RECEIPT)


def _take_headers(call: Call, sealer: Sealer, offer: Offer, is_writer: bool) -> int:
    """Keep the headers of a chain too long for one push; how many were sent."""
    limits = limits_of(call.node, call.terms, FREE_BYTES_MIN)
    _, usage = _look(call, limits, offer.newest_grant.epoch)
    incoming = _incoming(call, offer)
    check_room(limits, usage, incoming, relayed=not is_writer)
    if is_writer and incoming.bytes > allowance(limits, usage):
        raise postponed(limits, call.node.ageing.now(), 0, incoming.bytes, usage.seeding)
    sealer.keep(call.terms.name, offer.grants.values(), offer.headers)
    return len(offer.headers)


def _take(call: Call, sealer: Sealer, offer: Offer, relay: Relay | None, rank: Rank) -> bytes:
    announce(call.replica, rank)
    limits = limits_of(call.node, call.terms, FREE_BYTES_MIN)
    book, usage = _look(call, limits, offer.header.epoch)
    check_room(limits, usage, _incoming(call, offer), relayed=relay is not None)
    documents = _documents_amount(call, offer)
    sealer.keep(call.terms.name, offer.grants.values(), offer.headers)
    allowed = math.inf if relay else allowance(limits, usage) - documents.bytes
    with _Counted(call, limits, book, usage.seeding, allowed) as counted:
        receipt = _take_and_publish(call, sealer, offer, relay, counted)
        counted.received_all()
    call.node.journal.write(
        "vault-took",
        caller=call.caller,
        service=call.terms.name,
        generation=str(offer.header.id),
        bytes=counted.received,
    )
    return receipt


def _incoming(call: Call, offer: Offer) -> Amount:
    """Return what the push would add: blobs not here yet, the list, and each header that is new, with their names."""
    missing, documents = call.replica.missing(offer.entries), _documents_amount(call, offer)
    blobs = sum(entry.size - offset for entry, offset in missing)
    return Amount(
        blobs + NAME_BYTES * len(missing) + documents.bytes, len(missing) + documents.names, documents.headers
    )


def _documents_amount(call: Call, offer: Offer) -> Amount:
    """Return what is added beside the blobs: the list, the receipt and each header that is new."""
    new = [header for header in offer.headers if not call.replica.knows(header.id)]
    names = NAMES_OF_A_PUBLICATION + NAMES_OF_A_HEADER * min(len(new), FOLDERS_AT_ONCE_MAX)  # more come into few files
    headers = sum(len(header.document.raw) for header in new)
    return Amount(len(offer.listing) + headers + NAME_BYTES * names, names, len(new))


def _look(call: Call, limits: Limits, epoch: int) -> tuple[ledger.Ledger, Usage]:
    """The ledger as it stands today, and what is used and free."""
    replica, disk = call.replica, os.statvfs(call.replica.root)
    held = [item for item in replica.newest_first() if item.held]
    # After a revocation all comes again, under a new key: that is a first seeding too.
    ended = call.node.bundle.revoked.ended_epoch(call.terms.name)
    seeding = not any(item.epoch > ended for item in held)
    used = Amount(*replica.used(), replica.count())
    book = ledger.load(replica.book / "ledger.json").on_day(
        day_of(call.node.ageing.now()), limits.daily, limits.days_max
    )
    book = book.with_epoch(epoch, used if held else Amount())
    usage = Usage(
        used=used,
        base=book.base_of(epoch),
        taken_today=book.taken(seeding),
        seeding=seeding,
        disk_free=disk.f_bavail * disk.f_frsize,
        disk_names_free=disk.f_favail if disk.f_files else None,
        carried=book.carried,
    )
    return book, usage


@dataclass
class _Counted(contextlib.AbstractContextManager["_Counted"]):
    """Write down what really came, also when the push is cut: a cut and resumed one counts once.

    `allowed`: the bytes of blobs that may still come today; infinite for what another holder hands on, which counts for
    no day.
    """

    call: Call
    limits: Limits
    book: ledger.Ledger
    seeding: bool
    allowed: float
    received: int = 0
    unsaved: int = 0

    def add(self, size: int) -> None:
        self.received += size
        self.unsaved += max(NAME_BYTES, size)
        self.allowed -= max(NAME_BYTES, size)
        if self.unsaved >= SAVE_EVERY_BYTES:
            self._save()

    def part(self, missing: Missing) -> Missing:
        """Return the part of `missing` that is taken today; raise Postponed when that is nothing, or not even the list
        may come."""
        if math.isinf(self.allowed):
            return missing
        costs = [max(NAME_BYTES, entry.size - offset) for entry, offset in missing]
        count = part_of(costs, int(self.allowed))
        if self.allowed < 0 or (missing and not count):
            age = self.call.node.ageing.now()
            raise postponed(self.limits, age, self.received, sum(costs), self.seeding)
        return missing[:count]

    def received_all(self) -> None:
        """A receipt was signed."""
        if not math.isinf(self.allowed):
            self._save()
            self.book = self.book.with_receipt()

    def __exit__(self, *_: object) -> None:
        self._save()

    def _save(self) -> None:
        if not math.isinf(self.allowed):
            self.book = self.book.with_taken(self.unsaved, self.seeding)
        self.unsaved = 0
        with contextlib.suppress(NoSpace):  # a full disk already says no; the push must not fail twice
            ledger.save(self.call.replica.book / "ledger.json", self.book)


def _take_and_publish(call: Call, sealer: Sealer, offer: Offer, relay: Relay | None, counted: _Counted) -> bytes:
    """Ask for what is missing until nothing is and the generation is held; pruning may have run in between. Raise
    Postponed once today's part has come."""
    taking = Taking(call.channel, acknowledge=call.request.get("acknowledge") is True)

    def read_some(size_max: int) -> bytes:
        if relay:
            check_not_wanted(call.replica)
        return taking.read_some(size_max)

    while True:
        missing = counted.part(not_at_hand(call, call.replica.missing(offer.entries)))
        if missing:
            call.channel.write_frame({"need": [[entry.sha256, offset] for entry, offset in missing]})
        for entry, offset in missing:
            before = call.channel.bytes_received
            try:
                partial = call.replica.receive(entry, offset, read_some)
            except WrongStart:
                continue  # another caller's, who was cut: it is asked for again, from its first byte
            finally:
                counted.add(call.channel.bytes_received - before)
            sealer.take(call.terms.name, entry.sha256, partial)
        if receipt := sealer.publish(call.terms.name, offer, relay):
            return receipt
        # Else more is missing: pruning ran meanwhile, or today's part is only a part.


def not_at_hand(call: Call, missing: Missing) -> Missing:
    """Return the part of `missing` that must be sent: a replica node that wrote the service itself has files in its own
    repository."""
    own = call.node.service(call.terms.name).repository
    if not os.path.isdir(own):  # also where this account may not look, as on a host: Path.is_dir raises there
        return missing
    left = []
    for entry, offset in missing:
        # Segments only: borg rewrites its config in place.
        if entry.path.startswith("data/") and call.replica.take(entry, own / entry.path):
            call.channel.write_frame({"need": []})  # to hash a large repository outlasts a writer's patience
        else:
            left.append((entry, offset))
    return tuple(left)
