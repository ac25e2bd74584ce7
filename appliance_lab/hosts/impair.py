"""Make the lines of a lab as bad as was asked, and good again.

All of it can be repeated, and goes on where a crash stopped it: what is in force is looked at, never believed.

- cut: a link by nftables in both its sites, a node by taking its port down, as who pulls the cable.
- rate: a token bucket at both ends.
- delay and loss: netem at both ends; where the kernel has none, a router in user space (`shuttle.py`). A link then runs
  through the shuttle's interfaces in place of its own; a node's port moves to a bridge behind the shuttle.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from appliance.errors import ApplianceError
from appliance.host.detached import start_detached
from appliance.host.network import netns, nft
from appliance.host.processes import Process, processes_running
from appliance_lab.hosts import network, shuttle
from appliance_lab.hosts.faults import HEALED, Fault
from appliance_lab.hosts.kernel import NETEM, SHUTTLE, TBF
from appliance_lab.hosts.plan import Link, Node, Plan, Site, belongs

SHUTTLE_SECONDS_MAX = 10.0
LOOK_EVERY_SECONDS = 0.01
CUTS = "inet cuts"  # the table of cut links in the namespace of a site
BURST_SECONDS, BURST_BYTES_MIN = 0.01, 5_000
LATENCY = "100ms"  # how long a packet waits at a throttled end before it is dropped
NETEM_PACKETS = 100_000
_QUEUES = frozenset({TBF, NETEM})


@dataclass(frozen=True)
class End:
    """An interface in a namespace."""

    namespace: str
    interface: str

    @property
    def place(self) -> str:
        return f"{self.namespace}:{self.interface}"


@dataclass(frozen=True)
class Making:
    """By what faults are made, and where a shuttle writes why it ended."""

    backends: Mapping[str, str]
    log: Path


def impair(plan: Plan, faults: Mapping[str, Fault], target: str, making: Making) -> None:
    """Make `target` as `faults` has it, faultless when it is not in there; `faults` are those of the whole lab."""
    fault = faults.get(target, HEALED)
    if "--" in target:
        link = plan.link(target)
        _impair_link(link, fault, making)
        for site in (link.a, link.b):
            _cut_links(plan, site, faults)
    else:
        node = plan.node(target)
        _impair_cable(node, plan.site(node.site), fault, making)


def end_shuttles(lab: str) -> None:
    """End every shuttle of `lab`; they hold its namespaces, so this comes before those are taken away."""
    for found in _shuttles():
        if belongs(found.argv[-1], lab):
            found.end()


def is_dead(plan: Plan, target: str, fault: Fault, making: Making) -> bool:
    """Whether the shuttle that `fault` needs has ended: then nothing passes at all."""
    if not _needs_shuttle(fault, making):
        return False
    wanted = _shuttle_argv(plan, target, fault)[-5:]
    return not any(found.argv[-5:] == wanted for found in _shuttles())


def queue_words(fault: Fault, backends: Mapping[str, str]) -> str:
    """Return the words that `tc qdisc add dev X root` takes for `fault`; "" for none."""
    rate = fault.rate
    by_netem = ("delay" in fault.needs and backends["delay"] == NETEM) or (rate and backends["throttle"] == NETEM)
    if by_netem:
        limited = f" rate {rate}bit" if rate else ""
        delay = f"{round(1_000_000 * fault.delay_seconds)}us"
        return f"netem limit {NETEM_PACKETS} delay {delay} loss {100 * fault.loss:g}%{limited}"
    if rate:
        burst = max(BURST_BYTES_MIN, round(rate / 8 * BURST_SECONDS))
        return f"tbf rate {rate}bit burst {burst} latency {LATENCY}"
    return ""


def _impair_link(link: Link, fault: Fault, making: Making) -> None:
    ends, through = _ends(link), _shuttle_ends(link)
    shuttled = _shuttle("tun", through, fault, making)
    for end, detour, peer in zip(ends, through, (link.b, link.a), strict=True):
        around = (f"link set {detour.interface} up", f"route replace {peer.network} dev {detour.interface}")
        netns.batch(end.namespace, around if shuttled else network.towards(peer))
        _queue(end, HEALED if shuttled else fault, making.backends)
        if shuttled:
            _queue(detour, fault, making.backends)


def _impair_cable(node: Node, site: Site, fault: Fault, making: Making) -> None:
    port, number = node.interface, node.interface[1:]
    there = network.interfaces(site.namespace)
    if port not in there:
        return  # the node was never switched on; its faults are made when it is
    bridge, (inner, outer) = f"c{number}", _tap_ends(node, site)
    if _shuttle("tap", (inner, outer), fault, making):
        lines = [] if bridge in there else [f"link add {bridge} type bridge"]
        lines += [f"link set {bridge} up", f"link set {inner.interface} master {bridge} up"]
        lines += [f"link set {outer.interface} master lan up", f"link set {port} master {bridge}"]
    else:
        lines = [f"link set {port} master lan", *([f"link delete {bridge}"] if bridge in there else [])]
    netns.batch(site.namespace, (*lines, f"link set {port} {'down' if fault.cut else 'up'}"))
    for end in (End(site.namespace, port), End(node.namespace, "host0")):
        _queue(end, fault, making.backends)


def _cut_links(plan: Plan, site: Site, faults: Mapping[str, Fault]) -> None:
    """Nothing that a cut link loses passes between `site` and its other end, whatever way it would take."""
    drops = ""
    for link in plan.links:
        fault = faults.get(link.name, HEALED)
        if not fault.cut or site not in (link.a, link.b):
            continue
        peer = link.b if link.a == site else link.a
        drops += f"ip daddr {peer.network} drop\n" if fault.cut_from != peer.name else ""
        drops += f"ip saddr {peer.network} drop\n" if fault.cut_from != site.name else ""
    if not drops:
        nft.delete_table(CUTS, namespace=site.namespace)
        return
    body = f"chain forward {{\ntype filter hook forward priority filter - 10;\n{drops}}}\n"
    nft.replace_table(CUTS, body, namespace=site.namespace)


def _queue(end: End, fault: Fault, backends: Mapping[str, str]) -> None:
    words = queue_words(fault, backends)
    lines = [f"qdisc delete dev {end.interface} root"] if netns.queue(end.namespace, end.interface) in _QUEUES else []
    netns.batch_tc(end.namespace, (*lines, *([f"qdisc add dev {end.interface} root {words}"] if words else [])))


def _needs_shuttle(fault: Fault, making: Making) -> bool:
    return "delay" in fault.needs and making.backends["delay"] == SHUTTLE


def _shuttle(kind: str, ends: tuple[End, End], fault: Fault, making: Making) -> bool:
    """Have the shuttle that `fault` needs between `ends`, and no other; whether there is one."""
    argv = shuttle_between(kind, ends, fault)
    wanted = _needs_shuttle(fault, making)
    running = [found for found in _shuttles() if found.argv[-2:] == argv[-2:]]
    if wanted and any(found.argv[-5:] == argv[-5:] for found in running):
        return True
    for found in running:
        found.end()
    if wanted:
        start_detached(argv, log=making.log)
        wait_for(ends, str(making.log))
    return wanted


def wait_for(ends: tuple[End, End], where: str) -> None:
    """Until a shuttle has made its `ends`; `where` it may have said why it did not."""
    deadline = time.monotonic() + SHUTTLE_SECONDS_MAX
    while not all(end.interface in network.interfaces(end.namespace) for end in ends):
        if time.monotonic() > deadline:
            raise ApplianceError("the router in user space did not start.", where=where)
        time.sleep(LOOK_EVERY_SECONDS)


def _shuttles() -> Iterator[Process]:
    return processes_running(Path(shuttle.__file__).name)


def shuttle_between(kind: str, ends: tuple[End, End], fault: Fault) -> tuple[str, ...]:
    """The command line of the shuttle that lets what goes between `ends` come as `fault` has it."""
    places = (end.place for end in ends)
    values = (f"{fault.delay_seconds:g}", f"{fault.loss:g}")
    return (sys.executable, "-I", "-S", str(Path(shuttle.__file__)), kind, *values, *places)


def _shuttle_argv(plan: Plan, target: str, fault: Fault) -> tuple[str, ...]:
    if "--" in target:
        return shuttle_between("tun", _shuttle_ends(plan.link(target)), fault)
    node = plan.node(target)
    return shuttle_between("tap", _tap_ends(node, plan.site(node.site)), fault)


def _ends(link: Link) -> tuple[End, End]:
    """Where packets leave a site for the other one: first at `a`."""
    return End(link.a.namespace, link.b.interface), End(link.b.namespace, link.a.interface)


def _shuttle_ends(link: Link) -> tuple[End, End]:
    """The same of a shuttle. The names begin alike: rules on all links of a site go on to hold."""
    first, second = _ends(link)
    return End(first.namespace, f"{first.interface}d"), End(second.namespace, f"{second.interface}d")


def _tap_ends(node: Node, site: Site) -> tuple[End, End]:
    """The shuttle's ends towards the node and towards the bridge of its site."""
    number = node.interface[1:]
    return End(site.namespace, f"u{number}"), End(site.namespace, f"t{number}")
