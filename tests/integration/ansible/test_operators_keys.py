"""A key that came by hand and is in territory.yml now leaves the file of root, where it would outlive its person."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.host.command import Result, run
from tests.integration.ansible.control import ROOT

SCRIPT = (ROOT / "roles/hardening/files/take_over.sh").read_text()
ANNE, PAUL = (f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{name}+/x" for name in ("anne", "paul"))
LIMITED = f'from="192.0.2.1" {ANNE} anne at home\n'


def take_over(folder: Path, *keys: str, reload: str = "true") -> Result:
    """The script with a `systemctl` that says `asked`, then is `reload`."""
    program = folder / "systemctl"
    program.write_text(f"#!/bin/sh\necho asked >>{folder}/asked\n{reload}\n")
    program.chmod(0o755)
    argv = ("sh", "-c", SCRIPT, "take_over.sh", str(folder / "authorized_keys"), *keys)
    return run(argv, timeout_seconds=60, env={"PATH": f"{folder}:/usr/bin:/bin"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "authorized_keys").write_text(f"# by hand\n{ANNE} anne@pc\n{PAUL} paul@pc\n{LIMITED}")
    return tmp_path


def test_only_the_named_keys_go_and_one_with_options_stays(folder: Path) -> None:
    assert take_over(folder, ANNE).stdout == b"removed\n"
    assert (folder / "authorized_keys").read_text() == f"# by hand\n{PAUL} paul@pc\n{LIMITED}"
    assert take_over(folder, ANNE).stdout == b"", "a second run changes nothing"
    assert (folder / "asked").read_text() == "asked\n"


def test_nothing_goes_while_sshd_has_not_read_our_file(folder: Path) -> None:
    before = (folder / "authorized_keys").read_text()
    assert take_over(folder, ANNE, reload="exit 1").exit_code == 1
    assert (folder / "authorized_keys").read_text() == before


def test_root_without_a_file_of_its_own_is_no_failure(tmp_path: Path) -> None:
    assert take_over(tmp_path, ANNE).exit_code == 0
