"""The unit that reads files of unknown authors is bounded as its decision says."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.restore.preview.client import SECONDS_MAX

ROOT = Path(__file__).parents[3]
DECISION = " ".join((ROOT / "docs/decisions/0040-previews-by-a-worker-without-rights.md").read_text().split())


def settings(unit: str) -> list[str]:
    lines = (ROOT / "systemd" / unit).read_text().splitlines()
    return [line for line in lines if "=" in line and not line.startswith("#")]


@pytest.mark.parametrize(
    ("said", "set_to"),
    [
        ("a user made for one connection", ("DynamicUser=yes", "StandardInput=socket", "NoNewPrivileges=yes")),
        ("no network", ("PrivateNetwork=yes", "RestrictAddressFamilies=none", "IPAddressDeny=any")),
        (
            "no files but the system's own programs",
            ("ProtectSystem=strict", "ProtectHome=yes", "TemporaryFileSystem=/srv:ro /var:ro /etc/appliance:ro"),
        ),
        ("512 MiB", ("MemoryMax=512M", "MemorySwapMax=0", "TasksMax=16", "LimitFSIZE=64M")),
        ("15 s of processor", ("LimitCPU=15",)),
        ("30 s in all", ("RuntimeMaxSec=30",)),
        ("without rights", ("CapabilityBoundingSet=", "PrivateUsers=yes", "SystemCallFilter=~@privileged @resources")),
    ],
)
def test_what_the_decision_says_is_set_once_in_the_unit(said: str, set_to: tuple[str, ...]) -> None:
    assert said in DECISION
    found = settings("appliance-preview@.service")
    for line in set_to:
        name = line.partition("=")[0]
        same = [it for it in found if it.startswith(f"{name}=")]
        assert line in same
        assert len(same) == 1 or name == "SystemCallFilter", "a later line would change it"


def test_a_page_stops_waiting_before_the_unit_is_killed_and_few_run_at_once() -> None:
    assert SECONDS_MAX < 30
    assert {"Accept=yes", "MaxConnections=2", "SocketMode=0600"} <= set(settings("appliance-preview.socket"))
