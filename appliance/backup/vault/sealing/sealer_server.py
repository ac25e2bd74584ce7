"""The sealing helper of a real host: owns what is sealed, and alone can sign receipts for sessions.

    python3 -m appliance.backup.vault.sealing.sealer_server STATE KEY RECEIVER   with the listening socket from systemd

systemd starts it for a request, and each quarter of an hour for the ageing clock; it ends when nobody has asked for a
minute. A request that comes while it ends waits in the socket, which systemd keeps, and starts it again.

It runs under the account of what is sealed and has no network. Two accounts may ask, told apart by the kernel:
RECEIVER, which answers other nodes and may only add, and the node's own, the owner of STATE, which may also have
pruning, scrub and repair done: by the helper's rules and clock, so it too can make nothing go early. Whatever is asked
proves itself: grants and headers by signatures, lists and blobs by hashes.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from appliance.backup.vault.limits import LISTING_BYTES_MAX
from appliance.backup.vault.replicas import replica_names
from appliance.backup.vault.sealing.sealer_local import LocalSealer
from appliance.backup.vault.sealing.sealer_verbs import NODE_MAY, RECEIVER_MAY, Answer, Asked
from appliance.backup.vault.wire import Channel, Closed
from appliance.errors import ApplianceError, Forbidden, IntegrityError, Refused
from appliance.host.files import write_atomic
from appliance.host.network import peer
from appliance.node.handle import Node, open_node

IDLE_SECONDS = 60.0
CONVERSATIONS_MAX = 64
GREETING_SECONDS_MAX = 10.0
FAILED = ApplianceError("the sealing helper failed at this request.", remedy="Its journal says why; try again later.")


class Server:
    """Answers connections, each in a thread; the node is read again when its bundle changed."""

    def __init__(self, state: Path, key: Path, receiver: int) -> None:
        self._state = state
        self._key = key
        self._receiver = receiver
        self._lock = threading.Lock()
        self._node: tuple[tuple[int, int], Node] | None = None
        self._seats = threading.BoundedSemaphore(CONVERSATIONS_MAX)
        self._under_way = 0

    def node(self) -> Node:
        with self._lock:
            status = (self._state / "bundle").stat()
            mark = (status.st_ino, status.st_mtime_ns)
            if self._node is None or self._node[0] != mark:
                self._node = (mark, _not_older(open_node(self._state)))
            return self._node[1]

    def serve(self, listener: socket.socket, idle_seconds: float = IDLE_SECONDS) -> None:
        """Answer until nobody has asked for `idle_seconds` and no answer is owed; in between, write down how the ageing
        clock stands."""
        listener.settimeout(idle_seconds)
        while True:
            try:
                self.node().ageing.now()
            except (ApplianceError, OSError) as error:  # the caller hears it too; a better bundle may come
                print(error, file=sys.stderr, flush=True)
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                if self._is_idle():
                    return
                continue
            self._seats.acquire()
            with self._lock:
                self._under_way += 1
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _is_idle(self) -> bool:
        """Only the caller begins conversations, so none begins behind this answer."""
        with self._lock:
            return self._under_way == 0

    def _answer(self, connection: socket.socket) -> None:
        try:
            with connection, _greeting(connection) as descriptors:
                channel = Channel(connection.fileno(), connection.fileno())
                try:
                    channel.write_frame(self._do(connection, channel, descriptors))
                except Closed:
                    return
                except ApplianceError as error:
                    channel.refuse(error)
                except Exception as error:  # the edge of a conversation: the helper lives on
                    print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
                    channel.refuse(FAILED)
        except OSError:
            return  # who asked has gone
        finally:
            with self._lock:
                self._under_way -= 1
            self._seats.release()

    def _do(self, connection: socket.socket, channel: Channel, descriptors: list[int]) -> Answer:
        giver = peer.peer_uid(connection)
        frame = channel.read_frame()
        size = frame.get("raw_bytes")
        if not isinstance(size, int) or not 0 <= size <= LISTING_BYTES_MAX:
            raise IntegrityError(f"a request comes with at most {LISTING_BYTES_MAX} bytes.")
        raw = channel.read(size)
        do = self._verbs(giver).get(str(frame.get("do")))
        if do is None:
            raise Forbidden(f'the account {giver} may not ask for "{frame.get("do")}".')
        node = self.node()
        service = str(frame.get("service"))
        if service not in replica_names(node):
            node.bundle.last_terms(service)  # nothing is made for a name that the bundle does not know
        return do(Asked(node, LocalSealer(node, self._key), giver, frame, raw, descriptors))

    def _verbs(self, giver: int) -> Mapping[str, Callable[[Asked], Answer]]:
        if giver == self._state.stat().st_uid:
            return NODE_MAY
        return RECEIVER_MAY if giver == self._receiver else {}


def _not_older(node: Node) -> Node:
    """`node`; raise Refused when its bundle is older than one it had: that could name a shorter lock. The agent, whose
    file the bundle is, cannot write in the vault."""
    newest = node.layout.vault / "serial"
    known = int(newest.read_text()) if newest.exists() else 0
    if node.bundle.serial < known:
        raise Refused(
            f"bundle {node.bundle.serial} is older than bundle {known}, which the sealing helper already used.",
            remedy="Accept the newest again: `appliance node accept BUNDLE`.",
        )
    if node.bundle.serial > known:
        write_atomic(newest, str(node.bundle.serial).encode())
    return node


@contextlib.contextmanager
def _greeting(connection: socket.socket) -> Iterator[list[int]]:
    """The descriptors that came with the first byte, closed at the end."""
    connection.settimeout(GREETING_SECONDS_MAX)
    descriptors = peer.greeted(connection, 1)
    try:
        yield descriptors
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def main(idle_seconds: float = IDLE_SECONDS) -> None:
    state, key, receiver = sys.argv[1:]
    uid = int(receiver) if receiver.isdigit() else pwd.getpwnam(receiver).pw_uid
    Server(Path(state), Path(key), uid).serve(socket.socket(fileno=peer.FIRST), idle_seconds)


if __name__ == "__main__":
    main()
