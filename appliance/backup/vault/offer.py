"""Check what a push offers, before a byte of it is kept: grants, headers, their place in the chain, the list.

A chain is a tree of headers: within an epoch each names the one before it; the first of an epoch names any header of
an earlier epoch. Later siblings of that parent stay as a branch. Two headers with one epoch and one sequence are a
fork: both are kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from appliance import typed
from appliance.backup.vault.limits import HEADERS_PER_PUSH_MAX
from appliance.backup.vault.store import HEADER, Replica
from appliance.backup.vault.stored_grants import granters_at, stored_grant
from appliance.errors import IntegrityError, NoSpace, NotFound, Refused
from appliance.trust.bundle import Bundle
from appliance.trust.generation import (
    NO_PARENT,
    Entry,
    GenerationId,
    Header,
    check_strict,
    epoch_of,
    parse_list,
    read_header,
)
from appliance.trust.grant import Grant
from appliance.trust.signed import digest_of


@dataclass(frozen=True)
class Offer:
    """A checked push: `headers` oldest first, all new or known; the last one is to be published with `entries`.

    With an empty `listing` nothing is published: it is a part of a long chain, sent ahead.
    """

    grants: Mapping[int, Grant]
    headers: tuple[Header, ...]
    listing: bytes
    entries: tuple[Entry, ...]

    @property
    def header(self) -> Header:
        return self.headers[-1]

    @property
    def newest_grant(self) -> Grant:
        return self.grants[max(self.grants)]


def newest_grant(replica: Replica, bundle: Bundle) -> Grant | None:
    epochs = replica.epochs()
    return stored_grant(replica, bundle, epochs[-1]) if epochs else None


def read_offer(
    replica: Replica, bundle: Bundle, service: str, *, grants: Sequence[str], headers: Sequence[str], listing: bytes
) -> Offer:
    """The checked offer; raise IntegrityError or Refused for anything that is not proven."""
    if not headers:
        raise IntegrityError("the push names no generation.")
    known, read = read_chain(replica, bundle, service, grants=grants, headers=headers)
    return Offer(known, read, listing, parse_list(listing, read[-1]) if listing else ())


def read_chain(
    replica: Replica, bundle: Bundle, service: str, *, grants: Sequence[str], headers: Sequence[str]
) -> tuple[dict[int, Grant], tuple[Header, ...]]:
    """Every grant known then, by epoch, and `headers`, checked; raise as `read_offer` does."""
    if len(headers) > HEADERS_PER_PUSH_MAX:
        raise NoSpace(
            f"{len(headers)} headers in one push are more than this peer accepts.", remedy="Push again in parts."
        )
    known = _grants(replica, bundle, service, grants)
    read = tuple(check_header(raw.encode(), known, service) for raw in headers)
    _check_chain(replica, known, read)
    return known, read


def check_writer(offer: Offer, bundle: Bundle, caller: str) -> None:
    """The fence: only the holder of the newest grant publishes, with the key it has in the bundle, under its epoch; and
    none that a revocation ended."""
    newest = offer.newest_grant
    bundle.revoked.check_writing(offer.grants)
    if offer.listing and offer.header.epoch != newest.epoch:
        raise Refused(
            f"epoch {offer.header.epoch} of {offer.header.service} ended: "
            f"epoch {newest.epoch} belongs to {newest.writer}.",
            remedy="This node keeps what it has as a branch and asks for a new grant.",
        )
    if newest.writer != caller or newest.writer_key != bundle.member(caller).keys.sign:
        raise Refused(f"the grant of epoch {newest.epoch} is for another node.", remedy="Ask for a new grant.")


def _grants(replica: Replica, bundle: Bundle, service: str, offered: Sequence[str]) -> dict[int, Grant]:
    stored = [replica.grant(epoch) for epoch in replica.epochs()]
    granters = granters_at(replica, bundle)
    grants = granters.read_all(service, (*stored, *(text.encode() for text in offered)))
    if not grants:
        raise Refused(
            f"there is no grant for {service}.",
            remedy=f"Ask for one at its origin: `{typed.begin(service)}`.",
        )
    return grants


def check_header(raw: bytes, grants: Mapping[int, Grant], service: str) -> Header:
    """The header in `raw` that somebody sends, signed by the writer of its grant; its place in the chain is not looked
    at."""
    header = proven_header(raw, grants, service)
    check_strict(header)
    return header


def proven_header(raw: bytes, grants: Mapping[int, Grant], service: str) -> Header:
    """The same of one that is stored here already, maybe since a version that was less strict."""
    epoch = epoch_of(raw)
    if epoch not in grants:
        raise Refused(
            f"there is no grant of epoch {epoch}.",
            remedy=f"Ask for a new one at its writer: `{typed.resync(service)}`.",
        )
    header = read_header(raw, grants[epoch].writer_key)
    if header.service != service:
        raise Refused(f"the generation is of {header.service}, not {service}.")
    return header


def _check_chain(replica: Replica, grants: Mapping[int, Grant], headers: Sequence[Header]) -> None:
    parents = Parents(replica)
    for header in headers:
        if replica.knows(header.id):
            if replica.read(header.id.name, HEADER) != header.document.raw:
                raise IntegrityError(f"another header already has the name of generation {header.id}.")
        elif header.previous == NO_PARENT:
            _check_root(header, grants)
        else:
            parent = parents.find(header)
            if parent is None:
                raise NotFound(
                    f"the header before {header.id} is missing.", remedy="Push again with the missing headers."
                )
            _check_step(header, parent)
        parents.add(header.id)


def _check_root(header: Header, grants: Mapping[int, Grant]) -> None:
    if header.sequence != 1 or grants[header.epoch].previous != 0:
        raise IntegrityError(f"generation {header.id} names no generation before it.")


def _check_step(header: Header, parent: GenerationId) -> None:
    follows = parent.epoch == header.epoch and header.sequence == parent.sequence + 1
    opens = parent.epoch < header.epoch and header.sequence == 1
    if not (follows or opens):
        raise IntegrityError(f"generation {header.id} cannot come after {parent}.")


class Parents:
    """The generations a header may name as the one before it: those known here, and those just checked."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._checked: dict[str, GenerationId] = {}

    def add(self, generation: GenerationId) -> None:
        self._checked[generation.digest] = generation

    def find(self, header: Header) -> GenerationId | None:
        """The generation before that of `header`; None when it is unknown. Within an epoch its name is told by its
        number, so that only the first header of an epoch has all names read."""
        digest = header.previous
        if digest in self._checked:
            return self._checked[digest]
        before = GenerationId(header.epoch, header.sequence - 1, digest)
        if self._is_known(before):
            return before
        epoch, sequence, _ = self._names.get(digest[:16], "0.0.").split(".")
        found = GenerationId(int(epoch), int(sequence), digest)
        return found if self._is_known(found) else None

    def _is_known(self, generation: GenerationId) -> bool:
        return self._replica.knows(generation) and digest_of(self._replica.read(generation.name, HEADER)) == (
            generation.digest
        )

    @cached_property
    def _names(self) -> dict[str, str]:
        """The folder name of each generation known here, by the start of its digest."""
        return {name[-16:]: name for name in self._replica.names()}
