"""Addresses of nodes as the kernel wants them. A name is not one: no DNS answer must change a rule."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network

from appliance.errors import UsageError
from appliance.trust.bundle import Bundle

type Network = IPv4Network | IPv6Network


def network(text: str) -> Network | None:
    """`text` as a network, a single address as one of its own; None when it is a name."""
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def declared(text: str, where: str) -> Network:
    """The network that somebody wrote in the file `where`; raise UsageError for what is none."""
    found = network(text)
    if found is None:
        raise UsageError(f'"{text}" is neither an address nor a network.', where=where, remedy="Write 192.0.2.0/24.")
    return found


def addresses(bundle: Bundle, names: Iterable[str]) -> tuple[Network, ...]:
    """The addresses of the nodes `names`, those left out that are names."""
    found = (network(bundle.territory.nodes[name].address) for name in names)
    return tuple(it for it in found if it is not None)


def joined(networks: Iterable[Network]) -> tuple[tuple[IPv4Network, ...], tuple[IPv6Network, ...]]:
    """`networks` by family, sorted and without overlaps: nft refuses a set in which two elements overlap."""
    found = tuple(networks)
    v4 = collapse_addresses(it for it in found if isinstance(it, IPv4Network))
    v6 = collapse_addresses(it for it in found if isinstance(it, IPv6Network))
    return tuple(v4), tuple(v6)


def shown(it: Network) -> str:
    """As nft and `ip` print it: a single address without its /32."""
    return str(it.network_address) if it.prefixlen == it.max_prefixlen else str(it)


def bracketed(address: str) -> str:
    """As it stands before a port: an address of version 6 in brackets."""
    return f"[{address}]" if ":" in address else address
