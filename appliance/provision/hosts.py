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
OURS = re.compile(rf"{MARK}.*?(?:{END}\n|\Z)", re.DOTALL)
"""A block of any version; without its end it reaches to the end of the file: somebody cut it."""


def block(territory: Territory) -> str:
    """One line for each node, at the address where others talk to it, with the name in its certificate too; who is
    reached by a name has DNS for that. Then the services with an address of their own, which stays when they move."""
    nodes = sorted(territory.nodes.values(), key=lambda node: node.name)
    at = [(node.reach, node.name) for node in nodes if network(node.reach) is not None]
    at += [(it.address, it.name) for it in moving(territory) if it.name not in territory.nodes]
    lines = [f"{address} {name} {name}.{territory.domain}" for address, name in at]
    return "\n".join([BEGIN, *lines, END]) + "\n"


def merged(present: str, wanted: str) -> str:
    """`present`, the whole of /etc/hosts, with `wanted` where our block was, at the end when there was none. Further
    blocks, which a version with another heading may have appended, go."""
    if first := OURS.search(present):
        return present[: first.start()] + wanted + OURS.sub("", present[first.end() :])
    return present + ("" if present.endswith("\n") or not present else "\n") + wanted


def part(bundle: Bundle, present: str) -> Part:
    """`present` is what /etc/hosts holds now."""
    return Part("hosts", (WantedFile(PATH, merged(present, block(bundle.territory))),))
