"""The one page from zero to safe: short, the same commands in both languages, and in the words that playbooks print."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import yaml

from tests.worlds.typed_pages import shell_blocks

ROOT = Path(__file__).parents[3]
COMMANDS_MAX = 20
PROGRAMS = {"ansible", "ansible-playbook", "appliance", "cp", "make", "mkdir", "ssh-keygen"}


def commands(page: str) -> list[str]:
    return "".join(shell_blocks(ROOT / page)).splitlines()


ENGLISH = commands("docs/how-to/zero-to-safe.md")


def test_both_languages_type_the_same_in_less_than_twenty_commands() -> None:
    assert commands("docs/fr/de-zero-a-l-abri.md") == ENGLISH
    assert 0 < len(ENGLISH) < COMMANDS_MAX
    assert {line.split()[0] for line in ENGLISH} == PROGRAMS


def test_each_playbook_of_the_page_exists_and_it_is_one() -> None:
    lines = {line for line in ENGLISH if line.startswith("ansible-playbook ")}
    assert len(lines) == 1, "the same line plays what is left of itself"
    (words,) = map(shlex.split, lines)
    assert all((ROOT / it).is_file() for it in words if it.startswith("playbooks/"))


def test_the_key_holder_types_what_the_playbooks_print() -> None:
    for role, name, verb in (("agent", "agent_sign", "sign"), ("backup", "backup_grant", "grant")):
        printed = yaml.safe_load((ROOT / f"roles/{role}/vars/main.yml").read_text())[name]
        (typed,) = (line for line in ENGLISH if line.startswith(f"appliance territory {verb} "))
        said = re.findall(r"--[a-z]+", re.sub(r"\{\{ '--previous.*?\}\}", "", printed))
        assert re.findall(r" (--[a-z]+)", typed) == said
        assert typed.endswith("/") == printed.strip().endswith("/"), "the folder of grants is made by its slash"
