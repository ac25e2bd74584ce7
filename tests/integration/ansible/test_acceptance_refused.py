"""An acceptance run against hosts that are off or refuse: one sentence for each, code 2, and nothing is changed."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from appliance.trust.keys import create_key
from appliance_lab.processes.node import free_ports
from tests.worlds.sshds import ADDRESS, host_key, lets_in, sshd, wait_for

ROOT = Path(__file__).parents[3]
PLACE = re.compile(r"address: 10\.77\.[0-9]\.10(,?\s*)port: 22")
NODES = ("hermitage", "commune-a", "commune-b", "commune-c")

pytestmark = pytest.mark.root


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Path]:
    """A folder in which hermitage knows another key, commune-a is off, the host key of commune-b was never compared,
    and commune-c lets in an account that is not root."""
    folder = tmp_path / "control"
    folder.mkdir()
    for name in ("operator", "other"):
        create_key(folder / name)
    ports = iter(free_ports(ADDRESS, len(NODES)))
    places = dict(zip(NODES, ports, strict=True))
    there = iter(places.values())
    text = (ROOT / "inventory/lab/territory.yml").read_text("utf-8")
    text = PLACE.sub(lambda found: f"address: {ADDRESS}{found[1]}port: {next(there)}", text)
    (folder / "territory.yml").write_text(text, "utf-8")
    (folder / "group_vars").mkdir()
    (folder / "group_vars/all.yml").write_text(f"ansible_ssh_private_key_file: {folder / 'operator'}\n")
    running = {name: tmp_path / name for name in NODES if name != "commune-a"}
    with ExitStack() as stack:
        for name, own in running.items():
            stack.enter_context(sshd(own, places[name]))
        wait_for(*(places[name] for name in running))
        lets_in(running["hermitage"], folder / "other.pub", "true")
        lets_in(running["commune-b"], folder / "operator.pub", "true")
        lets_in(running["commune-c"], folder / "operator.pub", "echo", "1000")
        known = [f"{name} {host_key(own)}\n" for name, own in running.items() if name != "commune-b"]
        (folder / "known_hosts").write_text("".join(known))
        yield folder


def test_each_host_that_cannot_be_looked_at_is_named_once_with_the_reason(control: Path) -> None:
    before = {it: it.read_bytes() for it in control.rglob("*") if it.is_file()}
    env = {**os.environ, "SSH_AUTH_SOCK": "", "ANSIBLE_HOME": str(control.parent / "ansible")}
    argv = (ROOT / "scripts/acceptance", control)
    found = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert found.returncode == 2, found.stdout + found.stderr
    told = dict(re.findall(r"^(\S+) was not looked at: (.*)$", found.stdout, re.MULTILINE))
    assert set(told) == set(NODES)
    assert "Permission denied (publickey)). Give the key of an operator" in told["hermitage"]
    assert "Connection refused). Check that it is switched on" in told["commune-a"]
    assert "Host key verification failed). Compare its fingerprint on its screen" in told["commune-b"]
    assert told["commune-c"].startswith("its account number 1000 lets us in, and only root may look.")
    assert "Traceback" not in found.stdout + found.stderr
    assert {it: it.read_bytes() for it in control.rglob("*") if it.is_file()} == before
