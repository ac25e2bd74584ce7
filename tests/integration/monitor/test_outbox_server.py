"""The queue of a monitoring node over real sockets: taken only when it is kept, delivered only when it is answered."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from appliance.errors import UsageError
from appliance.monitor import bounded
from appliance.monitor import post as outgoing
from appliance.monitor.duty.queue_client import ask
from appliance.monitor.outbox import Delay, Outbox, deliver_one
from appliance.monitor.outbox_server import BODY_BYTES_MAX, Queue
from appliance.monitor.post import send
from appliance.monitor.sending.deliveries import AT_ONCE_MAX, Deliveries
from appliance_lab.processes.catcher import Catcher
from appliance_lab.processes.node import free_ports
from tests.unit.monitor.notifications import notification
from tests.unit.portal.certificates import make_certificate
from tests.waiting import wait_until
from tests.worlds.mail_server import mail_server
from tests.worlds.outbox import served_queue

FIRED = notification(("firing", "critical", "docs : rien chez b"))


def queue(folder: Path, addressee: dict[str, Any]) -> AbstractContextManager[str]:
    settings = {"receivers": {"regie": ["it"]}, "addressees": {"it": addressee}}
    return served_queue(settings, folder)


def post(address: str, body: object) -> int:
    request = urllib.request.Request(address, json.dumps(body).encode(), method="POST")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            status: int = answer.status
    except urllib.error.HTTPError as error:
        with error:
            status = error.code
    return status


def turn(outbox: Outbox, addressee: Mapping[str, Any]) -> Delay:
    """Deliver once to the addressee "it"."""
    return deliver_one(outbox, "it", Delay(), lambda: 0.0, lambda _, it: send(addressee, it), lambda said: None, set())


def measures(address: str) -> str:
    with urllib.request.urlopen(f"{address}/metrics", timeout=10) as answer:
        text: bytes = answer.read()
    return text.decode()


def test_a_server_that_hangs_and_one_that_refuses_delay_no_other_addressee(tmp_path: Path) -> None:
    """The one that hangs takes the connection and says nothing: its turn lasts for 20 s, all of this test."""
    with (
        socket.create_server(("127.0.0.1", 0)) as hanging,
        Catcher(refuse_with=503) as refusing,
        Catcher() as answering,
    ):
        urls = {"a": f"http://127.0.0.1:{hanging.getsockname()[1]}/", "b": refusing.url, "c": answering.url}
        settings = {"receivers": {"regie": list(urls)}, "addressees": {it: {"url": url} for it, url in urls.items()}}
        with served_queue(settings, tmp_path) as address:
            for _ in range(3):
                assert post(f"{address}/regie", FIRED) == 200
            hanging.settimeout(20)
            line, _ = hanging.accept()
            with line:
                wait_until(lambda: len(answering.caught) == 3, "all came where a server answers")
                wait_until(lambda: "appliance_outbox_waiting 6.0" in measures(address), "the others wait")
                refusing.refuse_with = 0
                wait_until(lambda: len(refusing.caught) == 3, "all came where a server refused before")
                wait_until(lambda: "appliance_outbox_waiting 3.0" in measures(address), "one waits")
                hanging.close()
    assert {it.name for it in tmp_path.iterdir() if list(it.glob("[0-9]*.json"))} == {"a"}


def test_a_hundred_that_hang_are_a_bounded_number_of_threads_and_each_has_its_turn(tmp_path: Path) -> None:
    outbox, tried, leave = Outbox(tmp_path), list[str](), threading.Event()
    names = {f"to-{it:03}" for it in range(100)}
    outbox.put(names, FIRED, 0.0)

    def hang(to: str, _: Mapping[str, Any]) -> None:
        tried.append(to)
        leave.wait(20)
        raise TimeoutError("it hangs")

    deliveries = Deliveries(outbox, hang, lambda said: None, lambda: 0.0, lambda: 0.0, lambda: None)
    for _ in range(3):
        deliveries.begin_due()
    wait_until(lambda: len(tried) == AT_ONCE_MAX, "as many as may are tried at once")
    leave.set()
    wait_until(lambda: (deliveries.begin_due(), len(tried))[1] == 100, "each one is tried")
    deliveries.end(20)
    assert (set(tried), outbox.count()) == (names, 100)


@pytest.mark.parametrize("refusal", [503, 404, 302])
def test_a_webhook_that_refuses_gets_it_later_and_until_then_it_is_told_that_it_waits(
    tmp_path: Path, refusal: int
) -> None:
    with Catcher(refuse_with=refusal) as catcher, queue(tmp_path, {"url": catcher.url}) as address:
        assert post(f"{address}/regie", FIRED) == 200
        assert "appliance_outbox_waiting 1.0" in measures(address)
        assert "appliance_outbox_oldest_timestamp_seconds" in measures(address)
        assert ask(f"{address}/waiting") == {"waiting": {"it": pytest.approx(time.time(), abs=60)}}
        catcher.refuse_with = 0
        wait_until(lambda: catcher.caught, "the notification came")
        assert catcher.caught == [FIRED]
        wait_until(lambda: "appliance_outbox_waiting 0.0" in measures(address), "nothing waits")
        assert "oldest_timestamp_seconds " not in measures(address)
        assert ask(f"{address}/waiting") == {"waiting": {}}


def test_a_queue_that_ends_keeps_what_waits_for_the_next(tmp_path: Path) -> None:
    [nobody] = free_ports("127.0.0.1", 1)
    with queue(tmp_path, {"url": f"http://127.0.0.1:{nobody}/"}) as address:
        assert post(f"{address}/regie", FIRED) == 200
    with Catcher() as catcher, queue(tmp_path, {"url": catcher.url}):
        wait_until(lambda: catcher.caught == [FIRED], "the notification came")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("nobody", FIRED),
        ("regie", {"alerts": []}),
        ("regie", {"status": "firing", "alerts": [{}]}),
        ("regie", []),
        ("../regie", FIRED),
    ],
)
def test_what_is_no_notification_for_a_known_receiver_is_refused_and_not_kept(
    tmp_path: Path, path: str, body: object
) -> None:
    with Catcher() as catcher, queue(tmp_path, {"url": catcher.url}) as address:
        assert post(f"{address}/{path}", body) == 400
        assert list(tmp_path.rglob("*.json")) == []


def test_a_notification_that_is_too_long_is_not_read(tmp_path: Path) -> None:
    with Catcher() as catcher, queue(tmp_path, {"url": catcher.url}) as address:
        place = address.removeprefix("http://").split(":")
        with socket.create_connection((place[0], int(place[1])), timeout=10) as line:
            line.sendall(b"POST /regie HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (BODY_BYTES_MAX + 1))
            assert line.recv(64).split(b" ")[1] == b"413"


def test_connections_that_say_nothing_are_cut_and_others_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded, "SILENT_SECONDS_MAX", 0.5)
    with Catcher() as catcher, queue(tmp_path, {"url": catcher.url}) as address, ExitStack() as stack:
        place = address.removeprefix("http://").split(":")
        silent = [stack.enter_context(socket.create_connection((place[0], int(place[1])), 10)) for _ in range(40)]
        assert {line.recv(1) for line in silent} == {b""}, "some at once, the others after a while"
        assert post(f"{address}/regie", FIRED) == 200


def test_what_is_refused_again_and_again_is_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with Catcher() as catcher, queue(tmp_path, {"url": catcher.url}) as address:
        assert {post(f"{address}/regie", []) for _ in range(20)} == {400}
    assert capfd.readouterr().err.count("refused:") == 1


def test_a_token_that_no_header_takes_is_told_and_what_waits_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Catcher() as catcher, queue(tmp_path, {"url": catcher.url, "token": "clé’"}) as address:
        assert post(f"{address}/regie", FIRED) == 200
        wait_until(lambda: "try 2" in capsys.readouterr().err, "it was tried again")
        assert "appliance_outbox_waiting 1.0" in measures(address)
    with pytest.raises(UsageError, match="its settings cannot be used") as raised:
        send({"url": catcher.url, "token": "clé’"}, FIRED)
    assert "clé" not in str(raised.value)


@contextmanager
def answering(*answers: bytes, then: Iterable[bytes] = ()) -> Iterator[int]:
    """The port of a server that waits for a request after each of `answers`, and says `then` piece by piece."""
    ended = threading.Event()

    def answer() -> None:
        with suppress(OSError), server.accept()[0] as line:
            for said in answers:
                line.sendall(said)
                line.recv(65536)
            for piece in then:
                line.sendall(piece)
                if ended.wait(0.05):
                    break

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            ended.set()
            thread.join()


def by_mail(port: int, tls: str = "none") -> dict[str, Any]:
    return {"host": "127.0.0.1", "port": port, "tls": tls, "from": "a@x.fr", "to": ["regie@x.fr"]}


def drip(piece: bytes, first: bytes = b"") -> tuple[bytes, ...]:
    """For ten seconds."""
    return (first, *[piece] * 200)


GREETED = b"220 mail\r\n"
OFFERS_TLS = (GREETED, b"250-mail\r\n250 STARTTLS\r\n", b"220 go on\r\n")
BEGINS_A_RECORD = b"\x16\x03\x03\x40\x00"


def test_a_webhook_that_drips_its_answer_is_left_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "SECONDS_MAX", 0.5)
    with answering(b"", then=drip(b"x")) as port, pytest.raises(OSError, match=r"within 0\.5 s"):
        send({"url": f"http://127.0.0.1:{port}/"}, FIRED)


@pytest.mark.parametrize(
    ("tls", "answers", "then"),
    [
        pytest.param("none", (), drip(b"x"), id="its greeting"),
        pytest.param("none", (GREETED,), drip(b"x"), id="an answer"),
        pytest.param("none", (GREETED,), drip(b"250-x\r\n"), id="lines"),
        pytest.param("starttls", OFFERS_TLS, drip(b"x", BEGINS_A_RECORD), id="its part of starting TLS"),
        pytest.param("implicit", (), drip(b"x", BEGINS_A_RECORD), id="its part of TLS"),
    ],
)
def test_a_mail_server_that_drips_is_left_in_time(
    tls: str, answers: tuple[bytes, ...], then: tuple[bytes, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outgoing, "MAIL_SECONDS_MAX", 0.5)
    with answering(*answers, then=then) as port, pytest.raises(OSError, match=r"within 0\.5 s"):
        send(by_mail(port, tls), FIRED)


def test_a_mail_server_that_is_silent_is_left_before_the_end_of_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "SECONDS_MAX", 0.2)
    with answering(GREETED, b"") as port, pytest.raises(OSError, match=r"nothing came for 0\.2 s"):
        send(by_mail(port), FIRED)


WITHOUT_END = [b"220-x\r\n" * (outgoing.MAIL_BYTES_MAX // 5)]


def test_a_mail_server_that_answers_without_end_is_left() -> None:
    with answering(then=WITHOUT_END) as port, pytest.raises(OSError, match="more than 262144 bytes"):
        send(by_mail(port), FIRED)


def test_a_letter_that_was_taken_is_delivered_whatever_the_server_says_afterwards(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    outbox.put(("it",), FIRED, 0.0)
    good = b"250 good\r\n"
    with answering(GREETED, good, good, good, b"354 go on\r\n", good, then=WITHOUT_END) as port:
        turn(outbox, by_mail(port))
    assert outbox.count() == 0


def test_a_webhook_that_answers_with_headers_without_end_gets_it_later(tmp_path: Path) -> None:
    def refuse(server: socket.socket) -> None:
        line, _ = server.accept()
        with line, suppress(OSError):
            line.recv(65536)
            line.sendall(b"HTTP/1.1 503 Busy\r\n" + b"".join(b"X%d: %s\r\n" % (it, b"x" * 4000) for it in range(80)))

    outbox = Outbox(tmp_path)
    outbox.put(("it",), FIRED, 0.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=refuse, args=(server,))
        thread.start()
        addressee = {"url": f"http://127.0.0.1:{server.getsockname()[1]}/"}
        delay = turn(outbox, addressee)
        thread.join()
    assert delay.failures == 1
    waiting = outbox.oldest("it")
    assert waiting
    assert waiting.notification == FIRED


def test_a_delivery_that_ends_ends_the_program(tmp_path: Path) -> None:
    with Queue({"receivers": {}, "addressees": {}}, tmp_path, 0) as made:
        (tmp_path / "mail").mkdir()
        (tmp_path / "mail/0.json").mkdir()  # no file: what no program expects
        with pytest.raises(IsADirectoryError):
            made.run()


def test_a_letter_comes_by_mail(tmp_path: Path) -> None:
    with mail_server() as (port, letters), queue(tmp_path, by_mail(port)) as address:
        assert post(f"{address}/regie", FIRED) == 200
        wait_until(lambda: letters, "the letter came")
    [letter] = letters
    assert b"Subject: [URGENT] docs : rien chez b" in letter
    assert b"To: regie@x.fr" in letter


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_a_letter_and_its_password_go_to_a_mail_server_with_a_valid_certificate_only(
    tls: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cert, key = make_certificate(tmp_path / "tls", "mail.test.internal")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    with mail_server(context, implicit=tls == "implicit") as (port, letters):
        addressee = {**by_mail(port, tls), "user": "u", "password": "secret"}
        with pytest.raises(OSError, match="certificate verify failed"):
            send(addressee, FIRED)
        assert letters == []
        monkeypatch.setenv("SSL_CERT_FILE", str(cert))
        send(addressee, FIRED)
        assert len(letters) == 1


def test_a_password_is_not_sent_in_clear() -> None:
    with mail_server() as (port, letters), pytest.raises(UsageError, match="must not be sent in clear"):
        send({**by_mail(port), "user": "u", "password": "secret"}, FIRED)
    assert letters == []
