"""A node of the demo that votes and runs one service."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from appliance.config.load import load
from appliance.host.files import make_private_folder
from appliance.node.handle import Node
from tests.worlds.demo import INVENTORY, signed_territory

SERVICE = "docs-a"


def voting_node(tmp_path: Path) -> Node:
    """commune-a of the demo, where the first three nodes vote and a program serves its share."""
    plan = load(INVENTORY)
    voting = sorted(plan.nodes)[:3]
    nodes = {
        name: replace(it, roles=tuple(dict.fromkeys((*it.roles, "voter"))) if name in voting else it.roles)
        for name, it in plan.nodes.items()
    }
    found = signed_territory(tmp_path / "t", replace(plan, nodes=nodes)).open("commune-a")
    (found.layout.root / "programs.json").write_text(json.dumps({SERVICE: {}}))
    make_private_folder(found.layout.failover)
    return found
