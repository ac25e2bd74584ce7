"""Have borg check what is held here: on a real host by the checker's account, else in this process (`view.py`)."""

from __future__ import annotations

from appliance.backup.peers.fetch import short_name
from appliance.backup.vault.sealing.request import ask
from appliance.backup.vault.sealing.sealer_choice import helper
from appliance.backup.vault.sealing.view import ViewChecked, check_here
from appliance.node.handle import Node


def check_view(node: Node, service: str, name: str | None = None) -> ViewChecked:
    """A keyless `borg check --repository-only` of generation `name` (None: the newest held here), and its journal line.

    Raise NotFound when it is not held, and borg's own errors when it could not run. A fault with every hash in order
    was sealed by the origin: older generations are not concerned by it.
    """
    socket = helper(node.layout, "checker")
    said = {"service": service, "generation": name}
    found = ViewChecked(**ask(socket, said)) if socket else check_here(node, service, name)
    node.journal.write(
        "vault-checked",
        service=service,
        generation=short_name(found.generation),
        fault=found.fault,
        account=found.account,
    )
    return found
