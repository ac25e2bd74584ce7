"""The identity of this node: its name and the territory key it pinned at first contact. Written once, never
replaced."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from appliance import typed
from appliance.errors import IntegrityError, NotFound, Refused
from appliance.host.files import make_private_folder, read_at_once, write_atomic
from appliance.host.layout import NodeLayout, state_of_this_host
from appliance.host.network.ssh import machine_key
from appliance.trust import rotation
from appliance.trust.bundle import Bundle, load_bundle
from appliance.trust.keys import PublicKeys, create_keys

PIN_OF_A_HOST = Path("/etc/appliance/territory.pub")
"""On a host the account of the node could write another key into its own folder, and sign itself a bundle with it, by
which root sets up the host and the sealer prunes. So both compare it with what root was given."""


@dataclass(frozen=True)
class Identity:
    name: str
    territory_key: str


def create_identity(layout: NodeLayout, name: str, territory_key: str) -> PublicKeys:
    """Make this node: its keys and its pinned territory key. Calling again with the same words changes nothing."""
    make_private_folder(layout.root)
    wanted = Identity(name, territory_key)
    if layout.identity.exists() and load_identity(layout) != wanted:
        raise Refused(
            "this folder already belongs to another node.", where=str(layout.root), remedy="Choose another --state."
        )
    keys = create_keys(layout.keys)
    if not layout.identity.exists():
        fields = {"format": 1, "node": name, "territory_key": territory_key}
        write_atomic(layout.identity, json.dumps(fields).encode() + b"\n")
    return keys


def refuse_another(layout: NodeLayout, wanted: Identity) -> None:
    """Raise Refused when this folder is a node already and says another name or key; what root pinned is not asked."""
    if layout.identity.exists() and (found := _read_identity(layout)) != wanted:
        raise Refused(
            f"this folder already belongs to the node {found.name}, or to another territory.",
            where=str(layout.root),
            remedy="Choose another --state, or give its name and its key.",
        )


def shown_keys(layout: NodeLayout) -> PublicKeys:
    """Its keys as others must know them, the next ones where it has any; the host key of a host is the one of the
    machine's own sshd."""
    found = rotation.shown(layout.keys)
    return replace(found, host=machine_key()) if layout.root == state_of_this_host() else found


def load_identity(layout: NodeLayout) -> Identity:
    """Return the identity of the node; raise NotFound or IntegrityError when its folder lacks it, or contradicts its
    host."""
    identity = _read_identity(layout)
    if _pinned(layout) not in ("", identity.territory_key):
        raise IntegrityError(
            f"its territory key differs from the one in {PIN_OF_A_HOST}, which root wrote.",
            where=str(layout.identity),
            remedy="Find out who changed it: the signer of bundles decides who may log in to this host.",
        )
    return identity


def _pinned(layout: NodeLayout) -> str:
    """The territory's key as root was given it; "" in process mode, and where nobody gave it."""
    on_host = layout.root == state_of_this_host() and PIN_OF_A_HOST.exists()
    return " ".join(PIN_OF_A_HOST.read_text().split()[:2]) if on_host else ""


def _read_identity(layout: NodeLayout) -> Identity:
    try:
        fields = json.loads(read_at_once(layout.identity))
        return Identity(fields["node"], fields["territory_key"])
    except FileNotFoundError as error:
        there = layout.root.is_dir()
        what = "this is not a node's folder." if there else "there is no such folder."
        remedy = f"Check the path after --state, or make a node there: `{typed.INIT}`."
        raise NotFound(what, where=str(layout.root), remedy=remedy) from error
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError("node.json is damaged.", where=str(layout.identity)) from error


def load_territory(layout: NodeLayout) -> tuple[Identity, Bundle]:
    """Return our identity and the bundle in force."""
    identity = load_identity(layout)
    return identity, load_bundle(layout.bundle, identity.territory_key)
