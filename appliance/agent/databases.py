"""What a takeover does with a database that moves between hosts: it is filled from a dump, or a dump of it is kept.

Only the account of PostgreSQL may touch a cluster. It is offered what it needs in a folder that nobody else may enter,
its work is begun by root's hands, and it leaves word of how that went (`cluster.py`).
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
from pathlib import Path
from typing import Any

from appliance.agent.cluster import ASKED, DUMP, OUTCOME
from appliance.agent.host_services import GROUND, Ground, ask_hands_now
from appliance.backup.node import Node
from appliance.errors import ApplianceError, Refused
from appliance.host import hands
from appliance.host.files import make_private_folder

LOOK_EVERY_SECONDS = 0.1
SILENT_SECONDS_MAX = 10.0
"""How long nothing may run that was asked for, before it begins and after it ended."""


def fill(node: Node, service: str, laid: Path, ground: Ground = GROUND) -> None:
    """Make the database what its dump in `laid` says, an archive's files; what lay here is kept beside it.

    Raise Refused, with PostgreSQL's words, when that cannot be; then all is as it was.
    """
    if not (laid / DUMP).is_dir():
        raise Refused(f"the newest archive of {service} holds no dump.")
    offered = _offer(node, service)
    shutil.move(laid / DUMP, offered / DUMP)
    for path in (offered / DUMP, *(offered / DUMP).iterdir()):
        path.chmod(0o755 if path.is_dir() else 0o644)
    _carry_out("fill", node, service, ground)


def keep(node: Node, service: str, to: Path, ground: Ground = GROUND) -> None:
    """Dump the database as it was left here into the new folder `to`."""
    _offer(node, service)
    _carry_out("keep", node, service, ground)
    shutil.copytree(ground.databases / service / "keeping" / DUMP, to)


def _offer(node: Node, service: str) -> Path:
    """A new folder for it with a new word in it. All above it is this account's alone."""
    offered = make_private_folder(node.service(service).root) / "offered"
    shutil.rmtree(offered, ignore_errors=True)
    offered.mkdir()
    (offered / ASKED).write_text(secrets.token_hex(16))
    offered.chmod(0o755)
    (offered / ASKED).chmod(0o644)
    return offered


def _carry_out(work: str, node: Node, service: str, ground: Ground) -> None:
    """Have it begun, and wait until it has left word; it may take hours."""
    offered = node.service(service).root / "offered"
    asked = (offered / ASKED).read_text()
    ask_hands_now(work, service, ground)
    cgroup = os.path.join(ground.cgroups, hands.WORK.format(work, service))
    ran = time.monotonic()
    while (told := _outcome(ground, service)).get("asked") != asked:
        if hands.populated(cgroup):
            ran = time.monotonic()
        elif time.monotonic() > ran + SILENT_SECONDS_MAX:
            unit = hands.WORK.format(work, service)
            raise ApplianceError(f"{unit} ended without a word.", remedy=f"See `journalctl -u {unit}`.")
        time.sleep(LOOK_EVERY_SECONDS)
    shutil.rmtree(offered, ignore_errors=True)
    if told["error"]:
        raise Refused(f"{work} {service}: {told['error']}")


def _outcome(ground: Ground, service: str) -> dict[str, Any]:
    try:
        found = json.loads((ground.databases / service / OUTCOME).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
