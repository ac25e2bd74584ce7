"""The worker of a host runs while somebody looks at a page: a call starts it, and it ends when nobody calls."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from appliance.host.command import run
from appliance.portal.opened import load
from appliance.portal.paths import PortalPaths
from appliance.portal.worker_socket import WorkerCall
from appliance.restore.request import Status, load_status, place_request, request_folder, save_status
from appliance.restore.schema import open_catalogue
from appliance_lab.processes.node import free_ports
from tests.integration.portal.small import SHARE, Small, small
from tests.waiting import wait_until
from tests.worlds.activation import Activated
from tests.worlds.demo import LOOPBACK

QUIET_SECONDS = 0.3
WORK = f"""
import sys
from pathlib import Path
from appliance.portal.worker import work
work(Path(sys.argv[1]), {QUIET_SECONDS})
"""
HANDED_OVER = 'exec 3<&"$1"; shift; export LISTEN_PID=$$ LISTEN_FDS=1; exec "$@"'
"""As systemd does (sd_listen_fds): the program learns its own number, and how many sockets there are."""


@pytest.fixture
def made(tmp_path: Path) -> Small:
    made = small(tmp_path)
    made.repository.save("2026-11-24 07:00", "un.txt")
    return made


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "work.sock"


@pytest.fixture
def activated(made: Small, path: Path) -> Iterator[Activated]:
    def start(number: int) -> subprocess.Popen[bytes]:
        program = (sys.executable, "-c", WORK, str(made.layout.root))
        return subprocess.Popen(("bash", "-c", HANDED_OVER, "bash", str(number), *program), pass_fds=(number,))

    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    with Activated(listener, start) as found:
        yield found


def order(made: Small, file: str = "un.txt") -> str:
    """A copy of `file` that marie asked for."""
    requests = made.layout.service("docs-a").requests
    asked = place_request(
        requests,
        person="marie",
        service="docs-a",
        kind="download",
        archive="a1",
        moment_seconds=time.time(),
        paths=(f"{SHARE}/{file}",),
        share=SHARE,
        now=time.time(),
    )
    return asked.id


def state_of(made: Small, name: str) -> str:
    return load_status(request_folder(made.layout.service("docs-a").requests, name)).state


def test_the_worker_runs_for_a_call_and_ends_with_0_when_nobody_calls(
    made: Small, path: Path, activated: Activated
) -> None:
    assert activated.process is None, "nobody looked at a page yet"
    first = order(made)
    WorkerCall(path).call()
    wait_until(lambda: activated.codes == [0], "the worker ended")
    assert state_of(made, first) == "failed", "this node has no backup to open, and says so"
    assert load(PortalPaths.of(made.layout).opened) == {}
    second = order(made)
    WorkerCall(path).call()
    wait_until(lambda: activated.codes == [0, 0], "the worker ended once more")
    assert state_of(made, second) == "failed"


def test_a_killed_worker_is_started_by_the_next_call_and_carries_on_what_was_cut(
    made: Small, path: Path, activated: Activated
) -> None:
    WorkerCall(path).call()
    wait_until(lambda: activated.process is not None, "the worker runs")
    assert activated.process is not None
    activated.process.kill()
    wait_until(lambda: activated.codes == [-signal.SIGKILL], "it was killed")
    name = order(made)
    folder = request_folder(made.layout.service("docs-a").requests, name)
    folder.root.mkdir(parents=True)
    (folder.root / "order.json").write_bytes((folder.asked / "order.json").read_bytes())
    save_status(folder, Status("running", step="opening"))
    WorkerCall(path).call()
    wait_until(lambda: activated.codes[1:] == [0], "the next one ended")
    assert state_of(made, name) == "failed"


def test_without_a_call_as_for_a_timer_it_does_what_waits_and_ends(made: Small, path: Path) -> None:
    name = order(made)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    with listener:
        words = ("bash", str(listener.fileno()), sys.executable, "-c", WORK, str(made.layout.root))
        ended = subprocess.run(("bash", "-c", HANDED_OVER, *words), pass_fds=(listener.fileno(),), timeout=300)
    assert (ended.returncode, state_of(made, name)) == (0, "failed")


def test_a_visit_of_the_pages_starts_the_worker(made: Small, path: Path, activated: Activated) -> None:
    port = free_ports(LOOPBACK, 1)[0]
    words = ("--state", str(made.layout.root), "internal", "portal", "serve", "--worker", str(path))
    with subprocess.Popen((sys.executable, "-m", "appliance", *words, "--listen", f"{LOOPBACK}:{port}")) as pages:
        try:
            wait_until(lambda: _answers(port), "the pages answer")
            wait_until(lambda: activated.codes != [], "the worker ran")
            assert set(activated.codes) == {0}
        finally:
            pages.terminate()


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://{LOOPBACK}:{port}/connexion").status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.root
def test_a_page_on_a_disk_that_it_may_not_write_reads_names_while_no_worker_runs(tmp_path: Path) -> None:
    file = tmp_path / "catalogue" / "catalogue.db"
    with closing(open_catalogue(file)) as catalogue:
        catalogue.execute("INSERT INTO archive VALUES (1, 'id', 'monday', 0.0, 1, 1, 0)")
    reads = f"""
from pathlib import Path
from appliance.restore.schema import read_catalogue
print(read_catalogue(Path({str(file)!r})).execute("SELECT name FROM archive").fetchone()[0])
"""
    closes = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && ! touch "$0/x" 2>/dev/null && exec "$@"'
    argv = ("unshare", "--mount", "sh", "-c", closes, str(file.parent), sys.executable, "-c", reads)
    assert run(argv, timeout_seconds=60, check=True).stdout == b"monday\n"
