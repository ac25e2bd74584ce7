"""The network of a lab: what the plan says, as lines of `ip` and rules of `nft`, and carrying them out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from appliance.host.network import netns, nft
from appliance_lab.hosts.plan import Link, Node, Plan, Site, Uplink

FORWARD = Path("/proc/sys/net/ipv4/ip_forward")


def ensure(plan: Plan, uplink: Uplink, *, whole: bool) -> None:
    """Make what is missing of core, sites and links. A part that is there stays as it is, cut or slow, unless `whole`
    asks for all of it to be set again, as after an `up` that was interrupted."""
    there = {None: interfaces(None), plan.core: _join(plan.core)}
    there |= {site.namespace: _join(site.namespace) for site in plan.sites}
    for part in _parts(plan, uplink):
        exists = part.interface in there[part.namespace]
        if not exists:
            netns.batch(part.namespace, (f"link add {part.interface} {part.kind}",))
        if whole or not exists:
            for namespace, lines in part.settings:
                netns.batch(namespace, lines)
    nft.replace_table(table(plan.lab), machine_rules(uplink))
    nft.replace_table("ip core", _RULES_OF_CORE, namespace=plan.core)


def destroy(lab: str, namespaces: Iterable[str], uplink: Uplink | None) -> None:
    """Take away what `ensure` and `plug` made, also when only a part of it is there."""
    if uplink is not None and uplink.interface in interfaces(None):
        netns.batch(None, (f"link delete {uplink.interface}",))
    for namespace in namespaces:
        netns.delete(namespace)
    nft.delete_table(table(lab))


def plug(node: Node, site: Site) -> None:
    """A new namespace for `node`, as a machine is switched on: no rule and no interface of its past is in it."""
    # First the interface: that of a deleted namespace goes at a moment of the kernel's own choice.
    if node.interface in interfaces(site.namespace):
        netns.batch(site.namespace, (f"link delete {node.interface}",))
    if node.namespace in netns.names():
        netns.delete(node.namespace)
    netns.add(node.namespace)
    netns.batch(
        site.namespace,
        (
            f"link add {node.interface} type veth peer name host0 netns {node.namespace}",
            f"link set {node.interface} master lan up",
        ),
    )
    netns.batch(
        node.namespace,
        (
            "link set lo up",
            f"addr add {node.address}/{site.network.prefixlen} dev host0",
            "link set host0 up",
            f"route add default via {site.gateway}",
        ),
    )


def table(lab: str) -> str:
    """The nftables table of a lab in this machine's own network."""
    return f"ip lab-{lab}"


def free_uplink(taken: Iterable[int], routes: Iterable[IPv4Network]) -> Uplink:
    """The first uplink that no other lab has and no route of this machine overlaps."""
    numbers, known = frozenset(taken), tuple(routes)
    number = 0
    while number in numbers or any(Uplink(number).network.overlaps(route) for route in known):
        number += 1
    return Uplink(number)


def routes() -> list[IPv4Network]:
    """Where this machine's routes lead, its default route left out."""
    found = netns.show(None, "-4", "route", "show", "table", "all")
    return [IPv4Network(it["dst"], strict=False) for it in found if it["dst"] != "default"]


def _join(namespace: str) -> frozenset[str]:
    """The interfaces in `namespace`, which is made when it is not there."""
    if namespace in netns.names() and not netns.is_whole(namespace):
        netns.delete(namespace)
    if namespace not in netns.names():
        netns.add(namespace)
    netns.batch(namespace, ("link set lo up",))
    netns.set_sysctl(namespace, "net/ipv4/ip_forward", "1")
    return interfaces(namespace)


def interfaces(namespace: str | None) -> frozenset[str]:
    """The interfaces in `namespace`, in this machine's own network for None."""
    return frozenset(it["ifname"] for it in netns.show(namespace, "link"))


@dataclass(frozen=True)
class _Part:
    """An interface made in `namespace`, and the lines that set it and its peer; they may be repeated."""

    namespace: str | None
    interface: str
    kind: str
    settings: tuple[tuple[str | None, tuple[str, ...]], ...]


def _parts(plan: Plan, uplink: Uplink) -> Iterator[_Part]:
    """All of the network but the nodes, in the order in which it can be made."""
    yield _uplink(plan, uplink)
    for site in plan.sites:
        yield _bridge(site)
        yield _way_out(plan.core, site, uplink)
    for link in plan.links:
        yield _link(link)


def _uplink(plan: Plan, uplink: Uplink) -> _Part:
    machine = (f"addr replace {uplink.machine}/30 dev {uplink.interface}", f"link set {uplink.interface} up")
    core = (
        f"addr replace {uplink.core}/30 dev out",
        "link set out up",
        f"route replace default via {uplink.machine}",
    )
    return _Part(
        None, uplink.interface, f"type veth peer name out netns {plan.core}", ((None, machine), (plan.core, core))
    )


def _bridge(site: Site) -> _Part:
    lines = (f"addr replace {site.gateway}/{site.network.prefixlen} dev lan", "link set lan up")
    return _Part(site.namespace, "lan", "type bridge", ((site.namespace, lines),))


def _way_out(core: str, site: Site, uplink: Uplink) -> _Part:
    """Between core and site: SSH from the machine, packages for the nodes. It has no addresses of its own."""
    there = ("link set out up", f"route replace default via {uplink.core} dev out onlink")
    kind = f"type veth peer name out netns {site.namespace}"
    return _Part(core, site.interface, kind, ((site.namespace, there), (core, towards(site))))


def _link(link: Link) -> _Part:
    a, b = link.a, link.b
    kind = f"type veth peer name {a.interface} netns {b.namespace}"
    settings = ((a.namespace, (f"link set {b.interface} up",)), (b.namespace, towards(a)), (a.namespace, towards(b)))
    return _Part(a.namespace, b.interface, kind, settings)


def towards(site: Site) -> tuple[str, ...]:
    """The lines that send what is for `site` over its interface."""
    return (
        f"link set {site.interface} up",
        f"route replace {site.network} via {site.gateway} dev {site.interface} onlink",
    )


# The machine sees one address a lab, so that labs with the same addresses do not meet. Sites never reach each other
# through the core: else a link that is cut or slow would have a way around it.
_RULES_OF_CORE = """
    chain out {
        type nat hook postrouting priority srcnat;
        oifname "out" masquerade
    }
    chain between {
        type filter hook forward priority filter;
        iifname != "out" oifname != "out" drop
    }
"""


def machine_rules(uplink: Uplink) -> str:
    """Let the lab out, but nobody in; packets fit the narrowest line on the way."""
    return f"""
    chain out {{
        type nat hook postrouting priority srcnat;
        ip saddr {uplink.network} oifname != "{uplink.interface}" masquerade
    }}
    chain fit {{
        type filter hook forward priority mangle;
        iifname "{uplink.interface}" tcp flags syn tcp option maxseg size set rt mtu
        oifname "{uplink.interface}" tcp flags syn tcp option maxseg size set rt mtu
    }}
"""
