"""Signing receipts: this node's word that it holds a generation durably, which its writer counts as a copy.

`sealing/sealer_local.py: LocalSealer.publish` calls it for each new generation, `maintenance/replacing.py: replace` for
a receipt that was lost. On a host both run in the sealing helper (`sealing/sealer_server.py`): a session of the vault
asks it, has no key and cannot sign. In process mode the session's own process signs.
"""

from __future__ import annotations

from pathlib import Path

from appliance.clock import utc_text
from appliance.node.handle import Node
from appliance.trust.generation import Header
from appliance.trust.keys import load_key
from appliance.trust.receipt import make_receipt


def sign_receipt(node: Node, key: Path, header: Header) -> bytes:
    """A receipt that this node holds the generation of `header` from now on, signed by its signing key in the file
    `key`."""
    return make_receipt(
        load_key(key),
        holder=node.name,
        header=header,
        time=utc_text(node.clock.now()),
        age_seconds=node.ageing.now(),
    )
