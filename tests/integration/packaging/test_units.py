"""How locked up our units are: 2.0 or better, or its comment names each larger point that it loses, and why."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from appliance.host.command import run

SERVICES = sorted((Path(__file__).parents[3] / "systemd").glob("*.service"))
EXPOSURE_MAX = 2.0
POINT_MIN = 0.2  # what loses less is left to the reader of the unit
# What systemd-analyze counts one by one and a comment names as one thing.
NETWORK = ("PrivateNetwork=", "IPAddressDeny=", "RestrictAddressFamilies=~AF_(INET|INET6)")

pytestmark = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")

each_service = pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.stem)


def test_there_are_services() -> None:
    assert SERVICES


@each_service
def test_each_service_is_locked_up_or_says_why_not(unit: Path) -> None:
    score, points = analyzed(unit)
    if score > EXPOSURE_MAX:
        told = comment(unit)
        assert f"scores {score}" in told, f"say in the comment that it scores {score}, with each point of {points}"
        assert [point for point in points if not named(point, told)] == []


@each_service
def test_no_command_of_a_service_makes_what_is_bound_into_its_view(unit: Path) -> None:
    """The view is made for each command, those that begin with "+" too, and fails where a source is missing: no drill
    of a database ever began on a host (226/NAMESPACE)."""
    lines = [line.partition("=")[::2] for line in unit.read_text().splitlines()]
    bound = {it.split(":")[0] for name, value in lines if name.startswith("Bind") for it in value.split()}
    made = {it for name, value in lines if name == "ExecStartPre" and "install" in value for it in value.split()}
    assert not bound & made


@each_service
def test_units_that_must_not_run_together_both_say_so(unit: Path) -> None:
    """One that only the other unit names is stopped without notice, or runs beside it where jobs may not destroy others
    (tried with systemd 257)."""
    for line in unit.read_text().splitlines():
        name, _, values = line.partition("=")
        for other in values.split() if name == "Conflicts" else ():
            named = (unit.parent / other.replace("@%i", "@")).read_text()
            assert f"Conflicts={unit.name.replace('@', '@%i')}" in named


@pytest.mark.parametrize(
    ("point", "told"),
    [
        ("PrivateNetwork=", "#   the network   its peers' addresses change"),
        ("CapabilityBoundingSet=~CAP_NET_ADMIN", "#   CAP_NET_ADMIN   it makes an interface"),
        ("CapabilityBoundingSet=~CAP_(CHOWN|FSETID|SETFCAP)", "#   CAP_CHOWN   it gives files their owners"),
        ("User=/DynamicUser=", "#   User=   root owns the folder"),
    ],
)
def test_a_point_is_named_by_its_setting_or_by_what_it_is_about(point: str, told: str) -> None:
    assert named(point, told)
    assert not named(point, "# It must be so.")


def analyzed(unit: Path) -> tuple[float, list[str]]:
    """Its exposure, and the settings that cost at least POINT_MIN."""
    argv = ("systemd-analyze", "security", "--offline=true", "--no-pager")
    said = run((*argv, str(unit)), timeout_seconds=60, check=True).stdout.decode()
    [score] = re.findall(r"Overall exposure level for \S+: ([\d.]+)", said)
    rows = json.loads(run((*argv, "--json=short", str(unit)), timeout_seconds=60, check=True).stdout)
    return float(score), [row["name"] for row in rows if float(row.get("exposure") or 0) >= POINT_MIN]


def comment(unit: Path) -> str:
    """Return the text above its first section."""
    return unit.read_text().partition("\n[")[0]


def named(point: str, told: str) -> bool:
    if point in NETWORK:
        return "the network" in told
    setting, _, rest = point.partition("=")
    capabilities = re.findall(r"[A-Z][A-Z_]+", rest) if setting == "CapabilityBoundingSet" else []
    words = [f"CAP_{word.removeprefix('CAP_').rstrip('_')}" for word in capabilities if word != "CAP_"]
    return any(word in told for word in (*words, *(() if words else (f"{setting}=",))))
