"""A letter by a real apprise: taken, refused, never answered; its URL, a secret, shows nowhere on the machine."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from appliance.errors import ApplianceError, Unreachable, UsageError
from appliance.host.command import descendants
from appliance.monitor.letter import Letter, write
from appliance.monitor.outbox import Delay, Outbox, deliver_one
from appliance.monitor.post import send
from appliance.monitor.sending import by_apprise
from appliance_lab.checkout import code_folder
from appliance_lab.processes.catcher import Catcher
from tests.integration.monitor.typed_letter import typed
from tests.unit.monitor.notifications import notification
from tests.waiting import wait_until
from tests.worlds.outbox import served_queue

pytestmark = pytest.mark.skipif(find_spec("apprise") is None, reason="Debian's apprise is not there: make setup")

FIRED = notification(("firing", "critical", "docs : rien chez b"))
LETTER = Letter("[Essai] é", "Rien n'est en panne.\n")
SECRET = "s3cr3t-of-the-gateway"
WITHOUT_WRITABLE_CODE = """
import ctypes, runpy
assert not ctypes.CDLL(None).prctl(65, 1, 0, 0, 0)
runpy.run_module("appliance.monitor.sending.apprise_worker", run_name="__main__")
"""
"""PR_SET_MDWE of <linux/prctl.h>, which is what MemoryDenyWriteExecute= of the unit forbids."""


def url_of(address: str) -> str:
    return address.replace("http://", f"json://queue:{SECRET}@")


def refusal(url: str, seconds_max: float = by_apprise.SECONDS_MAX) -> ApplianceError:
    with pytest.raises(ApplianceError) as caught:
        by_apprise.give(url, LETTER, seconds_max=seconds_max)
    assert SECRET not in str(caught.value)
    return caught.value


def test_the_queue_delivers_the_letter_by_apprise(tmp_path: Path) -> None:
    with Catcher() as catcher:
        settings = {"receivers": {"regie": ["it"]}, "addressees": {"it": {"apprise": url_of(catcher.url)}}}
        with served_queue(settings, tmp_path) as address:
            request = urllib.request.Request(f"{address}/regie", json.dumps(FIRED).encode(), method="POST")
            urllib.request.urlopen(request, timeout=10).close()
            wait_until(lambda: catcher.caught, "the letter is there")
    (caught,) = catcher.caught
    letter = write(FIRED)
    assert (caught["title"], caught["message"].strip()) == (letter.subject, letter.text.strip())


def test_a_refusal_is_an_answer_with_its_status_and_the_letter_waits(tmp_path: Path) -> None:
    outbox, said = Outbox(tmp_path), list[str]()
    outbox.put(("it",), FIRED, 1.0)
    with Catcher(refuse_with=401) as catcher:
        addressee = {"apprise": url_of(catcher.url)}
        after = deliver_one(outbox, "it", Delay(), lambda: 0.0, lambda _, it: send(addressee, it), said.append, set())
    assert (after.failures, outbox.count()) == (1, 1)
    assert said == ["it: not delivered, try 1: apprise: its service answered 401."]


def test_a_redirect_is_no_delivery() -> None:
    with Catcher() as page, answers(f"HTTP/1.0 302 Found\r\nLocation: {page.url}\r\n\r\n") as address:
        assert isinstance(refusal(url_of(address)), Unreachable)
        assert page.caught == []


def test_nobody_who_listens_and_a_url_of_no_service_are_told_apart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert isinstance(refusal(url_of(f"http://127.0.0.1:{port}/")), Unreachable)
    assert isinstance(refusal(f"moon://{SECRET}"), UsageError)
    assert isinstance(refusal(SECRET), UsageError)


def test_a_service_that_never_answers_ends_in_time_and_its_url_is_in_no_argument_and_no_environment() -> None:
    with answers("") as address:
        found: list[ApplianceError] = []
        caller = threading.Thread(target=lambda: found.append(refusal(url_of(address), 3.0)))
        caller.start()
        wait_until(_open_to_all, "apprise runs")
        seen = _open_to_all()
        caller.join()
    assert found[0].what == "apprise did not end within 3 s."
    assert b"apprise_worker" in seen
    assert SECRET.encode() not in seen
    assert _open_to_all() == b"", "it was ended"


def test_a_letter_that_is_too_long_for_its_service_is_sent_whole_in_parts() -> None:
    with Catcher() as catcher:
        by_apprise.give(url_of(catcher.url), Letter("long", "x" * 100_000))
    assert sum(len(it["message"]) for it in catcher.caught) == 100_000
    assert len(catcher.caught) > 1


def test_it_runs_where_memory_is_never_both_written_and_run() -> None:
    with Catcher() as catcher:
        asked = json.dumps({"url": url_of(catcher.url), "subject": "s", "text": "t"}).encode()
        result = subprocess.run(
            (sys.executable, "-sP", "-c", WITHOUT_WRITABLE_CODE),
            input=asked,
            capture_output=True,
            timeout=60,
            env={"PYTHONPATH": str(code_folder())},
            check=False,
        )
    assert (result.stdout, len(catcher.caught)) == (b"taken\n", 1), result.stderr


def test_the_test_letter_goes_by_apprise_and_shows_only_the_kind_of_its_service(tmp_path: Path) -> None:
    with Catcher() as catcher:
        addressees: dict[str, Any] = {"chat": {"apprise": url_of(catcher.url)}}
        result = typed(tmp_path, {"receivers": {}, "addressees": addressees})
    assert result.exit_code == 0, result.tail()
    assert json.loads(result.stdout)["tried"] == [{"to": "chat", "place": "json by apprise", "why": "", "remedy": ""}]
    assert catcher.caught[0]["title"].startswith("[Essai]")


def _open_to_all() -> bytes:
    """Return what /proc shows of apprise's processes: their arguments, and what they were started with."""
    seen = b""
    for pid in descendants(os.getpid()):
        try:
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes()
            if b"apprise_worker" in arguments:
                seen += arguments + Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            continue
    return seen


@contextmanager
def answers(text: str) -> Iterator[str]:
    """The address of a server that says `text` to each request; "" says nothing, and keeps the line open."""
    opened: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        ends = threading.Event()

        def serve() -> None:
            while not ends.is_set():
                try:
                    line, _ = server.accept()
                except TimeoutError:
                    continue
                opened.append(line)
                if text:
                    line.recv(65536)
                    line.sendall(text.encode())
                    line.shutdown(socket.SHUT_WR)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        finally:
            ends.set()
            thread.join()
            for line in opened:
                line.close()
