"""Talk to a peer's vault: one ssh, several requests, each answer checked before it is believed."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.backup.chain.grants import granters_of
from appliance.backup.peers.rate_limit import at_once, rate_limit_of
from appliance.backup.peers.shown import read_names, read_numbers, read_shown
from appliance.backup.still.words import Signed
from appliance.backup.vault.wire import COMMAND, PROTOCOL, Channel, Closed
from appliance.errors import ApplianceError, IntegrityError, Unreachable
from appliance.host.files import write_atomic
from appliance.host.network.ssh import (
    ALIVE_SECONDS,
    CONNECT_TIMEOUT_SECONDS,
    Destination,
    client_argv,
    known_hosts_line,
    pipes_of,
    start_client,
)
from appliance.node.handle import Node
from appliance.trust.bundle import Member
from appliance.trust.generation import Header
from appliance.trust.grant import Grant
from appliance.trust.granters import Granters
from appliance.trust.receipt import Receipt
from appliance.trust.rotation import other_ssh_keys

CLOSE_SECONDS_MAX = 30
URGENT_SECONDS = 6
"""Until a line stands, with who has no time: five round trips of a second each, and an sshd that is busy."""
URGENT_ALIVE_SECONDS = 2


@dataclass(frozen=True)
class Head:
    """The answer of a peer about what it knows and holds; signatures were checked.

    `tips` are the newest headers of each epoch it knows, held or not; `held` are names, oldest first; `newest` is the
    header of the newest one held, which only the service's writer could sign.
    """

    peer: str
    age_seconds: int
    grants: tuple[Grant, ...]
    tips: tuple[Header, ...]
    held: tuple[str, ...]
    known: int
    forks: tuple[str, ...]
    newest: Header | None
    receipt: Receipt | None
    absences: tuple[str, ...] = ()
    """The statements that it shows about nodes it misses, raw: a caller that uses one checks it."""
    reads: int = 1
    """The latest format of a generation's header that it reads; a former version does not say."""
    reads_still: int = 0
    """The same of the word that nothing changed; 0 where it takes none."""
    still: Signed | None = None
    """The last such word that it took, with its receipt; None without one that holds."""


@dataclass(frozen=True)
class Conversation:
    """An open session with one peer about any service."""

    node: Node
    peer: Member
    channel: Channel

    def ask(self, verb: str, service: str, **details: Any) -> None:
        self.channel.write_frame({"appliance": PROTOCOL, "verb": verb, "service": service, **details})

    def head(self, service: str) -> Head:
        """Return what the peer knows and holds of `service`; raise IntegrityError when a signature in it does not
        hold."""
        self.ask("head", service, brief=True)
        return read_head(self.channel.read_frame(), self.peer, service, granters_of(self.node, service))


def read_head(frame: dict[str, Any], peer: Member, service: str, granters: Granters) -> Head:
    """The checked head in a vault's answer."""
    try:
        shown = read_shown(granters, peer, service, frame["grants"])
        return Head(
            peer=peer.name,
            age_seconds=int(frame["age_seconds"]),
            grants=tuple(shown.grants.values()),
            tips=tuple(shown.headers(frame["tips"])),
            held=read_names(peer.name, frame["held"]),
            known=int(frame["known"]),
            forks=read_numbers(peer.name, frame["forks"]),
            newest=shown.header(frame["newest"]) if frame["newest"] else None,
            receipt=shown.receipt(frame["receipt"]) if frame["receipt"] else None,
            absences=tuple(str(raw) for raw in frame.get("absences", ())),
            reads=int(frame.get("reads", {}).get("generation", 1)),
            reads_still=int(frame.get("reads", {}).get("still", 0)),
            still=shown.still(frame.get("still")),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise IntegrityError(f"{peer.name} gave an answer that is not a head ({error}).") from error


class Line:
    """An ssh to one peer's vault, kept open over several requests: a start of ssh costs more than most answers."""

    def __init__(
        self,
        node: Node,
        peer_name: str,
        before_send: Callable[[int], None],
        *,
        urgent: bool = False,
    ) -> None:
        self._urgent = urgent
        self._begun = time.monotonic()
        self.peer = node.bundle.member(peer_name)
        argv = client_argv(
            destination_of(self.peer, node.name),
            identity=node.layout.keys / "ssh_ed25519",
            known_hosts=known_hosts_of(node),
            command=COMMAND,
            others=other_ssh_keys(node.layout.keys),
            connect_seconds=URGENT_SECONDS if urgent else CONNECT_TIMEOUT_SECONDS,
            alive_seconds=URGENT_ALIVE_SECONDS if urgent else ALIVE_SECONDS,
        )
        self._process = start_client(argv)
        self._to, self._from, self._said = pipes_of(self._process)
        channel = Channel(
            self._from.fileno(), self._to.fileno(), quiet_seconds=node.idle_timeout_seconds, before_send=before_send
        )
        self.conversation = Conversation(node, self.peer, channel)

    def is_alive(self) -> bool:
        """Whether the other side still listens: a vault says nothing unasked, so anything to read is its end."""
        ended, _, _ = select.select([self._from], [], [], 0)
        return self._process.poll() is None and not ended

    def is_silent(self) -> bool:
        """Whether it was waited for long enough, by who has no time, and never answered."""
        waited = time.monotonic() - self._begun
        return self._urgent and not self.conversation.channel.bytes_received and waited >= URGENT_SECONDS

    def explain(self, error: Closed) -> Unreachable:
        """`error` with what ssh said, which tells a wrong key from a dead machine."""
        self._process.terminate()
        said = self._said.read(2000).decode(errors="replace").strip().splitlines()
        why = said[-1] if said else error.what
        return Unreachable(f"{self.peer.name} does not answer: {why.rstrip('.')}.")

    def close(self) -> None:
        if self._urgent:
            self._process.terminate()  # or it would wait for a peer that is gone
        for pipe in (self._to, self._from, self._said):
            with contextlib.suppress(OSError):
                pipe.close()
        try:
            self._process.wait(timeout=CLOSE_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Lines:
    """Open lines to several peers, each used by one thread at a time; closed together at the end of the `with`.

    When `urgent`, somebody waits for a service: until its line stands a peer is waited for less long, and only once if
    it does not answer.
    """

    def __init__(self, node: Node, *, urgent: bool = False) -> None:
        self._node = node
        self._open: dict[str, Line] = {}
        self._urgent = urgent
        self._silent: dict[str, Unreachable] = {}
        rate_limit = rate_limit_of(node.bundle.member(node.name).node.push_bits_per_second_max)
        self._before_send = rate_limit.take if rate_limit else at_once

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all lines; later questions open new ones."""
        for peer in tuple(self._open):
            self._open.pop(peer).close()

    @contextlib.contextmanager
    def to(self, peer: str) -> Iterator[Conversation]:
        """A conversation with `peer`, on its open line if that still lives; raise Unreachable when there is none.

        A refusal or a fault ends the line, as it ends the vault's session.
        """
        if peer in self._silent:
            raise self._silent[peer]
        line = self._open.pop(peer, None)
        if line is not None and not line.is_alive():
            line.close()
            line = None
        line = line or Line(self._node, peer, self._before_send, urgent=self._urgent)
        try:
            yield line.conversation
        except Closed as error:
            explained = line.explain(error)
            if line.is_silent():
                self._silent[peer] = explained
            line.close()
            raise explained from error
        except BaseException:
            line.close()
            raise
        self._open[peer] = line

    def ask_all[T](
        self, peers: Sequence[str], ask: Callable[[Conversation], T]
    ) -> tuple[dict[str, T], dict[str, ApplianceError]]:
        """Have `ask` of all `peers` at once: what each answered, and why others did not."""

        def asked(peer: str) -> T | ApplianceError:
            try:
                with self.to(peer) as conversation:
                    return ask(conversation)
            except ApplianceError as error:
                return error

        with ThreadPoolExecutor(max_workers=max(1, len(peers))) as pool:
            said = dict(zip(peers, pool.map(asked, peers), strict=True))
        errors = {peer: it for peer, it in said.items() if isinstance(it, ApplianceError)}
        return {peer: it for peer, it in said.items() if not isinstance(it, ApplianceError)}, errors


@contextlib.contextmanager
def connect(node: Node, peer_name: str) -> Iterator[Conversation]:
    """One conversation with the vault of `peer_name`; raise Unreachable, with what ssh said, when there is none."""
    with Lines(node) as lines, lines.to(peer_name) as conversation:
        yield conversation


def destination_of(peer: Member, caller: str) -> Destination:
    """Where ssh of the node `caller` finds another node of the bundle."""
    return Destination(peer.name, peer.node.reach, peer.node.port, peer.account_for(caller), peer.keys.host)


def known_hosts_of(node: Node) -> Path:
    """The peers' host keys from the bundle, in the file ssh wants."""
    path = node.layout.run / "known_hosts"
    text = "".join(known_hosts_line(destination_of(member, node.name)) for member in node.bundle.members.values())
    if not path.exists() or path.read_text() != text:
        os.makedirs(path.parent, mode=0o700, exist_ok=True)
        write_atomic(path, text.encode(), mode=0o600)
    return path
