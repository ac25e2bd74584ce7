"""A fact that a role takes from another one of its play is there in each playbook that plays it, or it does without."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from appliance.accounts.groups import mark
from tests.unit.roles.loading import ROLES

PLAYBOOKS = ROLES.parent / "playbooks"
EXPRESSION = re.compile(
    r"\{\{.*?\}\}|^ *(?:- )?(?:when|that|until|changed_when|failed_when):.*?$(?:\n +- .*?$)*", re.S | re.M
)
MANAGES_WITHOUT = re.compile(r"default\(|is (?:not )?defined|'defined'")
ROLE_OF_A_TASK = ("ansible.builtin.import_role", "ansible.builtin.include_role")


@cache
def owners() -> dict[str, str]:
    """The role that registers or sets each variable."""
    found: dict[str, str] = {}
    for role in ROLES.iterdir():
        for file in (*role.glob("tasks/*.yml"), *role.glob("handlers/*.yml")):
            found |= dict.fromkeys(re.findall(r"register: (\w+)", file.read_text()), role.name)
        for file in (*role.glob("vars/*.yml"), *role.glob("defaults/*.yml")):
            found |= dict.fromkeys(yaml.safe_load(file.read_text()) or {}, role.name)
    return found


@cache
def needs(role: str) -> dict[str, str]:
    """Return what `role` cannot do without, with its owner: all that is another role's."""
    found = {}
    for file in (ROLES / role).rglob("*"):
        if file.is_dir() or file.suffix not in (".yml", ".j2"):
            continue
        for expression in EXPRESSION.findall(file.read_text()):
            if not MANAGES_WITHOUT.search(expression):
                words = set(re.findall(r"\b[a-z]+_\w+\b", expression))
                found |= {it: owners()[it] for it in words if owners().get(it, role) != role}
    return found


@cache
def registered_by_others(role: str) -> dict[str, str]:
    """Return those of the needs of `role` that another role finds out on the node, and so has to come before it."""
    found = {name for file in ROLES.glob("*/tasks/*.yml") for name in re.findall(r"register: (\w+)", file.read_text())}
    return {name: owner for name, owner in needs(role).items() if name in found}


def plays() -> Iterator[Any]:
    for file in sorted(PLAYBOOKS.glob("*.yml")):
        for play in yaml.safe_load(file.read_text()):
            roles = roles_of(play)
            if roles:
                yield pytest.param(play, roles, id=f"{file.stem}-{roles[0]}")


def roles_of(play: dict[str, Any]) -> list[str]:
    """The whole roles of a play, in their order."""
    listed = [it if isinstance(it, str) else it["role"] for it in play.get("roles", ())]
    asked = [task.get("ansible.builtin.import_role", {}) for task in play.get("tasks", ())]
    return [*listed, *(it["name"] for it in asked if it and "tasks_from" not in it)]


def played(tasks: list[dict[str, Any]]) -> set[str]:
    """The roles that `tasks` play."""
    return {task[name]["name"] for task in tasks for name in ROLE_OF_A_TASK if name in task}


@pytest.mark.parametrize(("play", "roles"), plays())
def test_a_play_has_all_that_its_roles_ask_of_others(play: dict[str, Any], roles: list[str]) -> None:
    there = {*roles, *played(play.get("pre_tasks", []))}
    for file in (file for role in roles for file in (ROLES / role).glob("tasks/*.yml")):
        there |= played(yaml.safe_load(file.read_text()))
    given = play.get("vars", {})
    for role in roles:
        lacking = {it: owner for it, owner in needs(role).items() if owner not in there and it not in given}
        assert lacking == {}, f"{role} is played without them"


@pytest.mark.parametrize(("play", "roles"), plays())
def test_what_a_role_takes_from_others_was_found_before_it(play: dict[str, Any], roles: list[str]) -> None:
    given = {*play.get("vars", {}), *played(play.get("pre_tasks", []))}
    for number, role in enumerate(roles):
        late = {
            it: owner
            for it, owner in registered_by_others(role).items()
            if it not in given and owner in roles[number + 1 :]
        }
        assert late == {}, f"{role} is played before them"


@pytest.mark.parametrize(("play", "roles"), plays())
def test_base_comes_first_where_a_role_has_packages(play: dict[str, Any], roles: list[str]) -> None:
    """It installs those of every role at once; these come to nodes that have them."""
    with_packages = {it for it in roles if f"{it}_packages" in owners()}
    assert roles[0] == "base" or with_packages <= {"coordination", "failover", "pki", "restore"}


def test_what_a_role_asks_of_others_is_seen() -> None:
    assert needs("hardening")["base_seen"] == "base"
    assert needs("share")["accounts_mark"] == "accounts"


def test_the_group_of_a_nodes_people_is_named_as_its_accounts_name_it() -> None:
    ours = yaml.safe_load((Path(ROLES) / "failover/vars/main.yml").read_text())["failover_people"]
    assert ours == f"people-{{{{ (appliance_node | hash('sha256'))[:{len(mark('commune-a'))}] }}}}"
