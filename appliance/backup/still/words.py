"""Until when the source of a service was what a generation holds, as replica nodes signed: what makes an age younger.
Pure.

Invariant: one peer makes nothing fresh. Only the writer dates its word, each receipt counts for the node that signed
it, and a time counts once as many of them took it, or a later one, as make a generation safe. What does not verify, or
is dated in the future, counts for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass

from appliance.backup.peers.safety import judge
from appliance.clock import SKEW_SECONDS_MAX, utc_seconds
from appliance.errors import ApplianceError
from appliance.trust.bundle import Bundle, Member
from appliance.trust.generation import GenerationId
from appliance.trust.still.receipt import read_still_receipt
from appliance.trust.still.statement import BYTES_MAX, claimed_epoch, read_still


@dataclass(frozen=True)
class Word:
    """`holder` signed that it holds `generation` and took the writer's word of `time` about it, UTC seconds. `received`
    is when, by the holder's wall clock, and `received_age` by its ageing clock."""

    holder: str
    generation: GenerationId
    time: float
    received: float
    received_age: int


@dataclass(frozen=True)
class Signed:
    """A word and a receipt for it, as they were signed."""

    statement: str
    receipt: str


def as_of(
    bundle: Bundle,
    service: str,
    writer: str,
    generation: GenerationId,
    words: Iterable[Word],
    lost: Collection[str],
    now: float,
) -> float:
    """The newest time at which enough replica nodes say that the source still was `generation`, which `writer` made; 0
    for none. Pure."""
    about = [it for it in words if it.generation == generation and it.time <= now + SKEW_SECONDS_MAX]
    holders: set[str] = set()
    for word in sorted(about, key=lambda it: it.time, reverse=True):
        holders.add(word.holder)
        if judge(bundle, service, writer, holders, lost).held:
            return word.time
    return 0.0


def read_word(holder: Member, service: str, signed: Signed, key_of: Callable[[int], str | None]) -> Word | None:
    """The word that `holder` shows; None unless both signatures hold. `key_of` tells the key of an epoch's writer."""
    with suppress(ApplianceError, ValueError):
        raw = signed.statement.encode()
        writer_key = key_of(claimed_epoch(raw))
        if writer_key is None:
            return None
        said = read_still(raw, writer_key)
        receipt = read_still_receipt(signed.receipt.encode(), holder.name, holder.keys.sign, said)
        if said.service == service:
            times = utc_seconds(said.time), utc_seconds(receipt.time), receipt.age_seconds
            return Word(holder.name, said.generation, *times)
    return None


def read_signed(values: object) -> Signed | None:
    """Return the word and the receipt that a peer shows; None for anything else, since it proves nothing."""
    match values:
        case {"statement": str(statement), "receipt": str(receipt)}:
            return Signed(statement, receipt) if max(len(statement), len(receipt)) <= BYTES_MAX else None
    return None
