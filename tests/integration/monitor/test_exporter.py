"""The exporter over real sockets: what promtool thinks of it, who is let in, and what there is to read."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.errors import UsageError
from appliance.monitor import measures_file
from appliance.monitor.bounded import LINE_BYTES_MAX
from appliance.monitor.exporter import PER_ADDRESS_MAX, RESTARTING, Certificates, Exporter, make
from appliance.monitor.metrics import METRICS, Sample
from appliance.trust import pki
from tests.integration.coordination.authorities import authority, context, key_of

ANNOUNCE = Path(__file__).parents[3] / "systemd/announce-restart"
FILES = {"root.pem": "root.pem", "key.pem": "commune-b.key", "certificate.pem": "commune-b.pem"}
"""The files of the folder tls/ of a node, and their names where they were issued."""


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A sheet with one sample of each metric."""
    path = tmp_path / "measures.json"
    measures_file.save(path, (Sample(metric.name, tuple("x" for _ in metric.labels), 1.0) for metric in METRICS))
    return path


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return authority(tmp_path_factory.mktemp("pki") / "papers")


@pytest.fixture
def tls(papers: Path, tmp_path: Path) -> Path:
    """The folder tls/ of the node commune-b."""
    folder = tmp_path / "tls"
    folder.mkdir()
    for name, source in {
        "certificate.pem": "commune-b.pem",
        "key.pem": "commune-b.key",
        "root.pem": "root.pem",
    }.items():
        (folder / name).write_bytes((papers / source).read_bytes())
    return folder


@contextmanager
def serving(path: Path, certificates: Certificates | None = None) -> Iterator[str]:
    with Exporter(path, "127.0.0.1", 0, certificates) as exporter:
        thread = threading.Thread(target=exporter.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"{'https' if certificates else 'http'}://127.0.0.1:{exporter.server_port}"
        finally:
            exporter.shutdown()
            thread.join()


def get(address: str, tls: ssl.SSLContext | None = None) -> str:
    with urllib.request.urlopen(address, timeout=10, context=tls) as answer:
        text: bytes = answer.read()
    return text.decode()


def test_promtool_finds_nothing_wrong_with_all_that_a_node_can_tell(written: Path) -> None:
    with serving(written) as address:
        text = get(f"{address}/metrics")
    assert {metric.full_name for metric in METRICS} <= set(text.replace("{", " ").split())
    done = subprocess.run(("promtool", "check", "metrics"), input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_what_is_written_anew_is_told_at_the_next_scrape_and_what_is_not_known_is_not_there(written: Path) -> None:
    with serving(written) as address:
        measures_file.save(written, (Sample("backup_copies", ("docs-a",), 2.0),))
        told = [line for line in get(f"{address}/metrics").splitlines() if not line.startswith("#")]
        assert told == ["appliance_restart_announced 0.0", 'appliance_backup_copies{backup="docs-a"} 2.0']
        written.unlink()
        told = [line for line in get(f"{address}/metrics").splitlines() if not line.startswith("#")]
        assert told == ["appliance_restart_announced 0.0"]


def test_there_is_nothing_else_to_read(written: Path) -> None:
    with serving(written) as address, pytest.raises(urllib.error.HTTPError, match="404"):
        get(f"{address}/../node.json")


def client(papers: Path, shows: Path | None, node: str) -> ssl.SSLContext:
    """The test asks an address; certificates hold names, so the name is not compared here."""
    made = context(papers, shows, node)
    made.check_hostname = False
    return made


def test_a_monitoring_node_is_let_in_and_any_other_node_is_not(written: Path, papers: Path, tls: Path) -> None:
    with serving(written, Certificates(tls, [key_of(papers, "hermitage")])) as address:
        assert "appliance_backup_copies" in get(f"{address}/metrics", client(papers, papers, "hermitage"))
        with pytest.raises(urllib.error.HTTPError, match="403"):
            get(f"{address}/metrics", client(papers, papers, "commune-a"))


def test_the_certificate_of_a_stolen_monitoring_node_opens_nothing_once_the_bundle_has_another_key_for_it(
    written: Path, papers: Path, tls: Path
) -> None:
    with (
        serving(written, Certificates(tls, [pki.public_of(pki.make_request(pki.new_key(), "hermitage"))])) as address,
        pytest.raises(urllib.error.HTTPError, match="403"),
    ):
        get(f"{address}/metrics", client(papers, papers, "hermitage"))


@pytest.mark.parametrize("who", ["nobody", "an outsider"])
def test_who_has_no_certificate_of_the_territory_gets_no_answer(
    written: Path, papers: Path, tls: Path, who: str, tmp_path: Path
) -> None:
    shows = None if who == "nobody" else authority(tmp_path / "theirs")
    with (
        serving(written, Certificates(tls, [key_of(papers, "hermitage")])) as address,
        pytest.raises(OSError, match=r"alert|reset|EOF|closed|Broken pipe"),
    ):
        get(f"{address}/metrics", client(papers, shows, "hermitage"))


def test_a_renewed_certificate_is_shown_without_a_new_start(
    written: Path, papers: Path, tls: Path, tmp_path: Path
) -> None:
    theirs = authority(tmp_path / "theirs")
    keys = [key_of(folder, "hermitage") for folder in (papers, theirs)]
    with serving(written, Certificates(tls, keys)) as address:
        get(f"{address}/metrics", client(papers, papers, "hermitage"))
        for name, source in {
            "root.pem": "root.pem",
            "key.pem": "commune-b.key",
            "certificate.pem": "commune-b.pem",
        }.items():
            (tls / name).write_bytes((theirs / source).read_bytes())
        get(f"{address}/metrics", client(theirs, theirs, "hermitage"))


def test_without_tls_nothing_but_loopback_is_served(written: Path) -> None:
    with pytest.raises(UsageError, match="without TLS only loopback"):
        make([str(written), "0.0.0.0", "9470"])
    argv = (sys.executable, "-m", "appliance.monitor.exporter", str(written), "192.0.2.1", "9470")
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=20)
    assert (done.returncode, done.stderr.strip()) == (
        1,
        "without TLS only loopback is served, not 192.0.2.1. Add TLS and KEY.",
    )


def test_one_address_has_so_many_connections(written: Path) -> None:
    with serving(written) as url, contextlib.ExitStack() as stack:
        address = url.removeprefix("http://").split(":")
        place = (address[0], int(address[1]))
        for _ in range(PER_ADDRESS_MAX):
            stack.enter_context(socket.create_connection(place, timeout=10)).sendall(b"G")
        one_more = stack.enter_context(socket.create_connection(place, timeout=10))
        assert one_more.recv(1) == b"", "it is cut while the others wait"
        stack.close()
        deadline = time.monotonic() + 10
        while not _answers(f"{url}/metrics"):
            assert time.monotonic() < deadline, "who left makes room"
            time.sleep(0.05)


def test_a_request_line_without_an_end_is_refused(written: Path) -> None:
    with serving(written) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=10) as line:
            line.sendall(b"GET /" + b"x" * LINE_BYTES_MAX + b"\r\n\r\n")
            assert line.recv(64).split(b" ")[1] == b"414"
        assert _answers(f"{url}/metrics")


def test_who_breaks_off_again_and_again_is_one_line(
    written: Path, tls: Path, papers: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with serving(written, Certificates(tls, [key_of(papers, "commune-b")])) as url:
        host, _, port = url.removeprefix("https://").partition(":")
        for _ in range(20):
            with socket.create_connection((host, int(port)), timeout=10) as line:
                line.sendall(b"no TLS\r\n\r\n")
                with contextlib.suppress(ConnectionError):
                    while line.recv(1024):
                        pass
    assert capfd.readouterr().err.count("\n") == 1


def test_a_request_that_drips_is_cut(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte a while is no silence: the connection as a whole has its time."""
    monkeypatch.setattr("appliance.monitor.bounded.CONNECTION_SECONDS_MAX", 0.5)
    with serving(written) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=0.1) as drip:
            begun, ended = time.monotonic(), False
            while not ended:
                assert time.monotonic() - begun < 10
                with contextlib.suppress(TimeoutError):
                    ended = not _said(drip)
        assert _answers(f"{url}/metrics")


def _said(drip: socket.socket) -> bool:
    try:
        drip.sendall(b"G")
        return drip.recv(1) != b""
    except ConnectionError:
        return False


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_a_restart_is_told_from_its_announcement_on_whatever_the_sheet_says_of_it(written: Path) -> None:
    with serving(written) as address:
        assert "\nappliance_restart_announced 0.0\n" in get(f"{address}/metrics")
        (written.parent / RESTARTING).touch()
        assert "\nappliance_restart_announced 1.0\n" in get(f"{address}/metrics")


@pytest.mark.parametrize(
    ("jobs", "announced"),
    [
        ("  2312 reboot.target start waiting\n  2313 smbd.service stop running", True),
        ("  2312 soft-reboot.target start waiting", True),
        ("  2312 kexec.target start waiting", True),
        ("  2312 poweroff.target start waiting\n  2313 smbd.service stop running", False),
        ("  2312 appliance-announce.service restart running", False),
        ("", False),
    ],
)
def test_a_restart_is_announced_and_nothing_else_that_stops_the_announcement(
    tmp_path: Path, jobs: str, announced: bool
) -> None:
    """`jobs` is what systemctl of systemd 257 lists; a machine of tests has no systemd to ask."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/systemctl").write_text(f"#!/bin/sh\ncat <<'end'\n{jobs}\nend\n")
    (tmp_path / "bin/systemctl").chmod(0o755)
    path = {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}
    subprocess.run((str(ANNOUNCE), str(tmp_path / RESTARTING), "0"), env=path, check=True, timeout=20)
    assert (tmp_path / RESTARTING).exists() == announced
