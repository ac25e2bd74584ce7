"""A restore in place of a service that moves: where it is not served, its folder is read-only."""

from __future__ import annotations

import os
from contextlib import suppress

from appliance.backup.peers.elsewhere import installs_its_files, server_elsewhere
from appliance.cli.arguments import command
from appliance.errors import Refused
from appliance.node.handle import Node


def check_writable_here(node: Node, service: str) -> None:
    """Raise Refused, with the unit and what to do, where failover keeps the folder of `service` read-only."""
    if node.bundle.left(service) or not installs_its_files(node, service):
        return
    for path in node.bundle.terms(service).service.paths:
        if _is_read_only(path):
            raise Refused(
                f"{path} is read-only here (appliance-read-only@{service}.service): this node does not serve "
                f"{service}.",
                where=path,
                remedy=_instead(node, service),
            )


def _instead(node: Node, service: str) -> str:
    if elsewhere := server_elsewhere(node, service):
        return f"Run the command on {elsewhere}, which serves it, or restore to a folder with --to."
    status = command("failover", "status")
    return f"Failover installs its newest files before it serves it here (`{status}`). Or restore with --to."


def _is_read_only(path: str) -> bool:
    with suppress(OSError):
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    return False
