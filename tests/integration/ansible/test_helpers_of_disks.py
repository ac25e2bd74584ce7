"""Nodes that help another one open its disk are asked when it is bound to them; one that is off stops nobody."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from appliance_lab.processes.node import free_ports
from tests.integration.ansible.control import Control

PLAY = """
- hosts: commune-b
  gather_facts: false
  tasks:
    - ansible.builtin.import_role: {{name: storage, tasks_from: {part}}}
"""
FOUND = {
    "storage_unlock": "tang",
    "storage_is_container": True,  # nothing of this machine's own is started
    "storage_asked": {"disk": "/dev/sda", "encryption": "none"},
    "base_seen": {"stdout_lines": []},
    "base_there": [],
}
CAME_TO_THE_DISK = "storage_disk is /dev/sda; such names change from boot to boot"


def play(control: Control, part: str, *words: str, **found: Any) -> str:
    """Play a part of the role at commune-b, which three others help; what was said."""
    playbook = control.folder / "helped.yaml"
    playbook.write_text(PLAY.format(part=part))
    servers = {"storage_tang_servers": ["hermitage", "commune-a", "commune-c"]}
    result = control.play(str(playbook), *words, "-e", json.dumps({**FOUND, **servers, **found}))
    return " ".join(result.stdout.decode().split())


@pytest.mark.parametrize(
    ("do", "off", "words", "told", "asked"),
    [
        pytest.param("make", 1, (), CAME_TO_THE_DISK, 2, id="two_of_three_are_enough"),
        pytest.param(
            *("make", 2, ()),
            "of commune-a, commune-c, hermitage these told their key: commune-c. Its disk is as it was.",
            *(1,),
            id="one_is_not",
        ),
        pytest.param("keep", 2, (), CAME_TO_THE_DISK, 0, id="nobody_is_asked_for_a_disk_that_is_bound"),
        pytest.param("make", 2, ("--check",), CAME_TO_THE_DISK, 0, id="nobody_is_asked_in_check_mode"),
    ],
)
def test_a_helper_that_is_off_stops_nobody_while_enough_answer(
    control: Control,
    monkeypatch: pytest.MonkeyPatch,
    do: str,
    off: int,
    words: tuple[str, ...],
    told: str,
    asked: int,
) -> None:
    ports = free_ports("127.0.0.1", off)
    for address, port in zip(("10.77.0.10", "10.77.1.10"), ports, strict=False):
        control.change((f"{address}, port: 22", f"127.0.0.1, port: {port}"))
    for node in ("hermitage", "commune-a", "commune-c")[off:]:
        control.is_local(node)
    control.is_local("commune-b")
    (control.folder / "host_vars/commune-b.yml").write_text("ansible_connection: local\n")
    there = control.program("tang-show-keys", f'echo "$@" >>{control.folder}/asked; echo a-key')
    monkeypatch.setenv("PATH", f"{there}:{os.environ['PATH']}")
    said = play(control, "configure", *words, storage_found={"do": do})
    assert told in said, said
    assert "commune-b could not be reached" not in said
    asks = control.folder / "asked"
    assert (asks.read_text().splitlines() if asks.exists() else []) == ["7654"] * asked


@pytest.mark.parametrize(("silent", "told"), [(["hermitage"], True), ([], False)])
def test_a_disk_that_was_bound_without_a_helper_is_told(control: Control, silent: list[str], told: bool) -> None:
    keys = [{"item": it, "stdout": "a-key"} for it in ("hermitage", "commune-a", "commune-c") if it not in silent]
    off = [{"item": it, "unreachable": True} for it in silent]
    said = play(
        *(control, "run"),
        storage_found={"do": "make"},
        storage_thumbprints={"results": [*off, *keys]},
        storage_answer={"encryption": "luks"},
    )
    assert ("its disk will not open with hermitage, which gave no key" in said) is told
    assert "failed=0" in said
