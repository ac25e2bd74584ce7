"""Ask one program for what it has to tell: over HTTP, bounded in time and in size as a whole.

A socket's own timeout counts each piece that is read apart: who sends a byte a second would hold a look for ever. So
the connection is cut when its time is over, wherever the call is by then.
"""

from __future__ import annotations

import contextlib
import http.client
import math
import socket
import ssl
import threading
from collections.abc import Iterator

from prometheus_client.parser import text_string_to_metric_families

from appliance.errors import IntegrityError, Unreachable
from appliance.monitor import scrape
from appliance.portal.dashboard.seen import Told
from appliance.portal.dashboard.targets import Target

ANSWER_SECONDS_MAX = 5.0
ANSWER_BYTES_MAX = scrape.BYTES_MAX
SAMPLES_MAX = scrape.SAMPLES_MAX
"""As Prometheus: all that is told is read again by every page."""


def ask(target: Target, tls: ssl.SSLContext | None = None, *, seconds_max: float = ANSWER_SECONDS_MAX) -> bytes:
    """What `target` answers; raise Unreachable for none within `seconds_max`, IntegrityError for what is no answer."""
    try:
        with _line(target, tls, seconds_max) as line:
            return _read(target, line)
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"{target.address}:{target.port}: {error or type(error).__name__}.") from error


def _read(target: Target, line: socket.socket) -> bytes:
    asking = http.client.HTTPConnection(target.name or target.address, target.port)
    asking.sock = line
    asking.request("GET", target.path, headers={"Connection": "close", "Accept-Encoding": "identity"})
    # It holds the socket open for as long as it lives, whatever happens to the connection.
    with asking.getresponse() as answer:
        return _whole(answer, f"{target.address}:{target.port}")


def _whole(answer: http.client.HTTPResponse, who: str) -> bytes:
    if answer.status != 200:
        raise IntegrityError(f"{who} answers {answer.status}.")
    if answer.length is None and not answer.chunked:
        raise IntegrityError(f"{who} does not state the length of its answer.")
    content = answer.read(ANSWER_BYTES_MAX + 1)
    if len(content) > ANSWER_BYTES_MAX:
        raise IntegrityError(f"{who} answers more than {ANSWER_BYTES_MAX} bytes.")
    # A call for a number of bytes says nothing of those that are missing; half the measures look like whole ones.
    if answer.length:
        raise Unreachable(f"{who} closed the connection {answer.length} bytes before the end.")
    return content


@contextlib.contextmanager
def _line(target: Target, tls: ssl.SSLContext | None, seconds_max: float) -> Iterator[socket.socket]:
    """A connection that is cut after `seconds_max`. By TLS whenever the target has a name: never in clear instead."""
    with (
        socket.create_connection((target.address, target.port), timeout=seconds_max) as plain,
        _ending(plain, seconds_max),
    ):
        if not target.name:
            yield plain
            return
        believing = tls or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # Of a copy: the connection itself stays at hand to be cut.
        with believing.wrap_socket(plain.dup(), server_hostname=target.name) as line:
            yield line


@contextlib.contextmanager
def _ending(line: socket.socket, seconds_max: float) -> Iterator[None]:
    """Cut `line` when the time is over; then raise TimeoutError, since what was cut may look like a whole answer."""
    over = threading.Event()

    def cut() -> None:
        over.set()
        with contextlib.suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds_max, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if over.is_set():
            raise TimeoutError(f"no complete answer came within {seconds_max:.0f} s")


def samples(text: bytes, names: frozenset[str]) -> tuple[Told, ...]:
    """The samples of `names` in the text format of Prometheus; raise IntegrityError for what is none.

    Lines of other names are left out before anything is parsed: a machine tells a thousand.
    """
    lines = [line for line in text.decode("utf-8", "replace").splitlines() if _name(line) in names]
    if len(lines) > SAMPLES_MAX:
        raise IntegrityError(f"there are {len(lines)} metrics, but no node has more than {SAMPLES_MAX}.")
    try:
        families = tuple(text_string_to_metric_families("\n".join(lines) + "\n"))
    except ValueError as error:
        raise IntegrityError(f"these are not valid metrics: {error}.") from error
    found = (it for family in families for it in family.samples)
    return tuple(Told(it.name, dict(it.labels), it.value) for it in found if math.isfinite(it.value))


def _name(line: str) -> str:
    return line.partition("{")[0].partition(" ")[0]
