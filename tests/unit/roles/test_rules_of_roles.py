"""The callers that roles let in by files of their own: on a bare machine the folder of these files is not there yet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from appliance.provision.firewall import SNIPPETS
from tests.unit.roles.loading import ROLES

FOLDERS_ARE_MADE_BY = "ansible.builtin.blockinfile"
OTHER_FILES = {"ansible.builtin.import_tasks", "ansible.builtin.include_tasks"}


def tasks(found: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """All of a file's tasks, those in blocks too."""
    for task in found:
        yield task
        yield from tasks(task.get("block", []))


def test_a_rule_of_a_role_comes_with_its_folder_and_is_loaded() -> None:
    seen = []
    for file in sorted(ROLES.glob("*/tasks/*.yml")):
        role = file.parents[1]
        own = role / "vars/main.yml"
        named = {
            name for name, value in (yaml.safe_load(own.read_text()) if own.exists() else {}).items() if is_rule(value)
        }
        for task in tasks(yaml.safe_load(file.read_text())):
            text = str({key: value for key, value in task.items() if key != "block"})
            if not is_rule(text) and not any(name in text for name in named):
                continue
            if task.get("changed_when") is False or not {
                "ansible.builtin.import_tasks",
                "ansible.builtin.include_tasks",
            }.isdisjoint(task):
                continue  # it only looks, or names a file whose tasks are looked at themselves
            seen.append(role.name)
            assert "notify" in task, task["name"]
            if not takes_away(task):
                assert task[FOLDERS_ARE_MADE_BY]["create"], task["name"]
    assert {"mirror", "share", "storage"} <= set(seen)


def takes_away(task: dict[str, Any]) -> bool:
    absent = task.get("ansible.builtin.file", {}).get("state") == "absent"
    return absent or "rm --" in task.get("ansible.builtin.raw", "")


def is_rule(value: object) -> bool:
    return f"{SNIPPETS}/" in str(value)
