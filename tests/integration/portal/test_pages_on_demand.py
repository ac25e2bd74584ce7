"""The pages of a host run while somebody looks at them: a connection starts them, and they end when nobody asks."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from appliance.portal.base.templates import FORM_FIELD
from tests.integration.portal.small import Small, small
from tests.pace import LONG
from tests.waiting import wait_until
from tests.worlds.activation import Activated
from tests.worlds.demo import LOOPBACK

IDLE_SECONDS = 0.3
SERVE = f"""
import sys
from pathlib import Path
from appliance.host.layout import NodeLayout
from appliance.host.network.activation import inherited
from appliance.portal.serve import ListenSettings, serve
taken = inherited()
assert taken
serve(NodeLayout(Path(sys.argv[1])), ListenSettings("{LOOPBACK}", 1), taken=taken, idle_seconds={IDLE_SECONDS})
"""
HANDED_OVER = 'exec 3<&"$1"; shift; export LISTEN_PID=$$ LISTEN_FDS=1; exec "$@"'
"""As systemd does (sd_listen_fds): the program learns its own number, and how many sockets there are."""
AT_ONCE = 40


@pytest.fixture
def made(tmp_path: Path) -> Small:
    return small(tmp_path)


@pytest.fixture
def listener() -> socket.socket:
    listener = socket.create_server((LOOPBACK, 0), backlog=256)
    listener.setblocking(True)
    return listener


@pytest.fixture
def port(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])


@pytest.fixture
def activated(made: Small, listener: socket.socket) -> Iterator[Activated]:
    def start(number: int) -> subprocess.Popen[bytes]:
        program = (sys.executable, "-c", SERVE, str(made.layout.root))
        return subprocess.Popen(("bash", "-c", HANDED_OVER, "bash", str(number), *program), pass_fds=(number,))

    with Activated(listener, start) as found:
        yield found


def answer(port: int) -> httpx.Response:
    return httpx.get(f"http://{LOOPBACK}:{port}/connexion", timeout=LONG * 60)


def test_a_browser_starts_the_pages_and_they_end_with_0_when_nobody_asks(port: int, activated: Activated) -> None:
    assert activated.process is None, "nobody looked at a page yet"
    assert answer(port).status_code == 200
    wait_until(lambda: activated.codes == [0], "the pages ended")
    assert answer(port).status_code == 200, "the next one starts them again"
    wait_until(lambda: activated.codes == [0, 0], "the pages ended once more")


def test_all_who_come_while_they_start_are_answered(port: int, activated: Activated) -> None:
    with ThreadPoolExecutor(AT_ONCE) as browsers:
        codes = list(browsers.map(lambda _: answer(port).status_code, range(AT_ONCE)))
    assert codes == [200] * AT_ONCE
    wait_until(lambda: activated.codes != [], "the pages ended")
    assert set(activated.codes) == {0}


def test_a_connection_that_is_open_keeps_them(port: int, activated: Activated) -> None:
    answer(port)
    with socket.create_connection((LOOPBACK, port)) as held:
        wait_until(lambda: activated.process is not None and activated.process.poll() is None, "they run")
        running = activated.process
        # One that waits two seconds for the rest of its request is older than the idle time by far.
        held.sendall(b"GET /connexion HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        held.settimeout(2.0)
        with pytest.raises(TimeoutError):
            held.recv(1)
        held.settimeout(LONG * 60)
        held.sendall(b"\r\n")
        assert held.recv(12) == b"HTTP/1.1 200"
        assert activated.process is running
    wait_until(lambda: activated.codes and activated.codes[-1] == 0, "the pages ended")


def test_who_was_counted_before_they_ended_is_counted_still(port: int, activated: Activated) -> None:
    """Five tries a name: to wait until the pages have ended gives nobody more."""
    answers = []
    for turn in (1, 2):
        with httpx.Client(base_url=f"http://{LOOPBACK}:{port}", timeout=LONG * 60) as browser:
            answers += [_tries(browser) for _ in range(3)]
        wait_until(lambda turn=turn: len(activated.codes) >= turn, "the pages ended")
    assert answers == [401] * 5 + [429]


def _tries(browser: httpx.Client) -> int:
    form = browser.get("/connexion").text
    token = form.partition(f'name="{FORM_FIELD}" value="')[2].partition('"')[0]
    typed = {FORM_FIELD: token, "identifiant": "marie", "secret": "wrong", "code": "000000"}
    origin = {"Origin": str(browser.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin"}
    return browser.post("/connexion", data=typed, headers=origin).status_code


def test_pages_that_were_killed_are_started_by_the_next_browser(port: int, activated: Activated) -> None:
    answer(port)
    assert activated.process is not None
    activated.process.kill()
    assert answer(port).status_code == 200
    wait_until(lambda: activated.codes[1:] == [0], "the next ones ended")
    assert activated.codes[0] in {0, -signal.SIGKILL}
