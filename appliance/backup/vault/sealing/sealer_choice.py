"""Which sealer a node has: its helper's where one stands by, else this process itself."""

from __future__ import annotations

import json
from pathlib import Path

from appliance.backup.vault.sealing.sealer import Sealer
from appliance.backup.vault.sealing.sealer_client import SealerClient
from appliance.backup.vault.sealing.sealer_local import LocalSealer
from appliance.errors import IntegrityError
from appliance.host.layout import NodeLayout
from appliance.node.handle import Node


def sealer_of(node: Node) -> Sealer:
    socket = helper(node.layout, "sealer")
    return SealerClient(socket) if socket else LocalSealer(node, node.signing_key)


def helper(layout: NodeLayout, name: str) -> Path | None:
    """The socket of the helper `name` on a host; None in process mode. Raise IntegrityError when that cannot be told:
    a node that then did it all by itself would write under the wrong account."""
    try:
        return Path(str(json.loads(layout.helpers.read_bytes())[name]))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise IntegrityError(
            "it does not name the sockets of the helpers.",
            where=str(layout.helpers),
            remedy="Run `appliance internal node apply --part vault`.",
        ) from error
