"""Put another bundle in force: keep it, take the keys that it names, and let its nodes in."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.host.layout import NodeLayout
from appliance.membership.sshd import write_sshd_config
from appliance.node.handle import open_node
from appliance.trust import rotation
from appliance.trust.bundle import Bundle, accept_bundle, check_follows
from appliance.trust.identity import Identity, shown_keys


@dataclass(frozen=True)
class Taken:
    """Serials of the bundle and of the one `before` it, 0 for none; `member`: it names the node with its very keys."""

    serial: int
    before: int
    member: bool


def take_bundle(layout: NodeLayout, identity: Identity, offered: Bundle, *, dry_run: bool = False) -> Taken:
    """Put the bundle `offered` in force on the node, and say what it is to it; with `dry_run` only say it.

    Raise Refused when it may not follow the one in use, in a dry run too.
    """
    present = check_follows(layout.bundle, offered, identity.territory_key)
    member = offered.members.get(identity.name)
    shown = layout.identity.exists() and member is not None and member.keys == shown_keys(layout)
    if not dry_run:
        accept_bundle(layout.bundle, offered.document.raw, identity.territory_key)
        if member is not None:
            rotation.take(layout.keys, member.keys)
        write_sshd_config(open_node(layout.root))
    return Taken(offered.serial, present, shown)
