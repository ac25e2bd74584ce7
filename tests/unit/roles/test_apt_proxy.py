"""apt goes through the cache where it works, and past it where it does not."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType

import pytest

from appliance_lab.processes.node import free_ports

FILE = Path(__file__).parents[3] / "systemd/apt-proxy"
WANTED = "http://debian.invalid/debian/dists/trixie/InRelease"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("apt_proxy", str(FILE))
    spec = importlib.util.spec_from_loader("apt_proxy", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@contextmanager
def cache(status: int) -> Iterator[int]:
    """A cache that answers `status` to what is wanted; its port."""

    class Answers(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(status if self.path == WANTED else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def settings(port: int) -> str:
    return f'// BEGIN of what the appliance sets\n// cache: 127.0.0.1 {port}\nAcquire::http::Proxy-Auto-Detect "x";\n'


@pytest.mark.parametrize(
    ("status", "used"),
    [
        pytest.param(200, True, id="it has it"),
        pytest.param(404, True, id="there is none, which Debian would say too"),
        pytest.param(403, False, id="it does not fetch from there"),
        pytest.param(426, False, id="those it asks refuse it"),
        pytest.param(502, False, id="it has no way out"),
        pytest.param(504, False, id="it waits for nobody"),
    ],
)
def test_the_cache_is_used_when_it_can_bring_what_is_wanted(script: ModuleType, status: int, used: bool) -> None:
    with cache(status) as port:
        found = script.proxy(WANTED, settings(port))
    assert found == (f"http://127.0.0.1:{port}/" if used else "DIRECT")


def test_a_dead_cache_stops_nobody(script: ModuleType) -> None:
    [port] = free_ports("127.0.0.1", 1)
    assert script.proxy(WANTED, settings(port)) == "DIRECT"


@pytest.mark.parametrize("text", ["", "// cache: hermitage", "// cache: hermitage port"])
def test_settings_that_name_no_cache_mean_none(script: ModuleType, text: str) -> None:
    assert script.proxy(WANTED, text) == "DIRECT"
