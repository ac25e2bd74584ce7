"""HTTP calls to real servers that drip, flood, lie or stay silent: each ends in time and with a bounded answer."""

from __future__ import annotations

import itertools
import resource
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from appliance.errors import IntegrityError
from appliance.host.network import http_call
from appliance.trust import pki
from tests.pace import LONG
from tests.worlds.listeners import full

LOOPBACK, DOMAIN, NODE = "127.0.0.1", "test.internal", "commune-b"
SECONDS_MAX, BYTES_MAX = 0.6, 10_000
LONG_SECONDS = 60.0
"""The deadline of a call that something else has to end, however busy the machine is."""
LATE_SECONDS = LONG * 10
"""A call that ends so long after SECONDS_MAX was not ended by it."""
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

type Serve = Callable[[socket.socket], object]


@contextmanager
def serving(serve: Serve, tls: ssl.SSLContext | None = None, *, reads: bool = True) -> Iterator[str]:
    """`serve` answers every connection, after the first bytes of its request if it `reads`; the URL."""
    ended = threading.Event()

    def answer(plain: socket.socket) -> None:
        plain.settimeout(20)
        with suppress(OSError), plain:
            line = tls.wrap_socket(plain, server_side=True) if tls else plain
            with line:
                if reads:
                    line.recv(65536)
                serve(line)

    def accept() -> None:
        while not ended.is_set():
            with suppress(OSError):
                line, _ = server.accept()
                threads.append(threading.Thread(target=answer, args=(line,)))
                threads[-1].start()

    threads: list[threading.Thread] = []
    with socket.create_server((LOOPBACK, 0)) as server:
        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield f"{'https' if tls else 'http'}://{LOOPBACK}:{server.getsockname()[1]}/"
        finally:
            ended.set()
            server.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for thread in threads:
                thread.join()


def says(text: bytes) -> Serve:
    return lambda line: line.sendall(text)


def floods(begins: bytes, piece: bytes) -> Serve:
    """As fast as it is taken, until the connection breaks."""

    def flood(line: socket.socket) -> None:
        line.sendall(begins)
        while True:
            line.sendall(piece)

    return flood


def drips(begins: bytes, letters: bytes = b"x") -> Serve:
    """A letter each 50 ms, until the connection breaks."""

    def drip(line: socket.socket) -> None:
        line.sendall(begins)
        for letter in itertools.cycle(letters):
            line.sendall(bytes([letter]))
            time.sleep(0.05)

    return drip


def silent(line: socket.socket) -> None:
    line.recv(1)


def length(count: int) -> bytes:
    return OK + b"Content-Length: %d\r\n\r\n" % count


def fetch(url: str, tls: ssl.SSLContext | None = None, seconds_max: float = LONG_SECONDS) -> bytes:
    """Its content, whatever the status."""
    with http_call.call(url, seconds_max=seconds_max, bytes_max=BYTES_MAX, tls=tls, name=f"{NODE}.{DOMAIN}") as answer:
        return answer.read()


def peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The TLS contexts of the server NODE, and of a client that trusts its territory."""
    folder, now = tmp_path_factory.mktemp("tls"), time.time()
    root_key, middle_key, own = pki.new_key(), pki.new_key(), pki.new_key()
    root = pki.make_root(root_key, DOMAIN, now)
    middle = pki.make_intermediate(root_key, root, pki.make_request(middle_key, "nodes"), DOMAIN, now)
    request = pki.make_request(own, NODE)
    issued = pki.issue(middle_key, middle, request, NODE, pki.public_of(request), now)
    (folder / "chain.pem").write_bytes(pki.to_pem(issued) + pki.to_pem(middle))
    (folder / "key.pem").write_bytes(pki.key_to_pem(own))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "chain.pem", folder / "key.pem")
    return server, ssl.create_default_context(cadata=pki.to_pem(root).decode())


@pytest.mark.parametrize(
    ("serve", "error", "why"),
    [
        pytest.param(drips(b""), OSError, "within 0.6 s", id="drips its status"),
        pytest.param(drips(OK, b"X: x\r\n"), OSError, "within 0.6 s", id="drips its headers"),
        pytest.param(drips(length(9_999)), OSError, "within 0.6 s", id="drips its content"),
        pytest.param(drips(CHUNKED, b"1"), OSError, "within 0.6 s", id="drips the size of a chunk"),
        pytest.param(drips(CHUNKED + b"0\r\n", b"X: x\r\n"), OSError, "within 0.6 s", id="drips its trailer"),
        pytest.param(silent, OSError, "within 0.6 s", id="is silent"),
        pytest.param(floods(OK, b"X: x\r\n" * 5000), OSError, "not a valid", id="floods headers"),
        pytest.param(
            floods(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 2000), OSError, "more headers", id="only continues"
        ),
        pytest.param(floods(length(10**15), b"x" * 65536), IntegrityError, "10000 bytes", id="floods content"),
        pytest.param(floods(OK + b"\r\n", b"x" * 65536), IntegrityError, "10000 bytes", id="has no end"),
        pytest.param(floods(CHUNKED, b"400\r\n" + b"x" * 1024 + b"\r\n"), IntegrityError, "10000 bytes", id="chunks"),
        pytest.param(floods(CHUNKED + b"-1\r\n", b"x" * 65536), IntegrityError, "10000 bytes", id="a chunk of -1"),
        pytest.param(says(CHUNKED + b"-5\r\nxxxxx"), OSError, "not a valid", id="a chunk of -5"),
        pytest.param(says(CHUNKED + b"9\r\nshort"), OSError, "not a valid", id="half a chunk"),
        pytest.param(
            floods(CHUNKED + b"0\r\n", b"X: x\r\n" * 5000), IntegrityError, "10000 bytes", id="floods its trailer"
        ),
        pytest.param(says(length(99) + b"short"), OSError, "94 bytes before the end", id="is cut"),
        pytest.param(says(length(BYTES_MAX + 1) + b"x" * (BYTES_MAX + 1)), IntegrityError, "", id="a byte too many"),
        pytest.param(says(b""), OSError, "closed connection", id="says nothing"),
        pytest.param(says(b"SSH-2.0-OpenSSH\r\n"), OSError, "not a valid", id="speaks SSH"),
    ],
)
@pytest.mark.parametrize("encrypted", [False, True], ids=["in clear", "by TLS"])
def test_a_hostile_answer_ends_in_time_with_little_memory(
    serve: Serve, error: type[Exception], why: str, encrypted: bool, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    server, client = contexts
    with serving(serve, server if encrypted else None) as url:
        before, began = peak_kib(), time.monotonic()
        with pytest.raises(error, match=why):
            fetch(url, client, SECONDS_MAX if "within" in why else LONG_SECONDS)
        assert time.monotonic() - began < LATE_SECONDS
        assert peak_kib() - before < 8 * 1024


@pytest.mark.parametrize("before", [b"", b"\x16\x03\x03\x40\x00"], ids=["silent", "in the middle of a record"])
def test_a_handshake_that_never_ends_is_left_in_time(
    before: bytes, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    with serving(drips(before) if before else silent) as url:
        began = time.monotonic()
        with pytest.raises(OSError, match=r"within 0\.6 s"):
            fetch(url.replace("http:", "https:"), contexts[1], SECONDS_MAX)
        assert time.monotonic() - began < LATE_SECONDS


def test_a_server_that_takes_no_body_is_left_in_time() -> None:
    with socket.create_server((LOOPBACK, 0)) as deaf:
        url = f"http://{LOOPBACK}:{deaf.getsockname()[1]}/"
        began = time.monotonic()
        with pytest.raises(OSError, match=r"within 0\.6 s"):
            http_call.call(url, seconds_max=SECONDS_MAX, bytes_max=0, method="POST", body=bytes(64_000_000))
        assert time.monotonic() - began < LATE_SECONDS


@pytest.mark.parametrize(
    ("name", "trusts"), [(f"commune-c.{DOMAIN}", True), ("", True), (f"{NODE}.{DOMAIN}", False)], ids=str
)
def test_a_certificate_of_another_name_or_territory_ends_the_call(
    name: str, trusts: bool, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    server, client = contexts
    with serving(says(length(2) + b"ok"), server) as url:
        assert fetch(url, client) == b"ok"
        with pytest.raises(OSError, match="certificate verify failed"):
            http_call.call(url, seconds_max=20, bytes_max=BYTES_MAX, tls=client if trusts else None, name=name)


@pytest.mark.parametrize(
    "answer",
    [
        length(BYTES_MAX) + b"x" * BYTES_MAX,
        OK + b"\r\n" + b"x" * BYTES_MAX,
        CHUNKED + b"2710\r\n" + b"x" * BYTES_MAX + b"\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + length(BYTES_MAX) + b"x" * BYTES_MAX,
    ],
    ids=["length", "no length", "chunk", "continue first"],
)
def test_the_longest_answer_that_is_allowed_comes_whole(answer: bytes) -> None:
    with serving(says(answer)) as url:
        assert fetch(url) == b"x" * BYTES_MAX


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    asked: list[str] = []

    def lead(line: socket.socket) -> None:
        line.sendall(b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % other.encode())

    with serving(lambda line: asked.append("other")) as other, serving(lead) as url:
        with http_call.call(url, seconds_max=20, bytes_max=BYTES_MAX) as answer:
            assert (answer.status, answer.headers["Location"]) == (302, other)
        with pytest.raises(OSError, match="answers 302"):
            http_call.fetch(url, seconds_max=20, bytes_max=BYTES_MAX)
    assert asked == []


def test_a_request_says_what_was_asked_for_and_goes_through_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9/")
    heard: list[bytes] = []

    def serve(line: socket.socket) -> None:
        with line.makefile("rb") as said:
            heard.extend(iter(said.readline, b"\r\n"))
        line.sendall(length(0))

    with serving(serve, reads=False) as url:
        port = url.rsplit(":", 1)[1].rstrip("/")
        headers = {"Authorization": "Bearer x"}
        http_call.call(f"{url}a?b=c", seconds_max=20, bytes_max=0, method="POST", headers=headers, body=b"{}").close()
    first, *others = [it.decode().rstrip() for it in heard]
    assert first == "POST /a?b=c HTTP/1.1"
    assert {f"Host: {LOOPBACK}:{port}", "Connection: close", "Accept-Encoding: identity", "Content-Length: 2"} < {
        *others
    }
    assert "Authorization: Bearer x" in others


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "127.0.0.1:80", "http:///x", "http://127.0.0.1:x/"])
def test_a_url_that_cannot_be_asked_for_is_a_value_error(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        http_call.call(url, seconds_max=20, bytes_max=0)


@pytest.mark.parametrize("value", ["clé’", "a\r\nX: y"])
def test_a_header_or_a_path_that_cannot_be_sent_is_a_value_error(value: str) -> None:
    with serving(silent) as url:
        with pytest.raises(ValueError, match=r"."):
            http_call.call(url, seconds_max=20, bytes_max=0, headers={"Authorization": value})
        with pytest.raises(ValueError, match=r"."):
            http_call.call(f"{url} {value}", seconds_max=20, bytes_max=0)


def test_the_second_address_of_a_name_is_tried_when_the_first_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(says(length(2) + b"ok")) as url, full() as port:
        family = (socket.AF_INET, socket.SOCK_STREAM, 0, "")
        found = [(*family, (LOOPBACK, port)), (*family, (LOOPBACK, int(url.rsplit(":", 1)[1].rstrip("/"))))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        assert fetch("http://node.test.internal/", seconds_max=SECONDS_MAX) == b"ok"


def test_what_is_read_in_pieces_has_a_silence_and_an_end_of_its_own() -> None:
    def pieces(serve: Serve, seconds_max: float, silence_seconds_max: float) -> int:
        count = 0
        with serving(serve) as url, http_call.call(url, seconds_max=20, bytes_max=float("inf")) as answer:
            answer.extend(seconds_max, silence_seconds_max=silence_seconds_max)
            while piece := answer.read_piece(65536):
                count += len(piece)
        return count

    assert pieces(says(length(300_000) + b"x" * 300_000), 20, 20) == 300_000
    with pytest.raises(OSError, match=r"nothing came for 0.2 s"):
        pieces(lambda line: (line.sendall(length(9)), silent(line)), 20, 0.2)
    with pytest.raises(OSError, match=r"within 0.3 s"):
        pieces(drips(length(99_999)), 0.3, 20)
