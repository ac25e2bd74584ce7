"""The keys of people that the role hardening installs for root: where sshd reads them, and what the file says."""

from __future__ import annotations

import re

import yaml
from jinja2 import Environment

from tests.unit.roles.loading import ROLES

ROLE = ROLES / "hardening"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"


def test_sshd_reads_the_file_of_the_role_for_root_beside_what_came_by_hand() -> None:
    written = yaml.safe_load((ROLE / "vars/main.yml").read_text())["hardening_operators"]
    (read,) = re.findall(r"^AuthorizedKeysFile (.+)$", (ROLE / "templates/sshd.conf.j2").read_text(), re.MULTILINE)
    assert [it.replace("%u", "root") for it in read.split()] == [
        ".ssh/authorized_keys",
        ".ssh/authorized_keys2",
        written,
    ]


def test_the_file_has_a_line_for_each_key_and_loses_those_who_left() -> None:
    template = Environment(trim_blocks=True).from_string((ROLE / "templates/operators.j2").read_text())
    assert template.render(hardening_root_keys=[f"{KEY} anne", f"{KEY} paul"]).splitlines()[1:] == [
        f"{KEY} anne",
        f"{KEY} paul",
    ]
    assert template.render(hardening_root_keys=[]).startswith("# ")
    assert KEY not in template.render(hardening_root_keys=[])
