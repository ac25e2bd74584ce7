"""A wire between two nodes that counts what goes over it and can be cut at a chosen byte."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace

from appliance_lab.bench.env import ADDRESS, BenchEnv
from appliance_lab.processes.node import free_ports

PIECE = 64 * 1024


class Relay:
    """Carries every connection to `port` on to port `to`. `sent` counts bytes towards it, `answered` those back.

    When `sent` reaches `cut_after`, all connections end after exactly that byte.
    """

    def __init__(self, port: int, to: int) -> None:
        self.sent = 0
        self.answered = 0
        self.cut_after: int | None = None
        self._to = to
        self._ends: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server((ADDRESS, port))

    def __enter__(self) -> Relay:
        self._begin(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes who waits for a connection
        self._cut()
        for thread in self._threads:
            thread.join()
        for end in (self._listener, *self._ends):
            end.close()

    def _begin(self, act: Callable[..., None], *ends: socket.socket) -> None:
        thread = threading.Thread(target=act, args=ends)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                caller, _ = self._listener.accept()
                called = socket.create_connection((ADDRESS, self._to))
                self._ends += (caller, called)
                self._begin(self._carry_there, caller, called)
                self._begin(self._carry_back, called, caller)

    def _carry_there(self, caller: socket.socket, called: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := caller.recv(PIECE):
                data = data if self.cut_after is None else data[: max(0, self.cut_after - self.sent)]
                called.sendall(data)
                self.sent += len(data)
                if self.sent == self.cut_after:
                    self._cut()
            called.shutdown(socket.SHUT_WR)

    def _carry_back(self, called: socket.socket, caller: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := called.recv(PIECE):
                caller.sendall(data)
                self.answered += len(data)
            caller.shutdown(socket.SHUT_WR)

    def _cut(self) -> None:
        """End every connection; the sockets are closed later, when no thread waits at them any more."""
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def relayed(env: BenchEnv, names: Collection[str]) -> Iterator[Mapping[str, Relay]]:
    """A relay in front of each node of `names`: the bundle names the relays while the block lasts."""
    ports = dict(zip(names, free_ports(ADDRESS, len(names)), strict=True))
    real = {name: env.territory.nodes[name].port for name in names}
    with contextlib.ExitStack() as stack:
        relays = {name: stack.enter_context(Relay(ports[name], real[name])) for name in names}
        _sign_with(env, ports)
        try:
            yield relays
        finally:
            _sign_with(env, real)


def _sign_with(env: BenchEnv, ports: Mapping[str, int]) -> None:
    """Give every node a bundle in which these nodes are found at these ports."""
    territory = env.territory
    plans = {name: replace(territory.territory.nodes[name], port=port) for name, port in ports.items()}
    territory.territory = replace(territory.territory, nodes={**territory.territory.nodes, **plans})
    territory.members |= {name: replace(territory.members[name], node=plan) for name, plan in plans.items()}
    territory.sign()
