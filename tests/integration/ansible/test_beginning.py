"""A node is asked to begin services only while one waits there, or where it cannot tell."""

from __future__ import annotations

import json
import os

import pytest

from tests.integration.ansible.control import Control

BEGINS = """
- hosts: commune-b
  gather_facts: false
  tasks:
    - ansible.builtin.import_role: {name: agent, tasks_from: run}
    - ansible.builtin.import_role: {name: backup, tasks_from: run}
"""
ALONE = BEGINS.replace("    - ansible.builtin.import_role: {name: agent, tasks_from: run}\n", "")


@pytest.mark.parametrize(
    ("told", "asked"),
    [
        pytest.param({"begins": []}, False, id="nothing_waits"),
        pytest.param({"begins": ["docs-b"]}, True, id="one_waits"),
        pytest.param({"begins": None}, True, id="it_cannot_tell"),
        pytest.param({}, True, id="a_version_that_does_not_tell"),
        pytest.param(None, True, id="the_role_alone"),
    ],
)
def test_only_a_node_where_a_service_waits_is_asked_to_begin(
    told: dict[str, object] | None, asked: bool, control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    control.is_local("commune-b")
    for name, text in (("territory.pub", "ssh-ed25519 AAAA"), ("bundle", "{}"), ("begins.yaml", BEGINS)):
        (control.folder / name).write_text(f"{text}\n")
    (control.folder / "begins.yaml").write_text(ALONE if told is None else BEGINS)
    (control.folder / "keys").mkdir()
    answer = {"node": "commune-b", "keys": {"ssh": "one"}, "changed": [], "bundle": {"member": True}}
    made = json.dumps({**answer, **(told or {})})
    control.program("systemctl", "true")
    there = control.program(
        "appliance",
        f'case "$*" in *begin*) echo "$@" >{control.folder}/asked; exit 3;; esac; cat >/dev/null; echo \'{made}\'',
    )
    monkeypatch.setenv("PATH", f"{there}:{os.environ['PATH']}")
    said = control.play(str(control.folder / "begins.yaml"))
    assert said.exit_code == 0, said.stdout.decode()
    assert (control.folder / "asked").exists() is asked
