"""The playbook that waits for a signature, as the summary of playbooks noted it beside `territory.yml`.

The key holder may sit at another machine, with a copy of the folder. What stands in the file is shown to a person,
never run; a line of another form is none of ours and is not shown.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from appliance.cli.output import say

FOLDER, NAME = "requests", "again"
BYTES_MAX = 4096
BEGINS = "ansible-playbook "


def noted_in(folder: Path) -> str:
    """The line in the folder of requests `folder`; "" where no playbook waits."""
    try:
        with (folder / NAME).open("rb") as file:
            return read_line(file.read(BYTES_MAX + 1))
    except OSError:
        return ""


def read_line(raw: bytes) -> str:
    """The command that `raw` has in its only line, "" where it has no such line."""
    text = raw.decode("utf-8", "replace").removesuffix("\n")
    if len(raw) > BYTES_MAX or not text.startswith(BEGINS) or not text.isprintable():
        return ""
    try:
        # Quoted again, as one command: a semicolon would begin another one where somebody pastes it.
        return shlex.join(shlex.split(text))
    except ValueError:
        return ""


def say_again(line: str) -> None:
    """Say that the rest is the playbook's, which continues from there."""
    say(f"Next, on the control machine: {line}")
