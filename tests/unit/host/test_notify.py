"""The messages to systemd, and none when it did not ask."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from appliance.host.notify import READY, notify, watchdog_seconds


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_hears_one_datagram(abstract: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"@appliance-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind("\0" + name[1:] if abstract else name)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        notify(READY, "STATUS=awake")
        systemd.settimeout(10)
        assert systemd.recv(1000) == b"READY=1\nSTATUS=awake"


def test_nobody_listening_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify(READY)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    notify(READY)


@pytest.mark.parametrize(
    ("micros", "pid", "seconds"), [("", "", None), ("30000000", "", 30.0), ("30000000", "1", None), ("x", "", None)]
)
def test_the_watchdog_is_fed_when_it_is_ours(
    micros: str, pid: str, seconds: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", micros)
    monkeypatch.setenv("WATCHDOG_PID", pid)
    assert watchdog_seconds() == seconds
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    assert watchdog_seconds() == (30.0 if micros == "30000000" else None)
