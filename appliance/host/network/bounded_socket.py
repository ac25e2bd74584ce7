"""A connection to a program that may be slow, broken or hostile: all waits on it have one deadline, what comes a size.

The timeout of a socket starts again with each byte, so a peer that sends a byte a second would hold a call for ever.
Here each wait takes at most what is left of the whole call; only a name lookup ends by the limits of the resolver.
"""

from __future__ import annotations

import io
import math
import socket
import ssl
import time
from collections.abc import Buffer, Iterator
from contextlib import contextmanager


class BoundedSocket:
    """A connection as http.client and smtplib use one; `allow` comes first, `shut` last.

    Raise TimeoutError for a wait that would take too long, and `too_long` once more than `bytes_max` have come.
    """

    def __init__(self, bytes_max: float, too_long: Exception) -> None:
        self._bytes_left, self.too_long = bytes_max, too_long
        self.socket: socket.socket

    def allow(self, seconds_max: float, silence_seconds_max: float = math.inf) -> None:
        """From now on, everything may take `seconds_max`, and each wait `silence_seconds_max`."""
        self._seconds_max, self._silence_seconds_max = seconds_max, silence_seconds_max
        self._ends_at = time.monotonic() + seconds_max

    def connect(self, host: str, port: int) -> None:
        """To the first address of `host` that takes it; each gets a fair part of the time that is left."""
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        last: OSError | None = None
        for number, (family, kind, protocol, _, address) in enumerate(found):
            self.socket = socket.socket(family, kind, protocol)
            try:
                with self._waiting(parts=len(found) - number):
                    self.socket.connect(address)
                return
            except OSError as error:
                self.socket.close()
                last = error
        raise last or OSError(f"{host} has no address")

    def encrypt(self, tls: ssl.SSLContext, name: str) -> None:
        with self._waiting():
            self.socket = tls.wrap_socket(self.socket, server_hostname=name)

    def sendall(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            with self._waiting():
                left = left[self.socket.send(left) :]

    def receive(self, buffer: Buffer) -> int:
        with self._waiting():
            count = self.socket.recv_into(buffer)
        self._bytes_left -= count
        if self._bytes_left < 0:
            raise self.too_long
        return count

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self))

    def close(self) -> None:
        """http.client closes its connection as soon as it has an answer, which still reads from this one."""

    def shut(self) -> None:
        if hasattr(self, "socket"):
            self.socket.close()

    @contextmanager
    def _waiting(self, parts: int = 1) -> Iterator[None]:
        left = self._ends_at - time.monotonic()
        late = TimeoutError(f"no complete answer came within {self._seconds_max:g} s")
        if left <= 0:
            raise late
        self.socket.settimeout(min(left / parts, self._silence_seconds_max))
        try:
            yield
        except TimeoutError:
            if left < self._silence_seconds_max:
                raise late from None
            raise TimeoutError(f"nothing came for {self._silence_seconds_max:g} s") from None


class _Reader(io.RawIOBase):
    def __init__(self, line: BoundedSocket) -> None:
        self._line = line

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        return self._line.receive(buffer)
