"""Sites of the territory on the pages: read from wherever they are served, by anybody, and able to do nothing there."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.testclient import TestClient

from appliance.clock import SystemClock
from appliance.config.load import load
from appliance.portal.base.app import application
from appliance.portal.build import make_web_app
from appliance.portal.lookup import Lookup
from appliance.portal.page_context import PageContext
from appliance.portal.pages import published
from appliance.portal.pages.published import Published
from appliance.portal.pages.silent_places import Place, SilentPlaces
from appliance.units import MIB
from appliance_lab.processes.node import free_ports
from appliance_lab.processes.territory import ProcessTerritory
from tests.integration.portal.world import NODE
from tests.waiting import wait_until
from tests.worlds.demo import INVENTORY, LOOPBACK

ADDRESS, STANDBY, MESH, COPY_PORT = "127.0.8.1", "hermitage", "127.0.9.1", 8401
PAGE = """<!doctype html><html lang="fr"><head><title>Horaires</title><link rel="stylesheet" href="style.css">
<script>document.documentElement.dataset.ran = "yes"</script></head><body><p id="heures">9 h à 12 h</p></body></html>
"""

at_the_port_of_copies = pytest.mark.xdist_group("port-of-copies")
"""Two workers at once cannot serve there."""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Every request would be a line."""


@contextmanager
def serving(handler: Any, address: str = ADDRESS, port: int = 0) -> Iterator[int]:
    """At the site's address, for as long as the block takes; the port."""
    with ThreadingHTTPServer((address, port), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@dataclass(frozen=True)
class Pages:
    """The pages of commune-a in a territory that publishes one site."""

    territory: ProcessTerritory
    folder: Path

    def app(self, port: int, **more: Any) -> Any:
        lookup = Lookup(self.territory.nodes[NODE].layout)
        web_app = make_web_app(lookup, SystemClock())
        return application(web_app, list(Published(PageContext(web_app, lookup), port=port, **more).routes()))

    @contextmanager
    def read(self, port: int = 0, **more: Any) -> Iterator[TestClient]:
        with TestClient(self.app(port, **more), "http://localhost", follow_redirects=False) as client:
            yield client

    @contextmanager
    def answering(self, port: int) -> Iterator[int]:
        """By a real server, for as long as the block takes; its port."""
        own = free_ports(LOOPBACK, 1)[0]
        server = uvicorn.Server(uvicorn.Config(self.app(port), LOOPBACK, own, log_level="warning", loop="asyncio"))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        wait_until(lambda: server.started, "the pages answer")
        yield own
        server.should_exit = True
        thread.join(20)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Pages:
    root = tmp_path_factory.mktemp("published")
    plan = load(INVENTORY)
    one = replace(
        plan.services["docs-a"], name="horaires", title="Horaires <du car>", share="", policy="mirror", address=ADDRESS
    )
    nodes = {**plan.nodes, STANDBY: replace(plan.nodes[STANDBY], mesh=MESH)}
    published = replace(one, standbys=(STANDBY,))
    services = {
        **plan.services,
        "horaires": published,
        "interne": replace(published, name="interne", policy="exclusive"),
    }
    territory = ProcessTerritory(root / "territory", replace(plan, nodes=nodes, services=services))
    territory.create()
    territory.sign((NODE,))
    folder = root / "site"
    (folder / "été").mkdir(parents=True)
    (folder / "index.html").write_text(PAGE)
    (folder / "style.css").write_text("p { color: rgb(1, 2, 3) }")
    (folder / "jeu.js").write_text("location = '/demandes'")
    (folder / "été/index.html").write_text("<p>En été</p>")
    (folder / "arrêté.pdf").write_bytes(b"%PDF-1.4 " + b"x" * 300_000)
    return Pages(territory, folder)


def test_anybody_reads_a_site_and_it_can_do_nothing_here(pages: Pages) -> None:
    with serving(partial(Quiet, directory=pages.folder)) as port, pages.read(port) as client:
        listed = client.get("/publies").text
        assert "Horaires &lt;du car&gt;" in listed
        assert 'href="/publies/horaires/"' in listed
        assert client.get("/publies/horaires").headers["Location"] == "/publies/horaires/"
        first = client.get("/publies/horaires/")
        assert (first.status_code, first.text) == (200, PAGE)
        policy = first.headers["Content-Security-Policy"]
        assert policy.startswith("sandbox allow-downloads allow-popups;")
        assert "script-src 'none'" in policy
        assert first.headers["X-Content-Type-Options"] == "nosniff"
        paper = client.get("/publies/horaires/arrêté.pdf")
        assert paper.content == (pages.folder / "arrêté.pdf").read_bytes()
        assert "sandbox" not in paper.headers["Content-Security-Policy"], "its reader would not start"
        folder = client.get("/publies/horaires/été")
        assert (folder.status_code, folder.headers["Location"]) == (307, "/publies/horaires/%C3%A9t%C3%A9/")
        assert client.get(folder.headers["Location"]).text == "<p>En été</p>"


@pytest.mark.parametrize(
    ("said", "told", "sandboxed"),
    [
        ("application/pdf", "application/pdf", False),
        ("Application/PDF ; charset=x", "application/pdf", False),
        ("application/pdf;, text/html", "application/octet-stream", True),
        ("application/pdf, text/html", "application/octet-stream", True),
        ("text/html; charset=ISO-8859-1", "text/html; charset=iso-8859-1", True),
        ("text/html; charset=a, text/html", "application/octet-stream", True),
        ("text/html, text/javascript", "application/octet-stream", True),
        ("application/xhtml+xml", "application/octet-stream", True),
        ("multipart/x-mixed-replace", "application/octet-stream", True),
        ("", "application/octet-stream", True),
    ],
)
def test_a_browser_is_told_one_kind_of_a_list_whatever_the_site_says(
    pages: Pages, said: str, told: str, sandboxed: bool
) -> None:
    class Says(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", said)
            self.end_headers()
            self.wfile.write(b"<form action=https://elsewhere.example>")

        def log_message(self, format: str, *args: object) -> None:
            """Every request would be a line."""

    with serving(Says) as port, pages.read(port) as client:
        answer = client.get("/publies/horaires/x")
        policy = answer.headers["Content-Security-Policy"]
        assert (answer.headers.get_list("Content-Type"), "sandbox" in policy) == ([told], sandboxed)
        assert {"form-action 'none'", "base-uri 'none'"} <= {it.strip() for it in policy.split(";")}


def test_what_is_no_site_and_what_it_has_not_are_not_there(pages: Pages) -> None:
    with serving(partial(Quiet, directory=pages.folder)) as port, pages.read(port) as client:
        for path in ("rien.html", "jeu.js", "../../etc/passwd", "%2e%2e/%2e%2e/etc/passwd"):
            assert client.get(f"/publies/horaires/{path}").status_code == 404
        assert "interne" not in client.get("/publies").text
        for name in ("docs-a", "interne", "nulle-part", "127.0.0.1"):
            assert client.get(f"/publies/{name}/").status_code == 404
            assert client.get(f"/publies/{name}").status_code == 404
        assert client.post("/publies/horaires/").status_code == 405


def test_a_site_that_leads_elsewhere_leads_nobody_from_here(pages: Pages) -> None:
    class Leads(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", "http://192.0.2.1/")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Every request would be a line."""

    with serving(Leads) as port, pages.read(port) as client:
        assert client.get("/publies/horaires/").status_code == 404


def test_a_site_that_nobody_serves_is_told_in_a_sentence(pages: Pages) -> None:
    with pages.read(free_ports(LOOPBACK, 1)[0]) as client:
        failed = client.get("/publies/horaires/")
        assert failed.status_code == 504
        assert "Une commune voisine ne répond pas" in failed.text


@at_the_port_of_copies
def test_while_its_address_is_silent_a_copy_is_shown_and_its_own_files_again_later(
    pages: Pages, tmp_path: Path
) -> None:
    (tmp_path / "été").mkdir()
    (tmp_path / "index.html").write_text("la copie")
    port, answers, asked = free_ports(LOOPBACK, 1)[0], threading.Event(), list[Place]()

    def is_answered(place: Place) -> bool:
        asked.append(place)
        return answers.is_set() and published.is_answered(place)

    silent = SilentPlaces(is_answered, again_seconds=0.01)
    with serving(partial(Quiet, directory=tmp_path), MESH, COPY_PORT), pages.read(port, silent=silent) as client:
        assert client.get("/publies/horaires/").text == "la copie"
        assert client.get("/publies/horaires/été").headers["Location"] == "/publies/horaires/%C3%A9t%C3%A9/"
        with serving(partial(Quiet, directory=pages.folder), port=port):
            assert client.get("/publies/horaires/").text == "la copie", "its next files wait for nobody"
            answers.set()
            wait_until(lambda: client.get("/publies/horaires/").text == PAGE, "its own files are shown again")
        assert client.get("/publies/horaires/").text == "la copie", "its home is cut off a second time"
    assert set(asked) == {(ADDRESS, port)}


@at_the_port_of_copies
def test_only_the_first_visitor_waits_for_a_home_that_says_nothing(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was asked again by a visitor each half minute, who waited for five seconds."""
    monkeypatch.setattr(published, "QUIET_SECONDS", 0.2)
    calls = list[tuple[str, str]]()
    really = published.http_call.call
    monkeypatch.setattr(
        published.http_call,
        "call",
        lambda url, **more: (calls.append((url, threading.current_thread().name)), really(url, **more))[1],
    )
    with (
        socket.create_server((ADDRESS, 0)) as listener,
        serving(partial(Quiet, directory=pages.folder), MESH, COPY_PORT),
    ):
        port = listener.getsockname()[1]
        silent = SilentPlaces(published.is_answered, again_seconds=0.01)
        with pages.read(port, silent=silent) as client:
            wait_until(
                lambda: (client.get("/publies/horaires/").text == PAGE) and len(_probes(calls)) > 2, "it is asked again"
            )
    home = [thread for url, thread in calls if f":{port}/" in url]
    assert [it for it in home if it != "silent-places"] == home[:1], "one visitor waited"


def _probes(calls: list[tuple[str, str]]) -> list[str]:
    return [url for url, thread in calls if thread == "silent-places"]


def test_a_site_that_says_nothing_is_not_waited_for_long(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "QUIET_SECONDS", 0.2)
    with socket.create_server((ADDRESS, 0)) as silent, pages.read(silent.getsockname()[1]) as client:
        for _ in range(2 * published.AT_ONCE):
            assert client.get("/publies/horaires/").status_code == 504


def test_a_site_that_drips_its_headers_is_left_in_time(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "QUIET_SECONDS", 0.5)
    ended = threading.Event()

    class Drips(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with suppress(OSError):
                while not ended.wait(0.05):
                    self.connection.sendall(b"x")

    with serving(Drips) as port, pages.read(port) as client:
        try:
            assert client.get("/publies/horaires/").status_code == 504
        finally:
            ended.set()


def test_who_takes_nothing_of_what_was_asked_for_is_left_and_keeps_nobody_waiting(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published, "SECONDS_MAX", 3.0)
    (pages.folder / "film.mp4").write_bytes(bytes(32 * MIB))
    going: set[object] = set()

    class Counted(Quiet):
        def do_GET(self) -> None:
            going.add(self)
            with suppress(OSError):
                super().do_GET()
            going.discard(self)

    with serving(partial(Counted, directory=pages.folder)) as port, pages.answering(port) as own:
        asked = [socket.create_connection((LOOPBACK, own)) for _ in range(3 * published.AT_ONCE)]
        for line in asked:
            line.sendall(f"GET /publies/horaires/film.mp4 HTTP/1.1\r\nHost: {LOOPBACK}:{own}\r\n\r\n".encode())
        # From here another file of a site would be one too many; any other page comes.
        wait_until(lambda: len(going) == len(asked), "they are being answered")
        assert httpx.get(f"http://{LOOPBACK}:{own}/publies").status_code == 200
        wait_until(lambda: not going, "all of them are left")
        for line in asked:
            line.close()


def test_a_browser_that_has_gone_is_answered_no_more(pages: Pages) -> None:
    gone = threading.Event()

    class Endless(Quiet):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            with suppress(OSError):
                while True:
                    self.wfile.write(bytes(MIB))
            gone.set()

    with serving(Endless) as port, pages.answering(port) as own:
        address = f"http://{LOOPBACK}:{own}/publies/horaires/film.mp4"
        with httpx.stream("GET", address) as answer:
            next(answer.iter_bytes())
        assert gone.wait(published.SECONDS_MAX / 4), "long before its time"
        gone.clear()
        assert httpx.head(address).status_code == 200
        assert gone.wait(published.SECONDS_MAX / 4)


def test_one_address_has_so_many_files_on_their_way_and_all_together_more(pages: Pages) -> None:
    with serving(partial(Quiet, directory=pages.folder)) as port:
        for under_way, code in (
            (Counter({"testclient": published.UNDER_WAY_PER_ADDRESS_MAX}), 409),
            (Counter({"elsewhere": published.UNDER_WAY_MAX}), 409),
            (Counter({"elsewhere": published.UNDER_WAY_PER_ADDRESS_MAX}), 200),
        ):
            with pages.read(port, under_way=under_way) as client:
                assert client.get("/publies/horaires/").status_code == code
            assert "testclient" not in under_way or code == 409, "it is counted while it is on its way"


def test_a_browser_shows_it_with_its_styles_and_without_its_scripts(pages: Pages, browser: Any) -> None:
    with serving(partial(Quiet, directory=pages.folder)) as port, pages.answering(port) as own:
        page = browser.new_page()
        page.goto(f"http://{LOOPBACK}:{own}/publies")
        page.get_by_role("link", name="Horaires").click()
        page.wait_for_selector("#heures")
        assert page.evaluate("getComputedStyle(document.getElementById('heures')).color") == "rgb(1, 2, 3)"
        assert page.evaluate("document.documentElement.dataset.ran || ''") == ""
        assert page.evaluate("self.origin") == "null", "it comes from nowhere"
        page.close()
