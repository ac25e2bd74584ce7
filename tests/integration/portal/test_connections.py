"""One PC that holds connections open shuts the pages to nobody else: with real sockets."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import httpx
import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from appliance.portal import connections
from appliance.portal.connections import PER_ADDRESS_MAX, REQUEST_SECONDS, Connections, Few, Listener, bound
from tests.integration.portal.world import Visitor
from tests.pace import LONG
from tests.waiting import wait_until
from tests.worlds.demo import LOOPBACK

BUSY = "127.0.2.9"
UNFINISHED = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"
HASTY_SECONDS = 0.2
UNSENT = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\nabc"


async def page(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers what came, later than a hasty connection would wait for a request."""
    body = await Request(scope, receive).body()
    await asyncio.sleep(2 * HASTY_SECONDS)
    await PlainTextResponse(f"{len(body)} bytes")(scope, receive, send)


@contextmanager
def served(log_level: str = "error", *, request_seconds: float = REQUEST_SECONDS) -> Iterator[int]:
    """The port at which `page` is served."""
    connections = Connections(request_seconds=request_seconds)
    listener = Listener(bound(LOOPBACK, 0), connections)
    app = connections.answering(page)
    server = uvicorn.Server(
        uvicorn.Config(app, loop="asyncio", http="h11", ws="none", lifespan="off", log_level=log_level)
    )
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        wait_until(lambda: server.started, "it listens")
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


def connected(port: int, source: str, said: bytes) -> socket.socket:
    made = socket.create_connection((LOOPBACK, port), timeout=LONG * 30, source_address=(source, 0))
    made.sendall(said)
    return made


def is_closed(made: socket.socket) -> bool:
    """Whether the other side closes it, for which this waits."""
    try:
        return made.recv(1) == b""
    except ConnectionError:
        return True


def test_requests_that_are_none_are_one_line_a_minute(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = logging.getLogger("uvicorn.error")
    monkeypatch.setattr(logger, "filters", [Few()])
    with served("warning") as port:
        for _ in range(20):
            with connected(port, BUSY, b"nonsense\r\n\r\n") as made:
                assert made.recv(64).startswith(b"HTTP/1.1 400")
    assert capfd.readouterr().err.count("Invalid HTTP request") == 1
    failure = logging.LogRecord("uvicorn.error", logging.ERROR, "", 0, "failed", None, None)
    assert [logger.filter(failure) is not False for _ in range(5)] == [True] * 5, "failures are told each"


def test_one_address_has_so_many_connections_and_others_are_answered() -> None:
    with served() as port, ExitStack() as stack:
        held = [stack.enter_context(connected(port, BUSY, b"")) for _ in range(PER_ADDRESS_MAX)]
        assert is_closed(stack.enter_context(connected(port, BUSY, b""))), "one more is closed as it comes"
        assert stack.enter_context(Visitor(f"http://{LOOPBACK}:{port}")).get("/").text == "0 bytes"
        held[0].close()
        again = stack.enter_context(Visitor(f"http://{LOOPBACK}:{port}", source=BUSY))
        wait_until(lambda: _is_answered(again), "the place of one that went is another's")


@pytest.mark.parametrize("said", [b"", UNFINISHED, UNSENT], ids=["nothing", "half a header", "half a form"])
def test_a_request_that_does_not_end_is_ended_and_a_slow_answer_is_not(said: bytes) -> None:
    with (
        served(request_seconds=HASTY_SECONDS) as port,
        connected(port, BUSY, said) as silent,
        Visitor(f"http://{LOOPBACK}:{port}") as other,
    ):
        assert is_closed(silent)
        assert other.post("/", content=b"abc").text == "3 bytes"
        assert other.post("/", content=b"abcd").text == "4 bytes", "in the same connection"


def test_a_request_that_comes_in_pieces_has_one_time_for_all_of_them() -> None:
    """Each piece comes well within the time of a request, and the last one would come a hundred times later."""
    with served(request_seconds=HASTY_SECONDS) as port, connected(port, BUSY, b"") as dripping:
        dripping.settimeout(HASTY_SECONDS / 4)
        dripping.sendall(b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 400\r\n\r\n")
        sent = 0
        with suppress(ConnectionError):
            while sent < 399:
                dripping.sendall(b"x")
                sent += 1
                with suppress(TimeoutError):
                    assert dripping.recv(1) == b""
                    break
        assert sent < 100


def test_a_second_request_of_a_connection_must_end_too() -> None:
    with served(request_seconds=HASTY_SECONDS) as port, connected(port, BUSY, UNFINISHED + b"\r\n") as half:
        assert half.recv(4096).startswith(b"HTTP/1.1 200")
        half.sendall(UNFINISHED)
        wait_until(lambda: is_closed(half), "it is closed")


def test_where_too_many_are_connected_the_next_is_told_so_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "CONCURRENT_MAX", 1)
    with served() as port, connected(port, BUSY, UNFINISHED), Visitor(f"http://{LOOPBACK}:{port}") as other:
        answer = other.get("/")
        assert answer.status_code == 503
        assert answer.text.startswith("Trop de personnes regardent ces pages en ce moment.")


def _is_answered(visitor: Visitor) -> bool:
    try:
        return visitor.get("/").status_code == 200
    except httpx.TransportError:
        return False
