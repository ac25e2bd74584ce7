"""Who this node is: its name and the territory key it pinned at first contact. Written once, never replaced."""

from __future__ import annotations

import json
from dataclasses import dataclass

from appliance.errors import IntegrityError, NotFound, Refused
from appliance.host.files import make_private_folder, write_atomic
from appliance.host.layout import NodeLayout
from appliance.trust.bundle import Bundle, load_bundle
from appliance.trust.keys import PublicKeys, create_keys


@dataclass(frozen=True)
class Identity:
    name: str
    territory_key: str


def create_identity(layout: NodeLayout, name: str, territory_key: str) -> PublicKeys:
    """Make this node: its keys and its pinned territory key. Calling again with the same words changes nothing."""
    make_private_folder(layout.root)
    wanted = Identity(name, territory_key)
    if layout.identity.exists() and load_identity(layout) != wanted:
        raise Refused("this folder already is another node.", where=str(layout.root), remedy="Choose another --state.")
    keys = create_keys(layout.keys)
    if not layout.identity.exists():
        fields = {"format": 1, "node": name, "territory_key": territory_key}
        write_atomic(layout.identity, json.dumps(fields).encode() + b"\n")
    return keys


def load_identity(layout: NodeLayout) -> Identity:
    try:
        fields = json.loads(layout.identity.read_bytes())
        return Identity(fields["node"], fields["territory_key"])
    except FileNotFoundError as error:
        raise NotFound(
            "this is not a node's folder.", where=str(layout.root), remedy="Run `appliance node init`."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError("node.json is damaged.", where=str(layout.identity)) from error


def load_territory(layout: NodeLayout) -> tuple[Identity, Bundle]:
    """Who we are and the bundle we live by."""
    identity = load_identity(layout)
    return identity, load_bundle(layout.bundle, identity.territory_key)
