"""The words that nothing changed which this node knows, and where they are kept (`words.py` says what they prove).

services/SERVICE/still.json   at the writer: its last word, and the receipts for it
sight/SERVICE.stills          at a replica node: the last word that each other one showed, with its receipt
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from appliance.backup.chain.chain import Chain, chain_of
from appliance.backup.still.words import Signed, Word, as_of, read_signed, read_word
from appliance.backup.vault.replicas import replica_of
from appliance.backup.vault.still import shown
from appliance.backup.vault.stored_grants import stored_grant
from appliance.clock import SKEW_SECONDS_MAX
from appliance.host.layout import ServiceLayout
from appliance.host.records import Record
from appliance.node.handle import Node
from appliance.trust.generation import GenerationId


@dataclass(frozen=True)
class Said:
    """`number` is that of the writer's last word about `generation`, by its digest; `statement` is the last that all
    took, "" for none, and `receipts` are theirs."""

    generation: str
    number: int
    statement: str = ""
    receipts: dict[str, str] = field(default_factory=dict)


SAID = Record(Said, format=1)
SHOWN = Record(dict[str, Signed])


def said_file(layout: ServiceLayout) -> Path:
    return layout.root / "still.json"


def shown_file(node: Node, service: str) -> Path:
    return node.layout.last_seen / f"{service}.stills"


def heard(node: Node, service: str) -> tuple[Word, ...]:
    """All words that this node knows about `service`; nobody is asked."""
    found = list(_kept(node, service))
    key_of = _writer_keys(node, service)
    members = node.bundle.members
    known = ((members[holder], signed) for holder, signed in found if holder in members)
    return tuple(word for holder, signed in known if (word := read_word(holder, service, signed, key_of)))


def still_of(
    node: Node, service: str, chain: Chain, words: Iterable[Word], lost: Collection[str], generation: GenerationId
) -> float:
    """Until when `words` prove that the source of `service` was what `generation` holds, as a writer sees it."""
    grant = chain.grant_of(generation.epoch) if words else None
    return as_of(node.bundle, service, grant.writer, generation, words, lost, node.clock.now()) if grant else 0.0


def own_word(node: Node, service: str) -> Word | None:
    """The word that this node took as a replica node; None for one of a time to come, after its clock was set back."""
    signed = _taken(node, service)
    word = read_word(node.bundle.member(node.name), service, signed, _writer_keys(node, service)) if signed else None
    return word if word and word.time <= node.clock.now() + SKEW_SECONDS_MAX else None


def _kept(node: Node, service: str) -> Iterator[tuple[str, Signed]]:
    if said := SAID.load_or(said_file(node.service(service)), None):
        yield from ((peer, Signed(said.statement, it)) for peer, it in said.receipts.items())
    if taken := _taken(node, service):
        yield node.name, taken
    yield from SHOWN.load_or(shown_file(node, service), {}).items()


def _taken(node: Node, service: str) -> Signed | None:
    return read_signed(shown(replica_of(node, service)))


def _writer_keys(node: Node, service: str) -> Callable[[int], str | None]:
    """By the grants that this node keeps as a vault or as a writer; they are read only when there is a word."""
    replica = replica_of(node, service)
    known: dict[int, str | None] = {}

    def key_of(epoch: int) -> str | None:
        if epoch not in known:
            if epoch in replica.epochs():
                known[epoch] = stored_grant(replica, node.bundle, epoch).writer_key
            else:
                grant = chain_of(node, service).grant_of(epoch)
                known[epoch] = grant.writer_key if grant else None
        return known[epoch]

    return key_of


def remember_shown(node: Node, service: str, now: Mapping[str, Signed], owing: Collection[str]) -> None:
    """Keep what peers that must hold the service showed now; what one showed before stays when it shows nothing."""
    path = shown_file(node, service)
    before = SHOWN.load_or(path, {})
    kept = {peer: it for peer, it in {**before, **now}.items() if peer in owing}
    if kept != before:
        SHOWN.save(path, kept)
