"""The writer's own memory of what it sealed: every header, the newest list, the receipts that came back.

    chain/00002.0000000007.HHHH/  header, list (newest only), receipt-PEER
    chain/grants/00002            the grant of each epoch

It is written before the first byte leaves, so a crash in mid-push finds the same generation again instead of making
another.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from appliance.backup.node import Node
from appliance.errors import NotFound, Refused
from appliance.host.files import fsync_folder, make_private_folder, write_atomic
from appliance.trust.generation import Entry, GenerationId, Header, epoch_of, fields_of, parse_list, read_header
from appliance.trust.grant import Grant
from appliance.trust.granters import Granters
from appliance.trust.receipt import Receipt, read_receipt


@dataclass(frozen=True)
class Sealed:
    """One generation as its writer keeps it."""

    header: Header
    listing: bytes
    entries: tuple[Entry, ...]


class Chain:
    def __init__(self, root: Path, granters: Granters) -> None:
        self.root = root
        self.grants_folder = root / "grants"
        self._granters = granters

    def names(self) -> tuple[str, ...]:
        """Names of all generations, oldest first."""
        if not self.root.exists():
            return ()
        return tuple(sorted(name for name in os.listdir(self.root) if name.count(".") == 2 and name[0] != "."))

    def newest(self) -> Sealed | None:
        """The newest generation that was sealed whole; a header without list is history taken over from a peer."""
        for name in reversed(self.names()):
            if (self.root / name / "list").exists():
                header = self.header(name)
                listing = (self.root / name / "list").read_bytes()
                return Sealed(header, listing, parse_list(listing, header))
        return None

    def raw_header(self, name: str) -> bytes:
        """The header as it is stored, not proven again."""
        return (self.root / name / "header").read_bytes()

    def header(self, name: str) -> Header:
        raw = self.raw_header(name)
        return read_header(raw, self.grants()[epoch_of(raw)].writer_key)

    def headers_after(self, known: Container[str]) -> tuple[str, ...]:
        """The headers up to the newest generation, oldest first, that somebody who knows the digests `known` lacks."""
        newest = self.newest()
        raws: list[str] = []
        for digest, raw in self._back_from(newest.header.id.digest) if newest else ():
            if digest in known:
                break
            raws.append(raw.decode())
        return tuple(reversed(raws))

    def leads_from(self, digest: str, to: GenerationId) -> bool:
        """Whether the generation whose header has `digest` is `to`, or one that `to` continues."""
        return any(step == digest for step, _ in self._back_from(to.digest))

    def _back_from(self, digest: str) -> Iterator[tuple[str, bytes]]:
        """The digest and the bytes of each header from this one back to the first, or to one that is not known here."""
        names = {name[-16:]: name for name in self.names()}
        while digest[:16] in names:
            raw = (self.root / names[digest[:16]] / "header").read_bytes()
            yield digest, raw
            digest = fields_of(raw)["previous"]

    def add(self, header: Header, listing: bytes) -> None:
        """Keep a sealed generation; lists of older ones are dropped, their headers never."""
        older = self.names()
        folder = make_private_folder(self.root / header.id.name)
        write_atomic(folder / "header", header.document.raw)
        write_atomic(folder / "list", listing)
        fsync_folder(self.root)
        for name in older:
            if name != header.id.name:
                (self.root / name / "list").unlink(missing_ok=True)

    def add_header(self, header: Header) -> None:
        """Keep a header of before this node wrote, so that it can hand the whole chain to a new peer."""
        path = make_private_folder(self.root / header.id.name) / "header"
        if not _is_kept(path, header.document.raw):
            write_atomic(path, header.document.raw)

    def add_receipt(self, receipt: Receipt) -> None:
        write_atomic(self.root / receipt.generation.name / f"receipt-{receipt.holder}", receipt.document.raw)

    def receipts(self, generation: GenerationId, keys: Mapping[str, str]) -> tuple[Receipt, ...]:
        """The receipts for `generation` of the holders in `keys` (name -> public key), each checked again.

        One by another key counts no more: somebody else has the name now, and has to sign for what it holds.
        """
        found = []
        for holder, key in keys.items():
            path = self.root / generation.name / f"receipt-{holder}"
            if path.exists():
                with contextlib.suppress(Refused):
                    found.append(read_receipt(path.read_bytes(), key))
        return tuple(receipt for receipt in found if receipt.generation == generation)

    def add_grant(self, grant: Grant) -> None:
        """Keep `grant`; raise Refused beside another one of its epoch."""
        path = make_private_folder(self.grants_folder) / f"{grant.epoch:05d}"
        if _is_kept(path, grant.document.raw):
            return
        if path.exists() and self.grants()[grant.epoch].statement != grant.statement:
            raise Refused(f"there already is another grant of epoch {grant.epoch} of {grant.service}.")
        write_atomic(path, grant.document.raw)

    def grants(self) -> dict[int, Grant]:
        """Every grant known here, by epoch. Each was judged when it came; by now others may vote."""
        kept = self.raw_grants()
        granters = self._granters.keeping(kept)
        return {grant.epoch: grant for grant in map(granters.read, kept)}

    def raw_grants(self) -> tuple[bytes, ...]:
        """The grants kept here as they are stored, by epoch."""
        folder = self.grants_folder
        names = sorted(os.listdir(folder)) if folder.exists() else []
        return tuple((folder / name).read_bytes() for name in names if name.isdigit())

    def grant(self) -> Grant:
        """The newest grant; raise NotFound, with what to do, when there is none yet."""
        grants = self.grants()
        if not grants:
            raise NotFound(
                "this service has no grant yet.",
                remedy="Make a request for one: `appliance backup begin`.",
            )
        return grants[max(grants)]


def _is_kept(path: Path, raw: bytes) -> bool:
    """Whether it need not be written again: a whole history is shown at each takeover, and most of it is known."""
    return path.exists() and path.read_bytes() == raw


def chain_of(node: Node, service: str) -> Chain:
    """The chain that `node` keeps of `service`."""
    return Chain(node.service(service).chain, node.bundle.granters)
