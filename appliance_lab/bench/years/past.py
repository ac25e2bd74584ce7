"""The generations of years, signed with the keys of the nodes that would have sealed and taken them.

Every header and receipt is real: the product's own code made it, and proves it. What is invented is that nothing was
changed in all that time, so each generation of an epoch has one and the same list. Where a file of the service is only
a few bytes, that makes no difference to what a header costs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from appliance.clock import utc_text
from appliance.trust.generation import NO_PARENT, TYPE, Entry, Header, make_header, render_list
from appliance.trust.grant import Grant
from appliance.trust.keys import load_key
from appliance.trust.receipt import make_receipt
from appliance.trust.signed import Document, digest_of
from appliance.units import HOUR
from appliance_lab.bench.years.eras import Era

GRANT = "grant"
_loaded = cache(load_key)


@dataclass(frozen=True)
class Epoch:
    """An era with what its generations have in common; `listing` is the list of each of them."""

    era: Era
    grant: Grant
    key: Path
    entries: tuple[Entry, ...]
    listing: bytes


@dataclass(frozen=True)
class Signed:
    """One generation. `age`: the ageing clock, in seconds, of those that took it; `receipts`: by the node that did."""

    header: Header
    epoch: Epoch
    age: int
    receipts: Mapping[str, bytes]


def epoch_of(era: Era, grant: Grant, key: Path, files: Iterable[Entry]) -> Epoch:
    """`files`: those of the repository, the grant of another epoch among them or not."""
    raw = grant.document.raw
    entries = (*(it for it in files if it.path != GRANT), Entry(GRANT, digest_of(raw), len(raw)))
    return Epoch(era, grant, key, entries, render_list(entries))


def sign(
    service: str,
    epochs: Iterable[Epoch],
    holders: Mapping[str, Path],
    *,
    begun: float,
    first: Header | None = None,
    step: float = 1.0,
) -> Iterator[Signed]:
    """The generations of `epochs`, one in `step` hours from `begun` on, each the child of the one before; `first`: the
    first of them, which was sealed already.

    A replica node has no receipt of its own for what it wrote itself.
    """
    previous, number = NO_PARENT, 0
    for epoch in epochs:
        for sequence in range(1, epoch.era.count + 1):
            age = int(number * step * HOUR)
            time = utc_text(begun + age)
            header = first if first and not number else _header(service, epoch, sequence, previous, time)
            receipts = {
                name: make_receipt(_loaded(key), holder=name, header=header, time=time, age_seconds=age)
                for name, key in holders.items()
                if name != epoch.era.writer
            }
            yield Signed(header, epoch, age, receipts)
            previous, number = header.id.digest, number + 1


def _header(service: str, epoch: Epoch, sequence: int, previous: str, time: str) -> Header:
    """As `read_header` returns it, without its check of a signature that was just made."""
    raw = make_header(
        _loaded(epoch.key),
        service=service,
        epoch=epoch.era.epoch,
        sequence=sequence,
        previous=previous,
        time=time,
        listing=epoch.listing,
        entries=epoch.entries,
        whole=True,
    )
    number, size = len(epoch.entries), sum(it.size for it in epoch.entries)
    document = Document(TYPE, {"format": 2}, epoch.grant.writer_key, raw)
    return Header(service, epoch.era.epoch, sequence, previous, time, digest_of(epoch.listing), number, size, document)
