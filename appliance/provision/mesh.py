"""The WireGuard network of the territory as one node has it: a full mesh, from the bundle alone. Pure.

Two nodes that are both behind a carrier's NAT can never begin to talk to each other. They meet at the relay: the first
standby, by name, that takes packets. Each of the two gives the other's address to the relay's peer, and the relay hands
packets on between the two (`firewall.py` lets it do that for these addresses and nothing else). The relay reads what it
hands on, as any router would: what travels is SSH, and sealed.

Addresses of services lead to their homes here. Where they lead now is known to who follows the voters, and put on top
of this file (`link.py: routed`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, ip_address

from appliance.errors import IntegrityError
from appliance.provision.files import CANDIDATE, HEADING, Part, WantedFile
from appliance.provision.link import CONFIG, FORWARDING, INTERFACE
from appliance.territory.service_forms import moving
from appliance.trust.bundle import Bundle, Member

UNIT = "appliance-mesh.service"
KEY_FILE = "/srv/appliance/node/keys/mesh"
LISTEN_PORT = 51820  # where a node behind NAT listens too: a new port at each change would cost its sessions
KEEPALIVE_SECONDS = 25  # shorter than any NAT's memory of a UDP stream (RFC 4787 asks for two minutes; some keep 30 s)


@dataclass(frozen=True)
class Peer:
    """Another node as WireGuard knows it; `endpoint` is "" when it is behind NAT and begins by itself."""

    name: str
    key: str
    allowed: tuple[str, ...]
    endpoint: str = ""
    keepalive_seconds: int = 0


@dataclass(frozen=True)
class Mesh:
    """`relayed`: the addresses between which this node hands on; `cut_off`: who is out of reach without a relay; `key`
    is this node's own public key."""

    address: str
    listen_port: int
    peers: tuple[Peer, ...]
    relayed: tuple[str, ...] = ()
    cut_off: tuple[str, ...] = ()
    key: str = ""


def members(bundle: Bundle) -> tuple[Member, ...]:
    """The nodes that have a place and a key in the mesh, by name."""
    found = (member for _, member in sorted(bundle.members.items()))
    return tuple(member for member in found if member.node.mesh and member.keys.mesh)


def routed_to(bundle: Bundle, name: str) -> tuple[str, ...]:
    """The addresses of services that are at the node `name` until somebody was granted them."""
    return tuple(it.address for it in moving(bundle.territory) if it.node == name)


def addresses(bundle: Bundle) -> tuple[str, ...]:
    """The addresses of the mesh; raise IntegrityError for a bundle in which one is none."""
    return tuple(_address(member) for member in members(bundle))


def relay(bundle: Bundle) -> Member | None:
    """Return the node that hands on between nodes that cannot reach each other."""
    return next((it for it in members(bundle) if "standby" in it.node.roles and it.node.mesh_port), None)


def plan(bundle: Bundle, name: str) -> Mesh | None:
    """The mesh as the node `name` has it; None when it has no place or no key in it."""
    everybody = members(bundle)
    self = next((member for member in everybody if member.name == name), None)
    if self is None:
        return None
    others = [member for member in everybody if member is not self]
    hidden = [member for member in others if not member.node.mesh_port]
    at = relay(bundle)
    met = hidden if at is not None and not self.node.mesh_port else []
    return Mesh(
        address=_address(self),
        listen_port=self.node.mesh_port or LISTEN_PORT,
        peers=tuple(_peers(bundle, self, others, at, met)),
        relayed=_relayed(bundle, hidden) if at is self and len(hidden) > 1 else (),
        key=self.keys.mesh,
        cut_off=tuple(member.name for member in hidden) if at is None and not self.node.mesh_port else (),
    )


def _relayed(bundle: Bundle, hidden: list[Member]) -> tuple[str, ...]:
    names = {member.name for member in hidden}
    services = (it.address for it in moving(bundle.territory) if names & set(bundle.territory.trusted(it.name)))
    return (*(_address(member) for member in hidden), *services)


def _peers(bundle: Bundle, self: Member, others: list[Member], at: Member | None, met: list[Member]) -> Iterator[Peer]:
    """`met` are those of `others` that `self` meets at the relay `at` alone."""
    for member in others:
        reachable = bool(member.node.mesh_port)
        if not reachable and not self.node.mesh_port:
            continue
        beyond = met if member is at else []
        yield Peer(
            member.name,
            member.keys.mesh,
            tuple(at for it in (member, *beyond) for at in (_address(it), *routed_to(bundle, it.name))),
            _endpoint(member) if reachable else "",
            KEEPALIVE_SECONDS if reachable and not self.node.mesh_port else 0,
        )


def part(bundle: Bundle, name: str) -> Part:
    """The files of the mesh on the node `name`; none where it has no place in it."""
    found = plan(bundle, name)
    if found is None:
        return Part("mesh", warnings=(f"{name} has no address or no key in the mesh of the bundle.",))
    file = WantedFile(
        CONFIG,
        render(found),
        mode=0o600,
        check=("wg-quick", "strip", CANDIDATE),
        reload=("systemctl", "reload-or-restart", UNIT),
        in_force=("ip", "link", "show", "dev", INTERFACE),
    )
    cut_off = f"{name} and {', '.join(found.cut_off)} are behind NAT, and no standby relays packets for them."
    return Part("mesh", (file,), units=(UNIT,), warnings=(cut_off,) if found.cut_off else ())


def render(mesh: Mesh) -> str:
    """`mesh` as wg-quick(8) reads it, so that a person can bring it up alone. The private key stays where it is."""
    lines = [
        HEADING,
        "[Interface]",
        f"Address = {mesh.address}/32",
        f"ListenPort = {mesh.listen_port}",
        f"# PublicKey = {mesh.key}",  # so that another key of ours is another file, which is loaded
        f"PostUp = wg set %i private-key {KEY_FILE}",
        *([FORWARDING] if mesh.relayed else []),
    ]
    return "\n".join([*lines, *(line for peer in mesh.peers for line in _rendered(peer))]) + "\n"


def _rendered(peer: Peer) -> Iterator[str]:
    yield ""
    yield f"# {peer.name}"
    yield "[Peer]"
    yield f"PublicKey = {peer.key}"
    yield f"AllowedIPs = {', '.join(f'{address}/32' for address in peer.allowed)}"
    if peer.endpoint:
        yield f"Endpoint = {peer.endpoint}"
    if peer.keepalive_seconds:
        yield f"PersistentKeepalive = {peer.keepalive_seconds}"


def _address(member: Member) -> str:
    try:
        return str(IPv4Address(member.node.mesh))
    except AddressValueError as error:
        raise IntegrityError(f'{member.name}: "{member.node.mesh}" is not an address of a mesh.') from error


def _endpoint(member: Member) -> str:
    address = member.node.address
    try:
        bracketed = ip_address(address).version == 6
    except ValueError:
        bracketed = False
    return f"[{address}]:{member.node.mesh_port}" if bracketed else f"{address}:{member.node.mesh_port}"
