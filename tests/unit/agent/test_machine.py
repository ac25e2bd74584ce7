"""A look at the certificate of the pages' public name: nothing where they have none."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from appliance.agent import machine
from appliance.agent.machine import PUBLIC_CERTIFICATE, _public_certificate
from appliance.host.command import run
from appliance.host.layout import NodeLayout
from appliance.units import DAY


def certify(layout: NodeLayout, days: int) -> None:
    file = layout.acme / PUBLIC_CERTIFICATE
    file.parent.mkdir(parents=True)
    words = ("openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-days", str(days), "-subj", "/CN=x")
    run((*words, "-keyout", str(file.with_name("key.pem")), "-out", str(file)), timeout_seconds=30, check=True)


@pytest.mark.parametrize(
    ("days", "later", "state", "says"),
    [(90, 0, "", ""), (90, 77 * DAY, "warning", "ends in"), (90, 91 * DAY, "failed", "has ended")],
)
def test_one_that_is_not_renewed_is_told_two_weeks_before_its_end(
    tmp_path: Path, days: int, later: float, state: str, says: str
) -> None:
    layout = NodeLayout(tmp_path)
    certify(layout, days)
    told = list(_public_certificate(layout, time.time() + later))
    assert [it.state for it in told] == ([state] if state else [])
    assert all(says in it.sentence and it.check == "public-certificate" for it in told)


def test_one_that_never_came_is_told_and_without_a_public_name_there_is_nothing_to_tell(tmp_path: Path) -> None:
    layout = NodeLayout(tmp_path)
    assert list(_public_certificate(layout, 0.0)) == []
    layout.acme.mkdir()
    (told,) = _public_certificate(layout, 0.0)
    assert (told.state, "have no certificate" in told.sentence) == ("warning", True)


@pytest.mark.parametrize(("source", "services", "warns"), [("kvm-clock", 1, 1), ("tsc", 1, 0), ("kvm-clock", 0, 0)])
def test_a_clock_that_stands_still_in_a_paused_guest_is_told_where_services_move(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, services: int, warns: int
) -> None:
    (tmp_path / "source").write_text(f"{source}\n")
    monkeypatch.setattr(machine, "CLOCK_SOURCE", tmp_path / "source")
    told = list(machine._clock(["docs-a"] * services))
    assert [(it.state, it.check) for it in told] == [("warning", "clock")] * warns
    assert all("invtsc=on" in it.remedy for it in told)
    monkeypatch.setattr(machine, "CLOCK_SOURCE", tmp_path / "none")
    assert list(machine._clock(["docs-a"])) == []


LISTENS = (
    "   0: 00000000:01BB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 7 1 0 100 0 0 10 0\n"
)
CONNECTED = (
    "   1: 00000000:01BB 0100007F:C001 01 00000000:00000000 00:00000000 00000000     0        0 8 1 0 100 0 0 10 0\n"
)
OTHER_PORT = (
    "   2: 00000000:01BD 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 9 1 0 100 0 0 10 0\n"
)


@pytest.mark.parametrize(
    ("wanted", "sockets", "closed"),
    [
        (True, LISTENS, False),
        (True, OTHER_PORT + LISTENS, False),
        (True, CONNECTED + OTHER_PORT, True),
        (True, "", True),
        (False, "", False),
        (True, None, False),
    ],
    ids=["open", "open-among-others", "connected-only", "nothing", "no-pages-wanted", "unknown"],
)
def test_pages_that_are_to_be_there_and_cannot_be_asked_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: bool, sockets: str | None, closed: bool
) -> None:
    link, table = tmp_path / "appliance-portal.socket", tmp_path / "tcp"
    monkeypatch.setattr(machine, "PAGES", link)
    monkeypatch.setattr(machine, "TCP_SOCKETS", table)
    monkeypatch.setattr(machine, "crash_loops", lambda units: ())
    if wanted:
        link.symlink_to("/usr/lib/systemd/system/appliance-portal.socket")
    if sockets is not None:
        table.write_text(f"  sl  local_address rem_address   st\n{sockets}")
    told = list(machine._pages())
    assert [(it.state, it.check) for it in told] == [("failed", "pages")] * closed
    assert all("systemctl restart appliance-portal.socket" in it.remedy for it in told)


@pytest.mark.parametrize("wanted", [True, False])
def test_pages_that_end_each_time_they_are_started_are_told_although_their_socket_listens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: bool
) -> None:
    link, table = tmp_path / "appliance-portal.socket", tmp_path / "tcp"
    table.write_text(f"  sl  local_address rem_address   st\n{LISTENS}")
    monkeypatch.setattr(machine, "PAGES", link)
    monkeypatch.setattr(machine, "TCP_SOCKETS", table)
    monkeypatch.setattr(machine, "crash_loops", lambda units: units[1:])
    if wanted:
        link.symlink_to("/usr/lib/systemd/system/appliance-portal.socket")
    told = list(machine._pages())
    assert [(it.state, it.check) for it in told] == [("failed", "pages")] * wanted
    assert all("journalctl --unit appliance-portal-work.service" in it.remedy for it in told)
