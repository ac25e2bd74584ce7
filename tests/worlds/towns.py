"""Small bundles for tests of what is rendered: each node by its roles, its address and its place in the mesh."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.territory.model import Node, Placement, Service
from appliance.trust.bundle import Bundle, Member, make_bundle, read_bundle
from appliance.trust.keys import PublicKeys, public_line
from tests.worlds import small

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = public_line(KEY)


def town(
    name: str, number: int, *, port: int = 51820, mesh: bool = True, address: str = "", roles: tuple[str, ...] = ()
) -> Node:
    """Node `number`: 10.1.N.10 outside, 10.90.0.N in the mesh."""
    return replace(
        small.node(name, f"zone-{name}", roles=roles),
        address=address or f"10.1.{number}.10",
        mesh=f"10.90.0.{number}" if mesh else "",
        mesh_port=port,
    )


def mesh_key(name: str) -> str:
    return base64.b64encode(name.encode().ljust(32, b"."))[:44].decode()


def tls_key(name: str) -> str:
    return base64.b64encode(f"the TLS key of {name}".encode()).decode()


def sign_key(name: str) -> str:
    """A key of its own for each node: voters with one key would be one voter."""
    return public_line(Ed25519PrivateKey.from_private_bytes(name.encode().ljust(32, b".")[:32]))


def bundle(
    nodes: Iterable[Node],
    *,
    keys: Mapping[str, str] | None = None,
    serial: int = 1,
    services: Iterable[Service] = (),
) -> Bundle:
    """The signed bundle of `nodes`; `keys` are public mesh keys that are not invented."""
    plan = small.territory(nodes, services)
    members = {
        name: Member(
            node,
            "vault-",
            PublicKeys(
                sign_key(name),
                PUBLIC,
                PUBLIC,
                "age1test",
                mesh=(keys or {}).get(name, mesh_key(name)),
                tls=tls_key(name),
            ),
        )
        for name, node in plan.nodes.items()
    }
    placements: dict[str, Placement] = {}
    raw = make_bundle(
        KEY,
        serial=serial,
        issued="2026-11-25T08:00:00Z",
        territory=plan,
        placements=placements,
        members=members,
        recovery="age1recovery",
    )
    return read_bundle(raw, PUBLIC)
