"""The acts of people between playbooks, for the scenarios: `python3 molecule/people.py
meet|provision|lose|sign|grant`."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from appliance.host.files import make_private_folder
from appliance_lab.checkers.tree_record import take
from appliance_lab.hosts import provision as people
from appliance_lab.hosts.control_machine import ControlMachine
from appliance_lab.hosts.lab import open_lab
from appliance_lab.hosts.paths import HostPaths
from appliance_lab.stories.backed_up import STATE, documents_of
from appliance_lab.stories.context import ORIGIN, SERVICE, StoryContext
from appliance_lab.stories.left import look
from appliance_lab.stories.replaced import wipe

LAB = "molec"
LOST = "lost"
"""In the lab's own folder: what the documents were before the loss, the files with the names of their owners, and the
key that opened the neighbours' vaults."""


def context() -> StoryContext:
    return StoryContext(LAB, Path("inventory/lab"), print, look(LAB))


def control() -> ControlMachine:
    return ControlMachine(HostPaths().lab(LAB).root)


def meet() -> None:
    """Compare the fingerprint of every host."""
    people.begin(open_lab(HostPaths(), LAB, print))


def provision() -> None:
    """Bare hosts to a finished territory."""
    people.provision(open_lab(HostPaths(), LAB, print))


def lose() -> None:
    """Wait for a safe backup, note what there is, wipe the node, and meet the machine in its place."""
    context().wait_until_safe(SERVICE, ORIGIN)
    lost = make_private_folder(control().root / LOST)
    (lost / "documents.record").write_text(take(documents_of(context()), as_root=True).to_json())
    for file in ("/etc/passwd", "/etc/group", f"{STATE}/keys/ssh_ed25519"):
        shutil.copy(context().disk(ORIGIN, file), lost)
    wipe(context())
    people.meet(context().lab, control(), context().lab.plan.node(ORIGIN))


def sign() -> None:
    """The territory's key signs the keys that were collected."""
    assert people.sign(context().lab, control()), "nothing was collected"


def grant() -> None:
    """The territory's key grants what was asked for."""
    assert people.grant(context().lab, control()), "nothing was asked"


VERBS: Mapping[str, Callable[[], None]] = {it.__name__: it for it in (meet, provision, lose, sign, grant)}

if __name__ == "__main__":
    os.chdir(Path(__file__).resolve().parents[1])
    VERBS[sys.argv[1]]()
