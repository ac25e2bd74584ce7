"""`appliance internal node sshd`: what it writes, a real sshd accepts, at the address and port of the bundle."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from appliance.cli import main
from appliance_lab.processes.node import SSHD
from tests.worlds.demo import signed_territory


@pytest.mark.skipif(not SSHD.exists(), reason="sshd is not installed")
def test_the_settings_that_it_writes_are_good_for_sshd(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    node = signed_territory(tmp_path / "made").nodes["commune-b"]
    words = ["--json", "--state", str(node.state), "internal", "node", "sshd"]
    assert main.run([*words, "--dry-run"]) == 0
    assert not (node.layout.run / "sshd_config").exists()
    capsys.readouterr()
    assert main.run(words) == 0
    shown = json.loads(capsys.readouterr().out)
    if os.geteuid() == 0:
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)  # sshd started by root separates privileges there
    told = subprocess.run([SSHD, "-T", "-f", shown["config"]], capture_output=True, text=True, timeout=30, check=True)
    assert f"listenaddress {node.address}:{node.port}" in told.stdout
    assert shown["start"].startswith(f"{SSHD} -f {shown['config']}")
