"""The control machine keeps the public keys that nodes show, and the grants that they keep."""

from __future__ import annotations

import json
import os
import re

import pytest

from tests.integration.ansible.control import Control

SETTLE = """
- hosts: commune-b
  gather_facts: false
  tasks:
    - ansible.builtin.import_role: {name: agent, tasks_from: run}
"""


def test_keys_that_are_collected_with_other_grants_are_no_change_of_a_machine(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    control.is_local("commune-b")
    for name, text in (("territory.pub", "ssh-ed25519 AAAA"), ("bundle", "{}"), ("settle.yaml", SETTLE)):
        (control.folder / name).write_text(f"{text}\n")
    (control.folder / "keys").mkdir()
    collected, changed = control.folder / "keys/commune-b.json", []
    for shown in ({"ssh": "one"}, ["first"]), ({"ssh": "one"}, ["first", "second"]), ({"ssh": "two"}, ["second"]):
        told = {"node": "commune-b", "keys": shown[0], "grants": shown[1]}
        answer = json.dumps({**told, "changed": [], "bundle": {"member": True}})
        there = control.program("appliance", f"cat >/dev/null; cat <<'END'\n{answer}\nEND")
        monkeypatch.setenv("PATH", f"{there}:{os.environ['PATH']}")
        said = control.play(str(control.folder / "settle.yaml"))
        assert said.exit_code == 0, said.stdout.decode()
        kept = json.loads(collected.read_text())
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}Z", kept.pop("collected"))
        assert kept == told
        changed += re.findall(r"changed=(\d+)", said.stdout.decode())
    assert changed == ["1", "0", "1"], "keys are to be signed; a service that moved has a grant more"
