"""The work of PostgreSQL's account on databases: one that moves between hosts is filled from a dump at a takeover, or a
dump of it is kept; in a drill a dump fills a cluster that is thrown away.

Only the account of PostgreSQL may touch a cluster. It is offered its input in a folder that nobody else may enter, the
privileged helper begins its work, and it leaves word of how that went (`cluster.py`).
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
from pathlib import Path
from typing import Any

from appliance.backup.proofs import rehearsal
from appliance.backup.proofs.proofs import ROOM
from appliance.backup.proofs.rehearsal import Rehearsed
from appliance.backup.sources import own_server
from appliance.errors import ApplianceError, Refused
from appliance.failover.forms.cluster import ASKED, DATABASE_NAME, DUMP, OUTCOME, REHEARSALS
from appliance.failover.forms.privileged_client import HELPER_PATHS, HelperPaths, ask_helper_now
from appliance.host.files import make_private_folder
from appliance.node.handle import Node
from appliance.programs import privileged

OFFERED, REHEARSING = "offered", "rehearsing"
LOOK_EVERY_SECONDS = 0.1
SILENT_SECONDS_MAX = 10.0
"""How long nothing may run that was asked for, before it begins and after it ended."""


def fill(node: Node, service: str, laid: Path, paths: HelperPaths = HELPER_PATHS) -> None:
    """Make the database what its dump in `laid` says, an archive's files; what lay here is kept beside it.

    Raise Refused, with PostgreSQL's words, when that cannot be; then all is as it was.
    """
    if not (laid / DUMP).is_dir():
        raise Refused(f"the newest archive of {service} contains no dump.")
    offered = _offer_dump(node, service, laid)
    _succeed("fill", service, offered, paths)


def keep(node: Node, service: str, to: Path, paths: HelperPaths = HELPER_PATHS) -> None:
    """Dump the database as it was left here into the new folder `to`."""
    _succeed("keep", service, _offer(node, service), paths)
    shutil.copytree(paths.databases / service / "keeping" / DUMP, to)


def rehearse(node: Node, service: str, laid: Path, paths: HelperPaths = HELPER_PATHS) -> Rehearsed:
    """Load the dump in `laid`, an archive's files, into a cluster that is thrown away.

    On a host a unit does that which reaches nothing else: the author of the dump is the superuser of that cluster."""
    database = node.bundle.terms(service).service.database
    if not node.layout.is_this_host:
        scratch = node.service(service).root / ROOM / "scratch"
        return rehearsal.rehearse(laid / DUMP, database, scratch, own_server.newest_programs())
    if not own_server.PROGRAMS.exists():
        return rehearsal.missing(own_server.PROGRAMS)
    if privileged.populated(_cgroup("fill", service, paths)):  # a drill that begins just now is refused by systemd
        return rehearsal.untried(f"a takeover is loading {service} now. Drill again once it is served.")
    offered = _offer_dump(node, service, laid, REHEARSING)
    (offered / DATABASE_NAME).write_text(database)
    (offered / DATABASE_NAME).chmod(0o644)
    try:
        told = _carry_out("rehearse", service, offered, paths.databases / REHEARSALS / service, paths)
        return rehearsal.decode(told["rehearsed"])
    except (ApplianceError, KeyError, TypeError) as error:
        return rehearsal.untried(str(error))
    finally:  # the folder itself stays: the unit's last command, which may still run, has it mounted
        shutil.rmtree(offered / DUMP, ignore_errors=True)


def _offer_dump(node: Node, service: str, laid: Path, at: str = OFFERED) -> Path:
    """Offer the unit those files of an archive that it may read."""
    offered = _offer(node, service, at)
    shutil.move(laid / DUMP, offered / DUMP)
    for path in (offered / DUMP, *(offered / DUMP).iterdir()):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return offered


def _offer(node: Node, service: str, at: str = OFFERED) -> Path:
    """A new folder for it with a new word in it. All above it is this account's alone."""
    offered = make_private_folder(node.service(service).root) / at
    shutil.rmtree(offered, ignore_errors=True)
    offered.mkdir()
    (offered / ASKED).write_text(secrets.token_hex(16))
    offered.chmod(0o755)
    (offered / ASKED).chmod(0o644)
    return offered


def _succeed(work: str, service: str, offered: Path, paths: HelperPaths) -> None:
    told = _carry_out(work, service, offered, paths.databases / service, paths)
    shutil.rmtree(offered, ignore_errors=True)
    if told["error"]:
        raise Refused(f"{work} {service}: {told['error']}")


def _carry_out(work: str, service: str, offered: Path, folder: Path, paths: HelperPaths) -> dict[str, Any]:
    """Have it begun, and wait until it has left word in `folder`; it may take hours."""
    asked = (offered / ASKED).read_text()
    ask_helper_now(work, service, paths)
    cgroup = _cgroup(work, service, paths)
    ran = time.monotonic()
    while (told := _outcome(folder)).get("asked") != asked:
        if privileged.populated(cgroup):
            ran = time.monotonic()
        elif time.monotonic() > ran + SILENT_SECONDS_MAX:
            unit = privileged.WORK.format(work, service)
            raise ApplianceError(f"{unit} ended without output.", remedy=f"See `journalctl -u {unit}`.")
        time.sleep(LOOK_EVERY_SECONDS)
    return told


def _cgroup(work: str, service: str, paths: HelperPaths) -> str:
    return os.path.join(paths.cgroups, privileged.WORK.format(work, service))


def _outcome(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / OUTCOME).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
