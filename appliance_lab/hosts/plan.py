"""The parts of a lab, from a territory and a name alone: namespaces, bridges, links, addresses. Pure.

Each site is a network namespace with a bridge; its nodes hang on the bridge, each in a namespace of its own. Between
every two sites lies one veth pair, so that cutting, slowing or delaying it touches nothing else. A namespace called
core leads from the sites to this machine, for SSH and packages. Two labs with the same addresses never meet: only the
addresses between a core and the machine differ.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, ip_address
from itertools import combinations

from appliance.errors import NotFound, UsageError
from appliance.territory.model import Territory

PREFIX = "lab"
SITE_BITS = 24
UPLINKS = IPv4Network("198.18.0.0/15")  # for benchmarks (RFC 2544): nobody's network
NAME = re.compile(r"[a-z][a-z0-9-]{0,19}")
SSH_PORT = 22
MACHINE_NAME_LENGTH_MAX = 64  # the kernel's limit for a host name, which nspawn holds machine names to


@dataclass(frozen=True)
class Node:
    """A host; `namespace` also names it as a machine."""

    name: str
    site: str
    address: IPv4Address
    namespace: str

    @property
    def interface(self) -> str:
        """Its port on the bridge of its site."""
        return f"n{self.address.packed[3]}"


@dataclass(frozen=True)
class Site:
    name: str
    network: IPv4Network
    namespace: str

    @property
    def gateway(self) -> IPv4Address:
        return self.network.network_address + 1

    @property
    def interface(self) -> str:
        """The interface to this site in the namespaces of other sites and in the core; it stays when others join."""
        return f"s{str(self.network.network_address).rpartition('.')[0]}"


@dataclass(frozen=True)
class Link:
    """The line between two sites, `a` before `b` in the territory."""

    a: Site
    b: Site

    @property
    def name(self) -> str:
        return f"{self.a.name}--{self.b.name}"


@dataclass(frozen=True)
class Plan:
    lab: str
    core: str
    sites: tuple[Site, ...]
    nodes: tuple[Node, ...]
    links: tuple[Link, ...]

    @property
    def namespaces(self) -> tuple[str, ...]:
        return (self.core, *(site.namespace for site in self.sites), *(node.namespace for node in self.nodes))

    @property
    def targets(self) -> frozenset[str]:
        """The targets of faults: each link, and the cable of each node."""
        return frozenset((*(link.name for link in self.links), *(node.name for node in self.nodes)))

    def node(self, name: str) -> Node:
        """The node `name`; raise NotFound with the known ones."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise NotFound(f'there is no node "{name}" in the lab {self.lab}.', remedy=f"Known: {_names(self.nodes)}.")

    def site(self, name: str) -> Site:
        """The site `name`, or that of the node `name`; raise NotFound with the known ones."""
        wanted = next((node.site for node in self.nodes if node.name == name), name)
        for site in self.sites:
            if site.name in (name, wanted):
                return site
        raise NotFound(
            f'there is no site or node "{name}" in the lab {self.lab}.', remedy=f"Known: {_names(self.sites)}."
        )

    def link(self, name: str) -> Link:
        """The link "A--B" between two sites, each named itself or by a node; raise NotFound or UsageError."""
        ends = name.split("--")
        if len(ends) != 2:
            raise UsageError(f'"{name}" is not a link.', remedy="Write A--B, two sites or nodes.")
        wanted = {self.site(end).name for end in ends}
        for link in self.links:
            if {link.a.name, link.b.name} == wanted:
                return link
        raise UsageError(f'"{name}" is no link: both ends are at one site.', remedy=f"Known: {_names(self.links)}.")


@dataclass(frozen=True)
class Uplink:
    """The veth pair between the machine and the core of a lab: the one thing in which labs must differ."""

    number: int

    @property
    def network(self) -> IPv4Network:
        return IPv4Network((UPLINKS.network_address + 4 * self.number, 30))

    @property
    def machine(self) -> IPv4Address:
        return self.network.network_address + 1

    @property
    def core(self) -> IPv4Address:
        return self.network.network_address + 2

    @property
    def interface(self) -> str:
        """Its name on the machine; in the core it is `out`."""
        return f"lab{self.number}"


def make_plan(territory: Territory, lab: str) -> Plan:
    """The plan of the lab `lab` of `territory`; raise UsageError for a name or an address that no lab can have."""
    check_name(lab)
    networks = {name: _network(territory, name) for name in territory.sites}
    _check_distinct(networks)
    sites = tuple(
        Site(name, network, f"{PREFIX}.{lab}.site.{name}") for name, network in networks.items() if network is not None
    )
    nodes = tuple(
        Node(name, it.site, _address(name, it.address), f"{_nodes(lab)}{name}") for name, it in territory.nodes.items()
    )
    _check_nodes(territory, nodes, sites)
    return Plan(lab, f"{PREFIX}.{lab}.core", sites, nodes, tuple(Link(a, b) for a, b in combinations(sites, 2)))


def check_name(lab: str) -> None:
    """Raise UsageError for what cannot name a lab: folders, namespaces and interfaces are called after it."""
    if not NAME.fullmatch(lab):
        raise UsageError(
            f'"{lab}" cannot name a lab.', remedy="Use at most 20 small letters, digits and hyphens, a letter first."
        )


def belongs(name: str, lab: str) -> bool:
    """Whether a namespace of that name is one of the lab `lab`."""
    return name.startswith(f"{PREFIX}.{lab}.")


def is_node_of(lab: str, name: str) -> bool:
    """Whether a namespace or a machine of that name is a node of the lab `lab`."""
    return name.startswith(_nodes(lab))


def node_names(lab: str, names: Iterable[str]) -> frozenset[str]:
    """The nodes of `lab` whose namespace or machine is among `names`."""
    return frozenset(name.removeprefix(_nodes(lab)) for name in names if is_node_of(lab, name))


def _nodes(lab: str) -> str:
    return f"{PREFIX}.{lab}.node."


def _address(node: str, text: str) -> IPv4Address:
    try:
        address = ip_address(text)
    except ValueError:
        address = None
    if not isinstance(address, IPv4Address) or not address.is_private or address.is_loopback:
        raise UsageError(
            f'{node}: a lab cannot give the address "{text}" to a host.',
            remedy="Use private IPv4 addresses, as in inventory/lab.",
        )
    return address


def _network(territory: Territory, site: str) -> IPv4Network | None:
    """The network of a site, None when it has no node; raise UsageError when its nodes do not share one."""
    found = {
        IPv4Network((_address(node.name, node.address), SITE_BITS), strict=False)
        for node in territory.nodes.values()
        if node.site == site
    }
    if len(found) > 1:
        raise UsageError(f"{site}: its nodes must share one /{SITE_BITS} network.", remedy="Change their addresses.")
    return found.pop() if found else None


def _check_distinct(networks: dict[str, IPv4Network | None]) -> None:
    counted = Counter(network for network in networks.values() if network is not None)
    for network, sites in counted.items():
        if sites > 1:
            names = ", ".join(name for name, of_site in networks.items() if of_site == network)
            raise UsageError(f"{names}: each site needs a /{SITE_BITS} of its own, and both are in {network}.")


def _check_nodes(territory: Territory, nodes: tuple[Node, ...], sites: tuple[Site, ...]) -> None:
    gateways = {site.gateway for site in sites}
    for node in nodes:
        if len(node.namespace) > MACHINE_NAME_LENGTH_MAX:
            raise UsageError(f"{node.name}: this name is too long for a lab.", remedy="Shorten it, or the lab's.")
        if node.address in gateways:
            raise UsageError(f"{node.name}: {node.address} is the gateway of its site.", remedy="Take another address.")
        if territory.nodes[node.name].port != SSH_PORT:
            raise UsageError(
                f"{node.name}: hosts of a lab listen on port {SSH_PORT}.", remedy=f"Give port: {SSH_PORT}."
            )


def _names(things: tuple[Node, ...] | tuple[Site, ...] | tuple[Link, ...]) -> str:
    return ", ".join(thing.name for thing in things)
