"""Figures of the pages count only what came: a refusal is no answer, and a page is asked as often as it says."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from appliance.errors import ApplianceError
from appliance_lab.bench.pages import Secretary
from appliance_lab.bench.restoring import WANTED_WORDS, Button
from appliance_lab.processes.node import ProcessNode

STATUS = {"/retrouver?q=budget%202026": 200, "/retrouver?q=paie": 303, "/retrouver?q=voirie": 500}
GOING = '<div hx-trigger="every 20ms">'


class Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert (self.headers["Cookie"], self.headers["HX-Request"]) == ("portail=x", "true")
        self.send_response(STATUS[self.path])
        self.end_headers()

    def log_message(self, *_words: object) -> None:
        pass


@pytest.fixture
def listen() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_search_counts_when_it_was_answered_and_is_an_error_otherwise(listen: str) -> None:
    secretary = Secretary(listen, "portail=x")
    assert secretary.milliseconds("budget 2026") > 0
    with pytest.raises(ApplianceError, match="answers 303"):
        secretary.milliseconds("paie")
    with pytest.raises(ApplianceError, match="answers 500"):
        secretary.milliseconds("voirie")


@pytest.mark.parametrize(("status", "text"), [(200, f"{WANTED_WORDS}\n"), (200, "another file"), (404, "")])
def test_a_click_ends_with_the_last_byte_of_the_wanted_file_and_with_nothing_else(status: int, text: str) -> None:
    pages = iter((GOING, GOING, "C'est prêt."))

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            assert request.content == b"quoi=x"
            return httpx.Response(303, headers={"location": "/demandes/1"})
        if request.url.path == "/demandes/1/fichier":
            return httpx.Response(status, text=text)
        return httpx.Response(200, text=next(pages))

    with httpx.Client(base_url="http://127.0.0.1", transport=httpx.MockTransport(answer)) as browser:
        button, began = Button(browser, {"quoi": "x"}), time.monotonic()
        if WANTED_WORDS in text:
            button.click()
        else:
            with pytest.raises(ApplianceError, match=f"not the wanted file: {status}"):
                button.click()
        assert time.monotonic() - began >= 0.04, "the page asks twice"


@pytest.mark.long
def test_pages_that_end_before_they_answer_are_told_with_their_log(tmp_path: Path) -> None:
    node = ProcessNode("commune-a", tmp_path / "none", "127.0.0.1", 0)
    node.layout.run.mkdir(parents=True)
    with pytest.raises(ApplianceError, match="the pages of commune-a do not answer at 127") as caught:
        node.start_portal("127.0.0.1:1")
    assert Path(caught.value.where).read_text(), "why"
