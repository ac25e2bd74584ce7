"""Bring the newest sealed generation to the peers that must hold it, and keep their receipts.

A push first asks what the peer knows. A peer that knows a later generation than we do proves that this node was rolled
back, cloned or replaced: nothing is sent, and the node has to resynchronise and ask for a new grant.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.backup.chain.chain import Chain, Sealed
from appliance.backup.chain.rollback import PeerIsAhead, look_first
from appliance.backup.peers.conversation import Conversation, Head, Lines
from appliance.backup.peers.header_batches import send_ahead
from appliance.backup.peers.readers import check_reads
from appliance.backup.peers.spot_check import sample, verify_answers
from appliance.backup.vault.flow import Sending
from appliance.errors import ApplianceError, IntegrityError, NotFound
from appliance.trust.receipt import Receipt, read_receipt

SENT_MAX = 3
"""How often one blob is sent in one push: pruning may take it from the vault again before it is named by a list. And
how often, for each file, a vault may say that it is still at work: it does where it finds one in its own repository."""


@dataclass(frozen=True)
class Pushed:
    """How one push ended: `receipt`, or `error` with the reason. Bytes are those put on the wire for it."""

    peer: str
    receipt: Receipt | None
    bytes_sent: int
    seconds: float
    error: ApplianceError | None = None


def push_all(lines: Lines, chain: Chain, sealed: Sealed, folder: Path, peers: Sequence[str]) -> tuple[Pushed, ...]:
    """Push to all `peers` at once; one that fails does not disturb the others."""
    with ThreadPoolExecutor(max_workers=max(1, len(peers))) as pool:
        return tuple(pool.map(lambda peer: push(lines, chain, sealed, folder, peer), peers))


def push(lines: Lines, chain: Chain, sealed: Sealed, folder: Path, peer: str) -> Pushed:
    """Push `sealed`, whose files lie in `folder`, to `peer`; the outcome, errors included, as a value."""
    started = time.monotonic()
    sent = 0
    try:
        with lines.to(peer) as conversation:
            before = conversation.channel.bytes_sent
            try:
                receipt = _push(conversation, chain, sealed, folder)
            finally:
                sent = conversation.channel.bytes_sent - before
        chain.add_receipt(receipt)
        return Pushed(peer, receipt, sent, time.monotonic() - started)
    except ApplianceError as error:
        return Pushed(peer, None, sent, time.monotonic() - started, error)


def _push(conversation: Conversation, chain: Chain, sealed: Sealed, folder: Path) -> Receipt:
    header = sealed.header
    head = conversation.head(header.service)
    check_lineage(chain, sealed, head)
    unshown = sample(conversation, sealed, folder)
    grants = [raw.decode() for raw in chain.raw_grants()]  # the vault proves them
    headers = chain.headers_after({tip.id.digest for tip in head.tips}) or [header.document.raw.decode()]
    check_reads(head.peer, head.reads, headers)
    rest = send_ahead(conversation, "put", header.service, headers, grants=grants)
    conversation.ask(
        "put",
        header.service,
        grants=grants,
        headers=list(rest),
        list_bytes=len(sealed.listing),
        acknowledge=True,
        recheck=[entry.sha256 for entry in unshown.wrong],
    )
    conversation.channel.write(sealed.listing)
    raw = send_needed(conversation, sealed, {entry.sha256: folder / entry.path for entry in sealed.entries})
    receipt = _checked_receipt(conversation, raw, sealed)
    verify_answers(conversation, sealed, folder, unshown.all)
    return receipt


def check_lineage(chain: Chain, sealed: Sealed | None, head: Head) -> None:
    """Raise PeerIsAhead when `head` knows more of this service than we do: a newer epoch, a later or other generation,
    or a history that came before our first grant."""
    grant = chain.grant()
    own_epoch = grant.epoch
    newest = max((grant for grant in head.grants), key=lambda grant: grant.epoch, default=None)
    if newest and newest.epoch > own_epoch:
        raise PeerIsAhead(
            f"{head.peer} knows epoch {newest.epoch} of {newest.service}, written by {newest.writer}; "
            f"ours is {own_epoch}.",
            remedy=look_first(newest.service),
            peer=head.peer,
            writer=newest.writer,
        )
    before = [it.epoch for it in head.grants if it.epoch < own_epoch]
    if before and not grant.previous:
        raise PeerIsAhead(
            f"{head.peer} knows epoch {max(before)} of {grant.service}, and this node began without it: its peers did "
            "not answer then.",
            remedy=look_first(grant.service),
            peer=head.peer,
        )
    own = sealed.header.id if sealed else None
    for tip in head.tips:
        if tip.epoch == own_epoch and (own is None or not chain.leads_from(tip.id.digest, own)):
            raise PeerIsAhead(
                f"{head.peer} knows generation {tip.id} of {tip.service}, which this node's newest does not "
                "continue: this node was restored from an older image, it was cloned, or another machine wrote with "
                "its key.",
                remedy=look_first(tip.service),
                peer=head.peer,
            )


def send_needed(conversation: Conversation, sealed: Sealed, paths: Mapping[str, Path]) -> str:
    """Send what the vault says it lacks, from where `paths` (by hash) says it lies, until it answers; the receipt.

    The request must have asked it to `acknowledge`. Raise IntegrityError for an answer that is none, and when it asks
    for the same again and again: a push ends, whatever a peer says.
    """
    peer, sizes = conversation.peer.name, {entry.sha256: entry.size for entry in sealed.entries}
    sending, sent, rests = Sending(conversation.channel), Counter[str](), SENT_MAX * len(sizes)
    while True:
        answer = conversation.channel.read_frame()
        if "receipt" in answer:
            return str(answer["receipt"])
        heard, needed = sending.hear(answer), _needed(answer, peer, sizes)
        rests -= not heard and not needed
        if rests < 0:
            raise IntegrityError(f"{peer} requests no more files and gives no receipt.")
        for digest, offset in needed:
            sent[digest] += 1
            if sent[digest] > SENT_MAX:
                raise IntegrityError(f"{peer} requests the same file more than {SENT_MAX} times in one push.")
            _send(sending, paths[digest], offset, sizes[digest])


def _needed(answer: Mapping[str, Any], peer: str, sizes: Mapping[str, int]) -> list[tuple[str, int]]:
    """The files that a vault asks for, by hash, and from which byte."""
    asked = answer.get("need", [])
    for pair in asked if isinstance(asked, list) else [asked]:
        match pair:
            case [str(digest), int(offset)] if 0 <= offset <= sizes.get(digest, -1):
                continue
        raise IntegrityError(f"{peer} requests a file that was not offered.")
    return [(digest, offset) for digest, offset in asked]


def _send(sending: Sending, path: Path, offset: int, size: int) -> None:
    try:
        with open(path, "rb") as file:
            file.seek(offset)
            sending.send(file, size - offset)
    except FileNotFoundError as error:
        raise NotFound(
            "a newer generation was sealed while this one was sent.", remedy="The next push sends it."
        ) from error


def _checked_receipt(conversation: Conversation, raw: str, sealed: Sealed) -> Receipt:
    peer = conversation.peer
    receipt = read_receipt(raw.encode(), peer.keys.sign)
    if receipt.holder != peer.name or receipt.generation != sealed.header.id:
        raise IntegrityError(f"the receipt of {peer.name} is not for generation {sealed.header.id}.")
    return receipt
