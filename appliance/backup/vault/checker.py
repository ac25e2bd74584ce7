"""Have borg check what is held here: on a real host by the checker's account, else in this process (`view.py`)."""

from __future__ import annotations

from pathlib import Path

from appliance.backup.fetch import short_name
from appliance.backup.node import Node
from appliance.backup.vault.sealer_choice import helper
from appliance.backup.vault.view import ViewChecked, check_here
from appliance.backup.vault.wire import Channel
from appliance.host import peer
from appliance.units import DAY

PATIENCE_SECONDS = DAY
"""To read a terabyte takes hours, and nothing is said meanwhile. A helper that ends is noticed at once."""


def check_view(node: Node, service: str, name: str | None = None) -> ViewChecked:
    """A keyless `borg check --repository-only` of generation `name` (None: the newest held here), and its journal line.

    Raise NotFound when it is not held, and borg's own errors when it could not run. A fault with every hash in order
    was sealed by the origin: older generations are not concerned by it.
    """
    socket = helper(node.layout, "checker")
    found = _ask(socket, service, name) if socket else check_here(node, service, name)
    node.journal.write(
        "vault-checked",
        service=service,
        generation=short_name(found.generation),
        fault=found.fault,
        account=found.account,
    )
    return found


def _ask(socket: Path, service: str, name: str | None) -> ViewChecked:
    with peer.connect(socket) as connection:
        peer.greet(connection)
        channel = Channel(connection.fileno(), connection.fileno(), quiet_seconds=PATIENCE_SECONDS)
        channel.write_frame({"service": service, "generation": name})
        return ViewChecked(**channel.read_frame())
