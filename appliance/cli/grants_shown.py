"""The grants that a node shows beside its public keys, for a bundle that changes the voters."""

from __future__ import annotations

from typing import Any

from appliance.backup.chain.grants import shown_grants
from appliance.errors import ApplianceError
from appliance.host.layout import NodeLayout
from appliance.node.handle import open_node


def grants_shown(layout: NodeLayout) -> dict[str, Any]:
    """The field `grants`; none where they cannot be read, so that the key holder is told that they are not known."""
    if not layout.bundle.exists():
        return {"grants": []}
    try:
        return {"grants": list(shown_grants(open_node(layout.root)))}
    except (ApplianceError, OSError, UnicodeDecodeError):
        return {}
