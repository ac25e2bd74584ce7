"""A role that meets a node before its package is upgraded types only what each release knows that it may meet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from appliance.cli.backup.resync import resync
from appliance.cli.node.collect import ASK
from appliance.cli.renamed import RenamedOption
from appliance_lab.pages.verbs import Verbs, known, read, write
from tests.unit.roles.loading import ROLES

PLAYBOOKS = ROLES.parent / "playbooks"
RELEASED = Path(__file__).parents[2] / "golden/verbs"
"""A file for each release, made by `make release`. Before the first one nodes have what this checkout builds."""
OLDEST = yaml.safe_load((ROLES / "agent/vars/main.yml").read_text())["agent_oldest"]
"""Nodes with an older version are refused by `upgrade`."""
WORD, OPTION = re.compile(r"[a-z][a-z-]*"), re.compile(r"--[a-z][a-z-]*")
QUOTED = re.compile(r"'([^']*)'")
IN_A_SHELL = re.compile(r"(?:^|[;&|(] *)appliance (.*?)(?:[;&|)]|$)", re.MULTILINE)
REFUSE_ANOTHER_VERSION = "preflight.yml"
ROLE_OF_A_TASK = ("ansible.builtin.import_role", "ansible.builtin.include_role")
type Typed = tuple[str, ...]


def met(releases: Path, oldest: str) -> dict[str, Verbs]:
    """The verbs of each release that a role may meet; those of this checkout while there is no release."""
    found = {file.stem: read(file.read_text()) for file in sorted(releases.glob("*.json"))}
    return {name: it for name, it in found.items() if numbers(name) >= numbers(oldest)} or {"": known()}


def numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def wrong(typed: Typed, verbs: Verbs) -> str:
    """Why a node that knows `verbs` would refuse the words `typed`; empty when it takes them."""
    words = [word for word in typed if WORD.fullmatch(word)]
    for end in range(len(words), 0, -1):
        verb = " ".join(words[:end])
        if verb in verbs:
            options = {found[0] for word in typed if (found := OPTION.match(word))}
            return ", ".join(sorted(options - verbs[verb]))
    return f"no verb: {' '.join(words)}"


def typed_in(value: Any, key: str = "") -> Iterator[Typed]:
    """The words that a file of a role types for our command line, without those that only a run tells."""
    if isinstance(value, dict):
        for name, it in value.items():
            yield from typed_in(it, str(name))
    elif isinstance(value, list):
        if value and value[0] == "appliance":
            yield tuple(word for word in value[1:] if isinstance(word, str) and "{{" not in word)
        else:
            for it in value:
                yield from typed_in(it, key)
    elif isinstance(value, str) and "['appliance'," in value:
        yield tuple(QUOTED.findall(value.partition("['appliance',")[2]))
    elif isinstance(value, str) and key.endswith((".raw", ".shell", "cmd")):
        yield from (tuple(found.split()) for found in IN_A_SHELL.findall(value))


def typed_by(role: str) -> list[Typed]:
    files = [it for folder in ("tasks", "handlers", "vars") for it in sorted((ROLES / role / folder).glob("*.yml"))]
    return [typed for file in files for typed in typed_in(yaml.safe_load(file.read_text()))]


def roles_of(play: dict[str, Any]) -> Iterator[str]:
    """The roles of a play in their order."""
    tasks = [*play.get("pre_tasks", ()), *play.get("roles", ()), *play.get("tasks", ()), *play.get("post_tasks", ())]
    for task in tasks:
        if isinstance(task, str):
            yield task
        else:
            yield from (task[it]["name"] for it in ROLE_OF_A_TASK if it in task)
            if "role" in task:
                yield task["role"]


def early() -> set[str]:
    """The roles that may meet an older package: those of playbooks that refuse no other version, and restore, whose
    standbys nobody may have upgraded."""
    found = {"restore"}
    for file in PLAYBOOKS.glob("*.yml"):
        plays = yaml.safe_load(file.read_text())
        imported = {play.get("ansible.builtin.import_playbook") for play in plays}
        if not imported & {REFUSE_ANOTHER_VERSION, "site.yml"} and file.name != REFUSE_ANOTHER_VERSION:
            found |= {role for play in plays for role in roles_of(play)}
    return found - {"agent"}  # it types nothing before it has installed the package


def test_the_roles_that_meet_an_older_package_are_found_with_what_they_type() -> None:
    found = early()
    assert {"upgrade", "revoke", "rotate", "pki", "restore", "failover", "backup", "coordination"} <= found
    assert not {"control", "share", "storage"} & found
    assert ("--json", "status") in typed_by("upgrade")
    assert ("--json", "vault", "ping") in typed_by("upgrade")
    assert ("--json", "internal", "pki", "accept", "/dev/stdin", "--dry-run") in typed_by("pki")
    assert ("internal", "voter", "sync-members") in {typed[2:5] for typed in typed_by("coordination")}


@pytest.mark.parametrize("role", sorted(early()))
def test_a_role_that_meets_an_older_package_types_only_what_that_release_knows(role: str) -> None:
    releases = met(RELEASED, OLDEST).items()
    found = {(" ".join(typed), it): wrong(typed, verbs) for typed in typed_by(role) for it, verbs in releases}
    assert {typed: why for typed, why in found.items() if why} == {}


def test_node_collect_types_only_what_each_release_knows() -> None:
    typed = tuple(ASK.split()[1:])
    assert {it: why for it, verbs in met(RELEASED, OLDEST).items() if (why := wrong(typed, verbs))} == {}


def test_every_release_from_the_oldest_on_counts_and_before_the_first_this_checkout(tmp_path: Path) -> None:
    assert met(tmp_path, "0.1.0") == {"": known()}
    for release in ("0.9.0", "0.10.0", "0.2.0"):
        (tmp_path / f"{release}.json").write_text(write(release, {"status": frozenset({f"--{release}"})}))
    assert set(met(tmp_path, "0.3.0")) == {"0.9.0", "0.10.0"}


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        (("--json", "vault", "ping"), ""),
        (("--json", "vault", "pong"), "no verb: vault pong"),
        (("internal", "node", "keys", "--user", "vault-"), ""),
        (("internal", "node", "keys", "--account=x"), "--account"),
    ],
)
def test_a_verb_or_an_option_that_a_release_does_not_know_is_seen(typed: Typed, why: str) -> None:
    release = read(write("0.1.0", {"vault ping": frozenset({"--json"}), "internal node keys": frozenset({"--user"})}))
    assert wrong(typed, release) == why


def test_what_is_typed_in_a_shell_is_seen() -> None:
    task = {"ansible.builtin.raw": "appliance node show && systemctl is-active appliance-agent; appliance status --old"}
    assert list(typed_in(task)) == [("node", "show"), ("status", "--old")]


def test_the_verbs_of_a_release_are_those_that_its_commands_take_old_names_and_common_options_too() -> None:
    verbs = read(write("0.1.0", known()))
    assert verbs == known()
    assert {"vault ping", "internal node apply", "agent"} <= set(verbs)
    [renamed] = [it for it in resync.params if isinstance(it, RenamedOption)]
    assert {"--json", "--state", renamed.opts[0], renamed.formerly} <= verbs["backup resync"]
    assert not any(verb.startswith(("lab", "demo")) for verb in verbs)
