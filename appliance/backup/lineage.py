"""Is this node the one that wrote last, or an older image of it? Its peers can tell; when none answers, this file must.

It lies beside the state folder, not in it, so that restoring the folder from an image does not bring it back too;
with the machine's id in it, a clone does not pass either. It names the newest sealed generation: what was never
sealed never left the machine, so its counters can do no harm.
"""

from __future__ import annotations

import json
from pathlib import Path

from appliance.backup.chain import Sealed
from appliance.backup.node import Node
from appliance.errors import Refused
from appliance.host.files import write_atomic

MACHINE_ID = Path("/etc/machine-id")


def remember(node: Node, service: str, sealed: Sealed) -> None:
    """Write down what was just sealed, before it is sent."""
    known = _load(node)
    known[service] = sealed.header.id.digest
    text = json.dumps({"machine": _machine(), "newest": known})
    write_atomic(node.layout.lineage, text.encode() + b"\n", mode=0o600)


def prove_alone(node: Node, service: str, newest: Sealed | None) -> None:
    """Raise Refused unless this machine itself can show that `newest` is the last it sealed. For when no peer
    answers.
    """
    known = _load(node).get(service)
    if known != (newest.header.id.digest if newest else None):
        raise Refused(
            f"no peer answers, and nothing here proves that this is not an older image or a clone of {node.name}.",
            remedy="The backup waits until a peer answers; borg must not write before (counters could be used twice).",
        )


def _load(node: Node) -> dict[str, str]:
    try:
        content = json.loads(node.layout.lineage.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return dict(content["newest"]) if content.get("machine") == _machine() else {}


def _machine() -> str:
    return MACHINE_ID.read_text().strip() if MACHINE_ID.exists() else ""
