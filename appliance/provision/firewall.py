"""The packet filter of a node, from the bundle: what the territory does not declare is dropped. Pure.

Only our own table is replaced, in one transaction: there is no moment without rules, and tables of others stay.
Outgoing packets are free. Roles that serve the local network (Samba, the portal) add rules as files of their own; they
are copied into the one file that is loaded, so that a boot needs nothing else and `nft -c` has seen all of it. Where
the PCs are is the bundle's to say all the same: `from lan tcp dport 445 accept`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address

from appliance.errors import Refused
from appliance.provision import exporters, mesh, voter
from appliance.provision.addresses import Network, addresses, declared, joined, network, shown
from appliance.provision.files import CANDIDATE, HEADING, OwnedFolder, Part, WantedFile
from appliance.provision.link import INTERFACE
from appliance.territory.model import Node
from appliance.territory.service_forms import copy_port, form_of, lan_port, moving_to
from appliance.trust.bundle import Bundle

CONFIG = "/etc/nftables.conf"
TABLE = "inet appliance"
UNITS = ("nftables.service", "appliance-apply.path")
"""The rules are loaded at each start, and again when the bundle changes."""
OPERATORS = "/etc/appliance/operators"
SNIPPETS = "/etc/appliance/firewall.d"
FROM_LAN = "from lan "
"""How a rule of a role begins that is for the PCs of the site."""
_RELOAD = ("nft", "--file", CONFIG)


@dataclass(frozen=True)
class Snippet:
    """Rules for the chain `input`, as a role wrote them; `name` is the file's."""

    name: str
    text: str


@dataclass(frozen=True)
class OpenPorts:
    """The addresses that may begin an SSH session: networks by any interface, and addresses of the mesh."""

    networks: tuple[Network, ...]
    mesh: tuple[str, ...]

    def admit(self, address: str) -> bool:
        """Whether `address` could begin a session."""
        ip = IPv6Address(address).ipv4_mapped or IPv6Address(address) if ":" in address else IPv4Address(address)
        return any(ip in network for network in self.networks) or str(ip) in self.mesh


def open_ports(bundle: Bundle, name: str, operators: Iterable[str]) -> OpenPorts:
    """The addresses that may begin an SSH session at the node `name`. `operators`: networks, as in the file OPERATORS.

    The control machine and operators come to any address. Other nodes come over the mesh; to a node outside it, from
    their own addresses. sshd decides which account each then gets.
    """
    nodes = bundle.territory.nodes
    inside = mesh.plan(bundle, name) is not None
    gone = bundle.revoked_nodes | {name}
    callers = (it.name for it in nodes.values() if it.name not in gone and ("control" in it.roles or not inside))
    known = (*addresses(bundle, callers), *(declared(text, OPERATORS) for text in operators))
    return OpenPorts(known, tuple(it for it in mesh.addresses(bundle) if it != nodes[name].mesh) if inside else ())


def check_admits(found: OpenPorts, client: str) -> None:
    """Raise Refused when the rules would lock out who is applying them, from the address `client`."""
    if not found.admit(client):
        raise Refused(
            f"you are connected from {client}, which these rules would no longer admit.",
            where=OPERATORS,
            remedy="Add your network to it (`firewall_operators` in the inventory, then run the playbook `site`), or "
            "give a node the role control.",
        )


def part(bundle: Bundle, name: str, operators: Iterable[str], snippets: Iterable[Snippet]) -> Part:
    file = WantedFile(
        CONFIG,
        render(bundle, name, operators, snippets),
        mode=0o644,
        check=("nft", "--check", "--file", CANDIDATE),
        reload=_RELOAD,
        in_force=("nft", "list", "chain", *TABLE.split(), "input"),
    )
    control = (it.name for it in bundle.territory.nodes.values() if "control" in it.roles)
    lost = (
        f"The address of {it} is a name, and no rule admits it: add its network to {OPERATORS}."
        for it in control
        if not addresses(bundle, [it])
    )
    return Part("firewall", (file,), (OwnedFolder(SNIPPETS, names=""),), units=UNITS, warnings=tuple(lost))


def keeping(part: Part, operators: str) -> Part:
    """`part`, and the text `operators` in the file OPERATORS: written after the rules were found good, and taken back
    with them."""
    return replace(part, files=(*part.files, WantedFile(OPERATORS, operators, reload=_RELOAD)))


def render(bundle: Bundle, name: str, operators: Iterable[str] = (), snippets: Iterable[Snippet] = ()) -> str:
    """The rules of the node `name`, as `nft --file` reads them."""
    node, found = bundle.territory.nodes[name], mesh.plan(bundle, name)
    doorways = open_ports(bundle, name, operators)
    ours = (
        *_by_the_mesh_alone(node, found),
        *_ssh(node, doorways),
        *_wireguard(node, found),
        *_voters(bundle, name),
        *_broker(bundle, name),
        *_moving(bundle, node),
        *_monitors(bundle, name),
    )
    rules = (*_USUAL, *ours, *_of_roles(snippets, bundle.territory.sites[node.site].lan), *_REST)
    lines = [
        "#!/usr/sbin/nft -f",
        HEADING,
        f"# Rules of roles: {SNIPPETS}/*.nft; networks of operators: {OPERATORS}",
        f"table {TABLE}",
        f"delete table {TABLE}",
        f"table {TABLE} {{",
        *_chain("input", rules),
        *_chain("forward", _forward(found)),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _by_the_mesh_alone(node: Node, found: mesh.Mesh | None) -> Iterator[str]:
    if found is not None:
        yield "# The address in the mesh is for who comes through it, whatever a role lets in."
        yield f'iifname != "{INTERFACE}" ip daddr {node.mesh} drop'


def _moving(bundle: Bundle, node: Node) -> Iterator[str]:
    """Whether their addresses are here is no matter of these rules."""
    for service in moving_to(bundle.territory, node.name):
        form = form_of(service)
        yield f"# The {form.name} {service.name} at its own address, and the copy of it that is here."
        yield f'iifname != "{INTERFACE}" ip daddr {service.address} drop'
        yield f'iifname "{INTERFACE}" ip daddr {service.address} tcp dport {form.port} accept'
        if form.copy:
            yield f'iifname "{INTERFACE}" ip daddr {node.mesh} tcp dport {copy_port(service)} accept'
        if port := lan_port(service, node.name):
            yield from _by_ipv4(bundle.territory.sites[node.site].lan, port)


def _by_ipv4(networks: Iterable[str], port: int) -> Iterator[str]:
    """Let in PCs, from `networks` of version 4 alone: those can be made to wait (`programs/privileged.py`)."""
    if known := [it for it in map(network, networks) if isinstance(it, IPv4Network)]:
        yield "# The PCs of the site."
        yield from _at(known, str(port))


def _ssh(node: Node, found: OpenPorts) -> Iterator[str]:
    yield "# SSH: the control machine and the operators from their networks, other nodes' vault accounts over the mesh."
    yield from _at(found.networks, str(node.port))
    if found.mesh:
        yield f'iifname "{INTERFACE}" ip saddr {_set(found.mesh)} tcp dport {node.port} accept'


def _wireguard(node: Node, found: mesh.Mesh | None) -> Iterator[str]:
    if found is not None and node.mesh_port:
        yield "# WireGuard answers nobody whose key it does not know."
        yield f"udp dport {node.mesh_port} accept"


def _voters(bundle: Bundle, name: str) -> Iterator[str]:
    others = voter.others(bundle, name)
    if others:
        yield "# The other voters, and nobody else: a node with any certificate could get past the rules of this etcd."
    yield from _from(others, str(voter.PEER_PORT))


def _monitors(bundle: Bundle, name: str) -> Iterator[str]:
    asking = [node for node in exporters.monitors(bundle) if node.name != name]
    if asking:
        yield "# The monitoring nodes: what this one tells of itself."
    yield from _from(asking, _set(map(str, (exporters.PORT, exporters.NODE_PORT))))


def _from(nodes: Iterable[Node], ports: str) -> Iterator[str]:
    """Let in `nodes` at `ports` of TCP; one whose address is a name is let in nowhere."""
    yield from _at((it for node in nodes if (it := network(node.reach))), ports)


def _at(networks: Iterable[Network], ports: str) -> Iterator[str]:
    """Let in who comes from `networks` at `ports` of TCP."""
    yield from (f"{who} tcp dport {ports} accept" for who in _coming(networks))


def _coming(networks: Iterable[Network]) -> Iterator[str]:
    v4, v6 = joined(networks)
    for version, found in (("ip", v4), ("ip6", v6)):
        if found:
            yield f"{version} saddr {_set(map(shown, found))}"


def _broker(bundle: Bundle, name: str) -> Iterator[str]:
    """Nodes that were revoked are no members any more; who knocks shows a certificate all the same."""
    if voter.member_of(bundle, name) is None:
        return
    node = bundle.territory.nodes[name]
    yield "# Its broker, for the other nodes of the territory."
    if mesh.plan(bundle, name) is not None:
        listed = _set(it for it in mesh.addresses(bundle) if it != node.mesh)
        yield f'iifname "{INTERFACE}" ip saddr {listed} tcp dport {node.broker_port} accept'
        return
    callers = (it for it in bundle.members if it != name and it not in bundle.revoked_nodes)
    yield from _at(addresses(bundle, callers), str(node.broker_port))


def _of_roles(snippets: Iterable[Snippet], lan: Iterable[str]) -> Iterator[str]:
    coming = tuple(_coming(it for it in map(network, lan) if it))
    for snippet in snippets:
        yield f"# {SNIPPETS}/{snippet.name}"
        for line in filter(None, map(str.strip, snippet.text.splitlines())):
            rest = line.removeprefix(FROM_LAN)
            yield from (line,) if rest == line else (f"{who} {rest}" for who in coming)


def _forward(found: mesh.Mesh | None) -> Iterator[str]:
    if found is None or not found.relayed:
        return
    pair = _set(found.relayed)
    yield "# The relay hands on between nodes that are both behind NAT."
    yield f'iifname "{INTERFACE}" oifname "{INTERFACE}" ip saddr {pair} ip daddr {pair} accept'


def _set(elements: Iterable[str]) -> str:
    return "{ " + ", ".join(elements) + " }"


def _chain(name: str, rules: Iterable[str]) -> Iterator[str]:
    yield f"    chain {name} {{"
    yield f"        type filter hook {name} priority filter; policy drop;"
    yield from (f"        {rule}" for rule in rules)
    yield "    }"


# The errors of ICMP belong to connections (related). Of ICMPv6 a host cannot live without neighbours and routers: those
# are believed only with the hop limit 255, which no router passes on. Answers of DHCP
# come from another address than was asked.
_USUAL = (
    "ct state vmap { established : accept, related : accept, invalid : drop }",
    'iifname "lo" accept',
    "icmp type echo-request limit rate 20/second burst 50 packets accept",
    "icmpv6 type echo-request limit rate 20/second burst 50 packets accept",
    "icmpv6 type { nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } ip6 hoplimit 255"
    " limit rate 200/second burst 200 packets accept",
    "icmpv6 type { mld-listener-query, mld-listener-report, mld2-listener-report } ip6 saddr fe80::/10"
    " limit rate 20/second burst 50 packets accept",
    "udp sport 67 udp dport 68 accept",
    "ip6 saddr fe80::/10 udp sport 547 udp dport 546 accept",
)
_REST = (
    "# Everything else is dropped by the policy; a scan cannot fill the journal.",
    'limit rate 6/minute burst 12 packets log prefix "appliance refused: " level info',
    "counter",
)
