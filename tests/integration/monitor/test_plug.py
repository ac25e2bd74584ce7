"""Plugs that measure, as each kind answers over real HTTP: watts, or nothing at all."""

from __future__ import annotations

import itertools
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from appliance.errors import Unreachable, UsageError
from appliance.monitor.plug import KINDS, watts

DRIPS_SECONDS = 5.0
SAID = {
    "shelly": b'{"id": 0, "source": "init", "output": true, "apower": 8.9, "aenergy": {"total": 6.5}}',
    "shelly1": b'{"relays": [{"ison": true}], "meters": [{"power": 8.9, "overpower": 0.0, "total": 390}]}',
    "tasmota": b'{"StatusSNS": {"ENERGY": {"Total": 3.7, "Power": 8.9, "Voltage": 233}}}',
}


@contextmanager
def plug(answers: dict[str, bytes]) -> Iterator[str]:
    """A plug that answers these paths alone; its address."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            said = answers.get(self.path)
            self.send_response(200 if said is not None else 401)
            self.end_headers()
            self.wfile.write(said or b"")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def write(kind: str, address: str, file: Path) -> subprocess.CompletedProcess[str]:
    """As the unit does."""
    argv = (sys.executable, "-m", "appliance.monitor.plug", kind, address, str(file))
    return subprocess.run(argv, capture_output=True, text=True)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_says_its_power(kind: str) -> None:
    with plug({KINDS[kind].path: SAID[kind]}) as address:
        assert watts(kind, address) == 8.9


def test_node_exporter_finds_it_and_promtool_has_no_objection(tmp_path: Path) -> None:
    file = tmp_path / "plug.prom"
    with plug({KINDS["shelly"].path: SAID["shelly"]}) as address:
        done = write("shelly", address, file)
    assert (done.returncode, done.stderr) == (0, "")
    assert 'appliance_power_watts{source="plug"} 8.9\n' in file.read_text()
    assert 'appliance_power_answers{source="plug"} 1.0\n' in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o644
    judged = subprocess.run(("promtool", "check", "metrics"), input=file.read_bytes(), capture_output=True)
    assert (judged.returncode, judged.stdout, judged.stderr) == (0, b"", b"")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b'{"output": true}', "does not report its power"),
        (b"<html>", "does not report its power"),
        (b'{"apower": "much"}', "does not report its power"),
        (b'{"apower": NaN}', "more than any plug allows"),
        (b'{"apower": 1e9}', "more than any plug allows"),
        pytest.param(b'{"apower": 1' + b"0" * 400 + b"}", "does not report its power", id="more_than_a_float"),
        pytest.param(b"[" * 60_000, "does not report its power", id="lists_in_lists"),
        (b'{"apower": -3}', "more than any plug allows"),
        (b'{"apower": 8.9' + b" " * 70_000 + b"}", "does not report its power"),
        (None, "answered 401"),
    ],
)
def test_what_is_not_power_is_unknown_and_what_was_known_is_gone(tmp_path: Path, said: bytes | None, why: str) -> None:
    file = tmp_path / "plug.prom"
    file.write_text("appliance_power_watts 8.9\n")
    with plug({} if said is None else {KINDS["shelly"].path: said}) as address:
        done = write("shelly", address, file)
    assert done.returncode == 1
    assert why in done.stderr
    assert "Traceback" not in done.stderr
    told = [line for line in file.read_text().splitlines() if not line.startswith("#")]
    assert told == ['appliance_power_answers{source="plug"} 0.0']


def test_a_plug_that_is_away_says_so() -> None:
    with plug({}) as address:
        pass
    with pytest.raises(Unreachable, match="does not answer"):
        watts("shelly", address)


def test_a_plug_that_says_a_byte_now_and_then_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.monitor.plug.SECONDS_MAX", 0.3)
    began = time.monotonic()
    with dripping() as address, pytest.raises(Unreachable, match="does not answer"):
        watts("shelly", address)
    assert time.monotonic() - began < DRIPS_SECONDS


@contextmanager
def dripping() -> Iterator[str]:
    """A plug that sends its headers letter by letter, always before anybody's patience for one ends."""
    ended = threading.Event()

    def drip(server: socket.socket) -> None:
        line, _ = server.accept()
        with line, suppress(OSError):
            for letter in itertools.cycle(b"X"):
                if ended.wait(0.1) or time.monotonic() > began + DRIPS_SECONDS:
                    return
                line.sendall(bytes([letter]))

    began = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, args=(server,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            ended.set()
            thread.join()


@pytest.mark.parametrize("address", ["8.8.8.8", "plug.example.org", "", "fe80::1"])
def test_nobody_outside_the_site_is_asked(address: str) -> None:
    with pytest.raises(UsageError, match="own network"):
        watts("shelly", address)


def test_another_kind_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="Known are shelly, shelly1, tasmota"):
        watts("fritz", "192.168.1.40")
