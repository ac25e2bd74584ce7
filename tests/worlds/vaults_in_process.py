"""Writers and vaults of a desk in one process: lines are pipes to a vault in a thread, and borg is a file that counts.

Everything else is the product's: surveys, lineage, seals, chains, pushes, relays, fetches, grants and adoption.
"""

from __future__ import annotations

import os
import re
import select
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from appliance.backup.chain.chain import Sealed, chain_of
from appliance.backup.chain.lineage import remember
from appliance.backup.chain.resync import continue_under, fetch_for_resync, request_after_fetch
from appliance.backup.chain.seal import seal
from appliance.backup.peers.adopt import install_key, own_repository
from appliance.backup.peers.conversation import Conversation, Lines
from appliance.backup.peers.fetched import load_fetched, remember_fetched
from appliance.backup.peers.push import Pushed
from appliance.backup.vault.session import open_channel, serve
from appliance.backup.vault.wire import Channel, Closed
from appliance.backup.writer.begin import request, take_first_grant
from appliance.backup.writer.writer import compare, own_grant, push_newest
from appliance.borg.nonce import NONCE_BURN, check_nonce, next_nonce, write_nonce
from appliance.errors import Unreachable
from appliance.escrow.envelopes import ServiceKey
from appliance.host.files import locked
from appliance.host.layout import ServiceLayout
from appliance.node.handle import Node
from appliance.secret import Secret
from appliance.trust.grant import read_request
from appliance.trust.granted import Granted
from appliance.trust.keys import load_key
from tests.worlds.vaults import ORIGIN, REPOSITORY, SERVICE, VaultWorld

QUIET_SECONDS = 20
VAULTS = ThreadPoolExecutor(16)
"""A thread begun for each line would be a tenth of a property test."""
KEY = ServiceKey(Secret(b"phrase"), Secret(f"BORG_KEY {REPOSITORY}\n".encode()))


class CutChannel(Channel):
    """A channel that breaks after so many bytes were written to it."""

    left = -1
    waits = False

    def is_waiting(self) -> bool:
        """Whether it waits for a byte of the other side, and has read all that came."""
        return not select.select([self._reader], [], [], 0)[0] and self.waits

    def _wait(self, readers: list[int], writers: list[int]) -> None:
        self.waits = bool(readers)
        try:
            super()._wait(readers, writers)
        finally:
            self.waits = False

    def write(self, data: bytes | memoryview) -> None:
        if 0 <= self.left < len(data):
            super().write(memoryview(data)[: self.left])
            raise Closed("the connection ended.")
        self.left -= len(data) if self.left >= 0 else 0
        super().write(data)


@dataclass
class World:
    """`down`: nodes that do not answer; `cut`: after how many bytes the next line to a node breaks."""

    vaults: VaultWorld
    down: frozenset[str] = frozenset()
    cut: Mapping[str, int] = field(default_factory=dict)

    def line(self, node: Node, peer: str, *_: object, **__: object) -> ThreadLine:
        """In the place of `peers.Line`."""
        if peer in self.down:
            raise Unreachable(f"{peer} does not answer.")
        return ThreadLine(self, node, peer)

    def channel(self, peer: str, reader: int, writer: int, other: CutChannel) -> Channel:
        """The end of a line at the vault of `peer`; `other` is the caller's."""
        return open_channel(reader, writer)

    def begin(self) -> None:
        """The origin's service with its first grant, and a repository in which nothing is written."""
        node = self.vaults.open(ORIGIN)
        layout = node.service(SERVICE)
        (layout.repository / "data" / "0").mkdir(parents=True)
        (layout.repository / "config").write_text(f"[repository]\nversion = 1\nid = {REPOSITORY}\n")
        (layout.repository / "README").write_text("This is a Borg Backup repository.\n")
        (layout.repository / "index.0").write_bytes(b"x")
        install_key(layout, KEY)
        asked = request(node, SERVICE, known_epoch=0, reason="first")
        take_first_grant(node, SERVICE, self.grant(asked, ORIGIN))

    def grant(self, asked: bytes, name: str) -> bytes:
        """Return the answer of the key holder, who remembers."""
        granted = Granted(self.vaults.territory_key)
        writer_key = self.vaults.open(name).bundle.member(name).keys.sign
        grant = granted.grant(load_key(self.vaults.territory_key), read_request(asked, writer_key))
        granted.save()
        return grant.document.raw

    def run(self, name: str, stop: str = "") -> tuple[Sealed, tuple[Pushed, ...]]:
        """`writer.run` with a borg that counts; killed once it has "sealed", or "remembered" what it sealed."""
        node = self.vaults.open(name)
        layout, chain = node.service(SERVICE), chain_of(node, SERVICE)
        with Lines(node) as lines, locked(layout.lock, what="the service"):
            grant = own_grant(node, chain)
            compare(node, SERVICE, chain, lines)
            write(layout, grant.epoch)
            sealed = seal(layout, chain, grant, layout.envelopes, node.signing_key, node.clock.now())
            if stop == "sealed":
                return sealed, ()
            remember(node, SERVICE, sealed)
        return sealed, () if stop else push_newest(node, SERVICE)

    def fetch_to_continue(self, name: str) -> bytes:
        """Fetch and ask for a grant to go on, at `name`; return the grant that it gets."""
        node = self.vaults.open(name)
        sealed, found = fetch_for_resync(node, SERVICE)
        remember_fetched(node, SERVICE, sealed)
        return self.grant(request_after_fetch(node, SERVICE, found, "test"), name)

    def adopt(self, name: str, raw_grant: bytes) -> None:
        node = self.vaults.open(name)
        continue_under(node, SERVICE, load_fetched(node, SERVICE), raw_grant, KEY)


class ThreadLine:
    """A conversation with the vault of `peer`, which serves in a thread until the line is closed."""

    def __init__(self, world: World, node: Node, peer: str) -> None:
        (there_in, self._to), (self._from, there_out) = os.pipe(), os.pipe()
        channel = CutChannel(self._from, self._to, quiet_seconds=QUIET_SECONDS)
        channel.left = world.cut.get(peer, -1)
        vault = world.channel(peer, there_in, there_out, channel)

        def answer() -> None:
            threading.current_thread().name = peer
            try:
                serve(world.vaults.open(peer), node.name, vault)
            finally:
                os.close(there_out)
                os.close(there_in)

        self.peer = node.bundle.member(peer)
        self._served = VAULTS.submit(answer)
        self.conversation = Conversation(node, self.peer, channel)

    def is_alive(self) -> bool:
        return not self._served.done()

    def is_silent(self) -> bool:
        return False

    def explain(self, error: Closed) -> Unreachable:
        return Unreachable(f"{self.peer.name} does not answer: {error.what}")

    def close(self) -> None:
        os.close(self._to)
        self._served.result()
        os.close(self._from)


def write(layout: ServiceLayout, epoch: int) -> None:
    """Do the part of a run of borg that matters here: one more segment, under a counter of the grant that is then
    used."""
    repository = own_repository(layout)
    value = next_nonce(repository)
    check_nonce(value, epoch)
    assert value is not None
    write_nonce(repository.path, value + NONCE_BURN)
    number = max((int(path.name) for path in repository.path.glob("data/0/*")), default=0) + 1
    (repository.path / f"data/0/{number}").write_bytes(f"{value:016x} {os.urandom(8).hex()}".encode())
    (repository.path / f"index.{number}").write_bytes(b"x")


def counter_of(blob: bytes) -> str | None:
    """The counter that a segment was written under; None for the other files of a generation."""
    found = re.fullmatch(rb"([0-9a-f]{16}) [0-9a-f]{16}", blob)
    return found[1].decode() if found else None
