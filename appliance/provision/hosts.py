"""The names of all nodes in /etc/hosts, and of services that move, so that they resolve when the fibre is cut. Pure."""

from __future__ import annotations

import re

from appliance.provision.addresses import network
from appliance.provision.files import Part, WantedFile
from appliance.territory.model import Territory
from appliance.territory.service_forms import moving
from appliance.trust.bundle import Bundle

PATH = "/etc/hosts"
MARK = "# BEGIN nodes of the territory,"
BEGIN = f"{MARK} written from its bundle; what is changed between these lines is lost"
END = "# END nodes of the territory"


def block(territory: Territory) -> str:
    """One line for each node, at the address where others talk to it, with the name in its certificate too; who is
    reached by a name has DNS for that. Then the services with an address of their own, which stays when they move."""
    nodes = sorted(territory.nodes.values(), key=lambda node: node.name)
    at = [(node.reach, node.name) for node in nodes if network(node.reach) is not None]
    at += [(it.address, it.name) for it in moving(territory) if it.name not in territory.nodes]
    lines = [f"{address} {name} {name}.{territory.domain}" for address, name in at]
    return "\n".join([BEGIN, *lines, END]) + "\n"


def merged(present: str, wanted: str) -> str:
    """`present`, the whole of /etc/hosts, with `wanted` where our block was, at the end when there was none."""
    before, begin, rest = present.partition(MARK)
    if begin:
        _, end, after = rest.partition(f"{END}\n")
        # Without its end the block reaches to the end of the file: somebody cut it.
        return before + wanted + (_without_blocks(after) if end else "")
    return before + ("" if before.endswith("\n") or not before else "\n") + wanted


def _without_blocks(text: str) -> str:
    """`text` without further blocks, which a version with another heading may have appended."""
    return re.sub(rf"{re.escape(MARK)}.*?({re.escape(END)}\n|\Z)", "", text, flags=re.DOTALL)


def part(bundle: Bundle, present: str) -> Part:
    """`present` is what /etc/hosts holds now."""
    return Part("hosts", (WantedFile(PATH, merged(present, block(bundle.territory))),))
