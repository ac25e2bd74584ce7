"""The files at the control folder of a lab that wait for the holder of the territory's key."""

from __future__ import annotations

import os
from pathlib import Path

from appliance_lab.hosts.control_machine import ControlMachine


def desk(root: Path) -> ControlMachine:
    for name in ("inventory/keys", "inventory/requests", "inventory/grants", "safe"):
        (root / name).mkdir(parents=True)
    for name in ("territory.yml", "recovery.pub"):
        (root / "inventory" / name).write_text("one\n")
    return ControlMachine(root)


def written(file: Path, seconds: int) -> Path:
    file.write_text("signed\n")
    os.utime(file, (seconds, seconds))
    return file


def test_a_request_waits_until_there_is_a_younger_grant(tmp_path: Path) -> None:
    found = desk(tmp_path)
    request = written(found.inventory / "requests/docs-a.request", 100)
    assert found.unanswered == (request,)
    written(found.inventory / "grants/docs-a.grant", 200)
    assert found.unanswered == ()
    written(request, 300)
    assert found.unanswered == (request,)


def test_keys_and_territory_and_recovery_key_are_what_is_signed(tmp_path: Path) -> None:
    found = desk(tmp_path)
    seen = {found.to_sign()}
    for name in ("territory.yml", "recovery.pub", "keys/commune-a.json"):
        (found.inventory / name).write_text("another\n")
        seen.add(found.to_sign())
    assert len(seen) == 4
    (found.inventory / "known_hosts").write_text("a host\n")
    assert found.to_sign() in seen
