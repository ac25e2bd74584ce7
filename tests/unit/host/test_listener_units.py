"""Each unit that unknown callers talk to has a bound of memory and of tasks, whatever its program does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from appliance.backup.vault.session import REQUEST_BYTES_MAX
from appliance.programs import privileged
from appliance.units import MIB

UNITS = Path(__file__).parents[3] / "systemd"


def settings(unit: str) -> dict[str, str]:
    lines = (UNITS / unit).read_text().splitlines()
    return {key: value for key, mark, value in (it.partition("=") for it in lines) if mark and not key.startswith("#")}


@pytest.mark.parametrize(
    ("unit", "memory_mib", "tasks"),
    [
        ("appliance-vault@.service", 512, 32),
        ("appliance-broker.service", 512, 128),
        ("appliance-exporter.service", 128, 64),
        ("appliance-portal.service", 256, 128),
        ("appliance-preview@.service", 512, 16),
        ("appliance-hands.service", 1024, 256),
        ("appliance-outbox.service", 192, 64),
    ],
)
def test_a_listener_has_a_bound_of_memory_and_of_tasks(unit: str, memory_mib: int, tasks: int) -> None:
    found = settings(unit)
    assert (found["MemoryMax"], found["TasksMax"]) == (f"{memory_mib}M", str(tasks))


def test_the_socket_of_the_pages_outlives_whatever_they_do() -> None:
    """systemd shuts a socket for good when its service starts too often, or it is triggered too often."""
    pages, listens = settings("appliance-portal.service"), settings("appliance-portal.socket")
    assert (pages["StartLimitIntervalSec"], listens["TriggerLimitIntervalSec"]) == ("0", "0")
    assert (pages["Restart"], pages["Requires"]) == ("on-failure", "appliance-portal.socket")
    assert "appliance-portal.socket" in pages["After"].split(), "else the stop of one would race the start of the other"
    assert "WantedBy" not in pages, "nobody asked for it at boot"


def test_the_pages_may_open_no_port_of_their_own_below_1024() -> None:
    assert settings("appliance-portal.socket")["ListenStream"] == "0.0.0.0:443"
    pages = settings("appliance-portal.service")
    assert (pages["AmbientCapabilities"], pages["CapabilityBoundingSet"]) == ("CAP_DAC_READ_SEARCH",) * 2


def test_a_call_of_the_privileged_helper_may_have_a_command_with_children() -> None:
    assert 3 * privileged.CALLS_MAX < 256


@pytest.mark.parametrize(("unit", "lines"), [("appliance-hands.service", 120), ("appliance-preview@.service", 20)])
def test_the_journal_takes_so_many_lines_a_minute_of_what_whoever_calls_can_make_fail(unit: str, lines: int) -> None:
    found = settings(unit)
    assert (found["LogRateLimitIntervalSec"], found["LogRateLimitBurst"]) == ("1min", str(lines))


def test_a_session_of_the_vault_may_hold_the_largest_request_as_text_of_four_bytes_a_sign_and_as_entries() -> None:
    assert 2 * 4 * REQUEST_BYTES_MAX < 512 * MIB


def test_each_socket_at_a_port_outlives_a_restart_beside_others() -> None:
    """A program that systemd begins meanwhile holds the port for an instant, and the socket then failed for good."""
    files = {it for folder in ("systemd", "roles") for it in (UNITS.parent / folder).rglob("*.socket*")}
    at_a_port = [it for it in files if re.search(r"^ListenStream=(?!/)\S", it.read_text(), re.MULTILINE)]
    assert {it.name for it in at_a_port} == {"appliance-portal.socket", "tangd.socket.j2"}
    assert all("\nReusePort=yes\n" in it.read_text() for it in at_a_port)
