"""A TCP relay on loopback between a node and a peer's sshd: what a bad line does, on purpose.

It counts the bytes of each direction, cuts after so many of them (who sends sees a reset; who receives gets all that
was carried, and the end), or stalls without notice, and can be opened again.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from appliance_lab.processes.territory import ProcessTerritory

PIECE = 16 * 1024
_RESET = struct.pack("ii", 1, 0)


@dataclass
class Way:
    """One direction: `carried` bytes so far, and after how many of them the line fails; None: never."""

    carried: int = 0
    cut_after: int | None = None
    stall_after: int | None = None

    def room(self) -> int:
        limits = [limit for limit in (self.cut_after, self.stall_after) if limit is not None]
        return min([PIECE, *(limit - self.carried for limit in limits)])


@dataclass
class Relay:
    """Listens at `port` for connections to `to_port`. `up` is what goes to the peer, `down` what comes from it."""

    to_port: int
    address: str = "127.0.0.1"
    up: Way = field(default_factory=Way)
    down: Way = field(default_factory=Way)
    _ends: list[socket.socket] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = socket.create_server((self.address, 0))
        self._released = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def heal(self) -> None:
        """A good line again, counted from nothing; what stalled is cut."""
        self._end_all()
        self.up, self.down = Way(), Way()

    def close(self) -> None:
        # Closing alone would leave the thread in accept for ever.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._end_all()

    def _end_all(self) -> None:
        self._released.set()
        self._released = threading.Event()
        while self._ends:
            _reset(self._ends.pop())

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection((self.address, self.to_port))
            except OSError:
                _reset(near)
                continue
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._ends += [near, far]
            for source, sink, way in ((near, far, self.up), (far, near, self.down)):
                threading.Thread(target=self._carry, args=(source, sink, way), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket, way: Way) -> None:
        released = self._released
        try:
            while way.room() > 0 and (data := source.recv(way.room())):
                sink.sendall(data)
                way.carried += len(data)
            if way.cut_after is not None and way.carried >= way.cut_after:
                _reset(source)
                sink.shutdown(socket.SHUT_WR)
            elif way.stall_after is not None and way.carried >= way.stall_after:
                released.wait()
            else:
                sink.shutdown(socket.SHUT_WR)
        except OSError:
            # To close with something unread would be a reset too, and take from the other side what it has not read.
            with contextlib.suppress(OSError):
                while source.recv(PIECE):
                    pass
            _reset(source)
            _reset(sink)


@contextlib.contextmanager
def relayed(territory: ProcessTerritory, name: str) -> Iterator[Relay]:
    """A relay before the sshd of `name`; the bundle tells every node to go through it."""
    plan, node = territory.territory, territory.nodes[name]
    relay = Relay(node.port, node.address)
    try:
        territory.territory = replace(plan, nodes={**plan.nodes, name: replace(plan.nodes[name], port=relay.port)})
        territory.sign()
        yield relay
    finally:
        relay.close()
        territory.territory = plan
        territory.sign()


def _reset(end: socket.socket) -> None:
    """Lose the bytes in flight, as when a line breaks."""
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
