"""HTTP calls to programs that may be slow, broken or hostile: the whole call has a deadline, and its answer a size.

Each wait takes at most what is left of the whole call, and bytes are counted before http.client reads them
(`bounded_socket.py`): a chunk of size -1 would make it read without end.
A redirect is an answer like any other and is never followed. Proxies of the environment are not used.

Calls to etcd keep their connections and have a deadline of their own (`coordination/gateway.py`).
"""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Self, cast
from urllib.parse import SplitResult, urlsplit

from appliance.errors import IntegrityError
from appliance.host.network.bounded_socket import BoundedSocket

HEADERS_BYTES_MAX = 256 * 1024
PORTS = {"http": 80, "https": 443}


class Answer:
    """The answer; close it. `headers` are complete, the content is still on its way."""

    def __init__(self, line: BoundedSocket, answer: http.client.HTTPResponse, bytes_max: float) -> None:
        self._line, self._answer, self._bytes_max = line, answer, bytes_max
        self.status, self.headers = answer.status, answer.headers
        self.states_length = answer.length is not None or answer.chunked
        """Else nothing tells a whole answer from one that was cut."""

    def read(self) -> bytes:
        """The whole content. Raise IntegrityError for one that is too long, OSError for one that was cut or late."""
        with _http_errors():
            content = self._answer.read(int(self._bytes_max) + 1)
        if len(content) > self._bytes_max:
            raise self._line.too_long
        # A read of a number of bytes does not report those that are missing.
        if self._answer.length:
            raise ConnectionError(f"the connection closed {self._answer.length} bytes before the end of the answer")
        return content

    def read_piece(self, size: int) -> bytes:
        """The next bytes that came, at most `size`; none at the end of the answer, and where it was cut."""
        with _http_errors():
            return self._answer.read1(size)

    def extend(self, seconds_max: float, *, silence_seconds_max: float) -> None:
        """From now on, the rest of the call may take that long, and each wait for a byte."""
        self._line.allow(seconds_max, silence_seconds_max)

    def close(self) -> None:
        self._answer.close()
        self._line.shut()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def call(
    url: str,
    *,
    seconds_max: float,
    bytes_max: float,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    tls: ssl.SSLContext | None = None,
    name: str = "",
) -> Answer:
    """Send one request on a connection of its own; return when the headers of the answer are there.

    `name` stands in the certificate, "" for the host of the URL; without `tls`, https trusts the authorities of this
    machine. Raise OSError for no connection, a wrong certificate, no HTTP, and headers that are not complete within
    `seconds_max`; ValueError for a URL or a header that cannot be sent.
    """
    to = urlsplit(url)
    if to.scheme not in PORTS or not to.hostname:
        raise ValueError("not an http or https URL with a host")
    too_long = IntegrityError(f"{_netloc(to)} answers with more than {bytes_max:.0f} bytes.")
    # A chunk of one byte takes six; a program that answers in such is not one that is called here.
    line = BoundedSocket(2 * bytes_max + HEADERS_BYTES_MAX, too_long)
    line.allow(seconds_max)
    trusted = (tls or ssl.create_default_context()) if to.scheme == "https" else None
    connection = _Connection(to.hostname, to.port or PORTS[to.scheme])
    connection.line, connection.trusted, connection.name = line, trusted, name or to.hostname
    try:
        path = (to.path or "/") + (f"?{to.query}" if to.query else "")
        default = {"Host": _netloc(to, name), "Connection": "close", "Accept-Encoding": "identity"}
        try:
            connection.request(method, path, body, {**default, **(headers or {})})
        except http.client.HTTPException as error:
            raise ValueError(str(error)) from error
        try:
            with _http_errors():
                return Answer(line, connection.getresponse(), bytes_max)
        except IntegrityError as error:  # no headers came that end
            raise ConnectionError(f"{_netloc(to)} answers with more headers than are read") from error
    except BaseException:
        line.shut()
        raise


def fetch(
    url: str,
    *,
    seconds_max: float,
    bytes_max: int,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """The whole content that comes; raise as `call` and `Answer.read`, and OSError for a status other than 200."""
    with call(url, seconds_max=seconds_max, bytes_max=bytes_max, method=method, headers=headers) as answer:
        if answer.status != HTTPStatus.OK:
            raise OSError(f"{url} answers {answer.status}")
        return answer.read()


class _Connection(http.client.HTTPConnection):
    """Connects once it has accepted the request."""

    line: BoundedSocket
    trusted: ssl.SSLContext | None
    name: str

    def connect(self) -> None:
        self.line.connect(self.host, self.port)
        if self.trusted:
            self.line.encrypt(self.trusted, self.name)
        self.sock = cast("socket.socket", self.line)


@contextmanager
def _http_errors() -> Iterator[None]:
    """Raise OSError for all that is not HTTP: http.client lets a ValueError through for a chunk of size -5."""
    try:
        yield
    except OSError:
        raise
    except (http.client.HTTPException, ValueError) as error:
        raise OSError(f"not a valid HTTP answer: {error!r}") from error


def _netloc(to: SplitResult, name: str = "") -> str:
    host = name or (f"[{to.hostname}]" if ":" in (to.hostname or "") else to.hostname or "")
    return host if to.port in (None, PORTS[to.scheme]) else f"{host}:{to.port}"
