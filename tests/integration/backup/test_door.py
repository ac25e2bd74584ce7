"""The forced command runs our code and nobody else's, whatever lies in its folder and whatever its environment says."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.backup.vault.wire import COMMAND
from appliance.errors import Forbidden, NotFound
from appliance.membership.sshd import vault_command, write_sshd_config
from tests.worlds.vaults import HOLDER, ORIGIN, VaultWorld

OWNED = "import sys; sys.exit(99)\n"


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A folder with files in the place of ours, of the standard library's and of Debian's."""
    for name in ("appliance", "json", "pydantic", "select", "sitecustomize", "usercustomize"):
        (tmp_path / f"{name}.py").write_text(OWNED)
    return tmp_path


@pytest.mark.parametrize("variable", ["PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONUSERBASE", "HOME", "NOTHING"])
@pytest.mark.parametrize(("asked", "code"), [(COMMAND, NotFound.exit_code), ("sh", Forbidden.exit_code)])
def test_nothing_foreign_is_imported(trap: Path, variable: str, asked: str, code: int) -> None:
    environment = {"PATH": "/usr/bin:/bin", "SSH_ORIGINAL_COMMAND": asked, variable: str(trap)}
    # As sshd does it: through the account's shell, in the account's home.
    line = shlex.join(vault_command(trap / "no such node", ORIGIN))
    done = subprocess.run(("/bin/sh", "-c", line), cwd=trap, env=environment, capture_output=True, timeout=60)
    assert done.returncode == code, done.stderr.decode()


def test_the_door_gives_each_other_node_its_own_name_and_this_command(tmp_path: Path) -> None:
    vaults = VaultWorld(tmp_path / "a desk's").create()
    lines = write_sshd_config(vaults.open(HOLDER)).read_text().splitlines()
    assert not any(line.endswith(f" {HOLDER}") for line in lines)
    assert all(line.startswith(f"restrict,command=\"'{sys.executable}' '-I' '-c'") for line in lines)
    assert [line.rsplit(" ", 1)[1] for line in lines] == sorted(name for name in vaults.clocks if name != HOLDER)
