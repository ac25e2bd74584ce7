"""Whether the history that is known here continues a generation that was sealed here.

A node that gave a service up keeps what it has until this is known: the next writer may have gone on from an older
generation, by a signed act or as a former version.
"""

from __future__ import annotations

import os
from pathlib import Path

from appliance.backup.chain import chain_of
from appliance.backup.node import Node
from appliance.backup.vault.store import HEADER
from appliance.errors import ApplianceError
from appliance.trust.generation import fields_of


def goes_on_without(node: Node, service: str, generation: str) -> bool | None:
    """True where the first generation after the epoch of `generation`, its full name, continues another one; None while
    none is known here, or nothing of what it continues."""
    folders = (chain_of(node, service).root, node.holding(service).generations)
    names = {name: folder for folder in folders for name in _names(folder)}
    epoch = generation.partition(".")[0]
    later = sorted(name for name in names if name.partition(".")[0] > epoch)
    previous = _previous(names[later[0]] / later[0]) if later else ""
    if previous == _digest(generation):
        return False
    return True if previous in map(_digest, names) else None


def _names(folder: Path) -> list[str]:
    """The generations of which a header is, or may be, in `folder`."""
    try:
        return [name for name in os.listdir(folder) if name.count(".") == 2 and name[0] != "."]
    except OSError:  # none, or another account's
        return []


def _previous(folder: Path) -> str:
    """What the generation in `folder` continues, as its name has it; "" where that cannot be read. The header was
    checked when it came."""
    try:
        return str(fields_of((folder / HEADER).read_bytes())["previous"])[:16]
    except (OSError, ApplianceError):
        return ""


def _digest(name: str) -> str:
    return name[-16:]
