"""The writer's own memory of what it sealed: every header, the newest list, the receipts that came back.

    chain/00002.0000000007.HHHH/  header, list (newest only), receipt-PEER
    chain/grants/00002            the grant of each epoch
    chain/history/00002.0000000   headers and receipts of older ones, a thousand to a file (`history.py`)

It is written before the first byte leaves, so a crash in mid-push finds the same generation again instead of making
another.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance import typed
from appliance.backup.chain.history import HEADER, History, documents, previous_of, remove_folder
from appliance.errors import NotFound, Refused
from appliance.host.files import fsync_folder, make_private_folder, write_atomic
from appliance.node.handle import Node
from appliance.trust.generation import NO_PARENT, Entry, GenerationId, Header, epoch_of, parse_list, read_header
from appliance.trust.grant import Grant
from appliance.trust.granters import Granters
from appliance.trust.receipt import Receipt, read_receipt

FOLDERS_MAX, FOLDERS_KEPT = 1000, 500
"""Generations that have a folder each: once there are more, the older ones go into the history, and so many stay."""
SHELVED_AT_ONCE_MAX = 2000
"""A chain of a former version has years of them: they go in several runs, for which people do not wait."""


@dataclass(frozen=True)
class Sealed:
    """One generation as its writer keeps it."""

    header: Header
    listing: bytes
    entries: tuple[Entry, ...]


class Chain:
    def __init__(self, root: Path, granters: Granters, service: str) -> None:
        self.service = service
        self.root = root
        self._history = History(root / "history", 0o644)
        self.grants_folder = root / "grants"
        self._granters = granters
        self._proven: dict[bytes, Grant] = {}
        """Grants that were proven here, by their bytes: years of headers are of few of them."""

    def names(self) -> tuple[str, ...]:
        """Names of all generations, oldest first; `recent` gives the newest without reading what years have made."""
        return tuple(sorted({*self._folders(), *self._history.index()}))

    def recent(self, count: int) -> tuple[str, ...]:
        """The names of the newest generations, oldest first: `count` of them, fewer only when there are no more."""
        return tuple(sorted({*self._folders(), *self._history.newest(count)})[-count:])

    def _folders(self) -> tuple[str, ...]:
        """The names of those that were sealed or fetched lately and have a folder each."""
        if not self.root.exists():
            return ()
        return tuple(sorted(name for name in os.listdir(self.root) if name.count(".") == 2 and name[0] != "."))

    def first_after(self, epoch: str) -> str:
        """The name of the first generation known of an epoch later than `epoch`, five digits; "" when there is none."""
        later = (name for name in self._folders() if name[: len(epoch)] > epoch)
        return min(filter(None, (next(later, ""), self._history.first_after(epoch))), default="")

    def newest(self) -> Sealed | None:
        """The newest generation that was sealed whole; a header without list is history taken over from a peer."""
        header = self.newest_header()
        if header is None:
            return None
        listing = (self.root / header.id.name / "list").read_bytes()
        return Sealed(header, listing, parse_list(listing, header))

    def newest_header(self) -> Header | None:
        """As `newest`, without its list of files."""
        name = next((name for name in reversed(self._folders()) if (self.root / name / "list").exists()), None)
        return self.header(name) if name else None

    def raw_header(self, name: str) -> bytes:
        """The header as it is stored, not proven again; raise NotFound when it is not here."""
        raw = self._part(name, HEADER)
        if raw is None:
            raise NotFound(f"the header of generation {name} is not here.", where=str(self.root))
        return raw

    def header(self, name: str) -> Header:
        """The header of generation `name`, proven by the grant of its epoch alone."""
        raw = self.raw_header(name)
        epoch = epoch_of(raw)
        grant = self.grant_of(epoch)
        if grant is None:
            raise NotFound(
                f"the grant of epoch {epoch}, which proves generation {name}, is not here.", where=str(self.root)
            )
        return read_header(raw, grant.writer_key)

    def _part(self, name: str, part: str) -> bytes | None:
        try:
            return (self.root / name / part).read_bytes()
        except FileNotFoundError:
            return self._history.parts(name).get(part)

    def headers_after(self, known: Container[str]) -> tuple[str, ...]:
        """The headers up to the newest generation, oldest first, that somebody who knows the digests `known` lacks."""
        newest = self.newest_header()
        raws: list[str] = []
        for digest, raw in self._back_from(newest.id) if newest else ():
            if digest in known:
                break
            raws.append(raw.decode())
        return tuple(reversed(raws))

    def to_compare(self) -> tuple[str, ...]:
        """Names by which a holder finds what this chain lacks: the newest ones, then older ones in ever larger steps.

        None while a header before one of them is missing here: then all are asked for, and the gap is filled.
        """
        names = self.names()
        before = {it.name: it.previous for it in self._history.index().values()}
        before |= {name: previous_of(self._part(name, HEADER) or b"")[:16] for name in self._folders()}
        digests = {NO_PARENT[:16], *(name[-16:] for name in names)}
        if any(it not in digests for it in before.values()):
            return ()
        steps = [*range(32), *(2**power for power in range(5, 20))]
        return tuple(names[-1 - step] for step in steps if step < len(names))

    def leads_from(self, digest: str, to: GenerationId) -> bool:
        """Whether the generation whose header has `digest` is `to`, or one that `to` continues."""
        return any(step == digest for step, _ in self._back_from(to))

    def _back_from(self, generation: GenerationId) -> Iterator[tuple[str, bytes]]:
        """The digest and the bytes of each header from this one back to the first, or to one that is not known here.

        Within an epoch the number tells the name of the one before, so that a walk costs what it passes.
        """
        name, digest = generation.name, generation.digest
        while raw := self._part(name, HEADER):
            yield digest, raw
            digest = previous_of(raw)
            epoch, sequence, _ = name.split(".")
            name = f"{epoch}.{int(sequence) - 1:010d}.{digest[:16]}"
            if self._part(name, HEADER) is None:  # the first one of its epoch
                name = next((it for it in reversed(self.names()) if it[-16:] == digest[:16]), name)

    def add(self, header: Header, listing: bytes) -> None:
        """Keep a sealed generation; lists of older ones are dropped, their headers never."""
        older = self._folders()
        folder = make_private_folder(self.root / header.id.name)
        write_atomic(folder / "header", header.document.raw)
        write_atomic(folder / "list", listing)
        fsync_folder(self.root)
        for name in older:
            if name != header.id.name:
                (self.root / name / "list").unlink(missing_ok=True)
        if len(older) > FOLDERS_MAX:
            self._shelve([name for name in older[:-FOLDERS_KEPT] if name != header.id.name][:SHELVED_AT_ONCE_MAX])

    def _shelve(self, names: Iterable[str]) -> None:
        """Move headers and receipts into the history; each generation had a folder."""
        found = {name: documents(self.root / name) for name in names}
        old = {name: parts for name, parts in found.items() if parts}
        self._history.add(old)
        for name in old:
            remove_folder(self.root / name)
        fsync_folder(self.root)

    def add_header(self, header: Header) -> None:
        """Keep a header of before this node wrote, so that it can hand the whole chain to a new peer."""
        self.add_headers([header])

    def add_headers(self, headers: Sequence[Header]) -> None:
        """Keep headers of before this node wrote: of years of them, those that are new here, by a few writes."""
        make_private_folder(self.root)
        folders = set(self._folders())
        new = {
            header.id.name: {HEADER: header.document.raw}
            for header in headers
            if not (header.id.name in folders and (self.root / header.id.name / HEADER).exists())
        }
        known = self._history.index()
        self._history.add({name: parts for name, parts in new.items() if name not in known})

    def knows(self, generation: GenerationId) -> bool:
        return self._part(generation.name, HEADER) is not None

    def add_receipt(self, receipt: Receipt) -> None:
        folder = make_private_folder(self.root / receipt.generation.name)
        write_atomic(folder / f"receipt-{receipt.holder}", receipt.document.raw)

    def has_receipt(self, name: str, holder: str) -> bool:
        return self._part(name, f"receipt-{holder}") is not None

    def receipts(self, generation: GenerationId, keys: Mapping[str, str]) -> tuple[Receipt, ...]:
        """The receipts for `generation` of the holders in `keys` (name -> public key), each checked again.

        One by another key counts no more: somebody else has the name now, and has to sign for what it holds.
        """
        found = []
        for holder, key in keys.items():
            raw = self._part(generation.name, f"receipt-{holder}")
            if raw is not None:
                with contextlib.suppress(Refused):
                    found.append(read_receipt(raw, key))
        return tuple(receipt for receipt in found if receipt.generation == generation)

    def add_grant(self, grant: Grant) -> None:
        """Keep `grant`; raise Refused beside another one of its epoch."""
        path = make_private_folder(self.grants_folder) / f"{grant.epoch:05d}"
        if _is_kept(path, grant.document.raw):
            return
        if path.exists() and self._read_grant(path.read_bytes()).statement != grant.statement:
            raise Refused(f"there is already another grant of epoch {grant.epoch} of {grant.service}.")
        write_atomic(path, grant.document.raw)

    def grants(self) -> dict[int, Grant]:
        """Every grant known here, by epoch. Each was judged when it came; by now others may vote."""
        return {grant.epoch: grant for grant in map(self._read_grant, self.raw_grants())}

    def grant_of(self, epoch: int) -> Grant | None:
        """The grant of `epoch`, None where it is not known; what years of takeovers left is not read."""
        path = self.grants_folder / f"{epoch:05d}"
        return self._read_grant(path.read_bytes()) if path.exists() else None

    def _read_grant(self, raw: bytes) -> Grant:
        if raw not in self._proven:
            self._proven[raw] = self._granters.keeping([raw]).read(raw)
        return self._proven[raw]

    def raw_grants(self) -> tuple[bytes, ...]:
        """The grants kept here as they are stored, by epoch."""
        return tuple((self.grants_folder / f"{epoch:05d}").read_bytes() for epoch in self.epochs())

    def epochs(self) -> tuple[int, ...]:
        """The epochs whose grants are kept here, oldest first; none of them is read."""
        folder = self.grants_folder
        return tuple(sorted(int(name) for name in os.listdir(folder) if name.isdigit())) if folder.exists() else ()

    def newest_grant(self) -> Grant | None:
        epochs = self.epochs()
        return self.grant_of(epochs[-1]) if epochs else None

    def grant(self) -> Grant:
        """The newest grant; raise NotFound, with what to do, when there is none yet."""
        newest = self.newest_grant()
        if newest is None:
            raise NotFound(
                f"{self.service} has no grant yet.",
                remedy=f"Make a request for one: `{typed.begin(self.service)}`.",
            )
        return newest


def _is_kept(path: Path, raw: bytes) -> bool:
    """Whether it need not be written again: a whole history is shown at each takeover, and most of it is known."""
    return path.exists() and path.read_bytes() == raw


def chain_of(node: Node, service: str) -> Chain:
    """The chain that `node` keeps of `service`."""
    return Chain(node.service(service).chain, node.bundle.granters, service)
