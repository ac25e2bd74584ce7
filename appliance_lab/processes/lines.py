"""Lines between nodes that run as processes: each in a network namespace of its own, joined by one that routes.

A cut drops packets, as a dug-up cable does: nobody is told, connections hang until somebody's time is up. On a bad line
so many packets of a hundred are dropped, by the kernel's own dice. Over a long one they come later, by a router in user
space. It needs root and touches nothing but namespaces that were made here.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from appliance.host.network import netns, nft
from appliance_lab.hosts.faults import Fault
from appliance_lab.hosts.impair import End, shuttle_between, wait_for

TABLE = "inet cuts"
NETWORK = "10.77"


def can_cut() -> bool:
    """Whether this process may make namespaces."""
    return os.geteuid() == 0


@dataclass
class Lines:
    """`names`: the nodes. A pair (a, b) in what drops means that of what goes from a to b so many packets of a hundred
    do not arrive."""

    prefix: str
    names: tuple[str, ...]
    _drops: dict[str, tuple[int, frozenset[tuple[str, str]]]] = field(default_factory=dict)
    _shuttles: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def hub(self) -> str:
        return f"{self.prefix}-hub"

    def namespace(self, name: str) -> str:
        return f"{self.prefix}-{name}"

    def address(self, name: str) -> str:
        return f"{NETWORK}.{self.names.index(name)}.2"

    def cut(self, why: str, pairs: Collection[tuple[str, str]]) -> None:
        """Cut these until `mend(why)`; other cuts go on."""
        self.lose(why, pairs, 100)

    def lose(self, why: str, pairs: Collection[tuple[str, str]], percent: int) -> None:
        """Drop `percent` of the packets on these until `mend(why)`."""
        self._drops[why] = percent, frozenset(pairs)
        self._apply()

    def mend(self, why: str) -> None:
        self._drops.pop(why, None)
        self._apply()

    def delay(self, name: str, seconds: float) -> None:
        """Let all that goes to and from `name` come so much later, each way, until `hasten(name)`."""
        address, number = self.address(name), self.names.index(name)
        far, near = ends = End(self.hub, f"far{number}"), End(self.namespace(name), "near")
        self._shuttles[name] = subprocess.Popen(shuttle_between("tun", ends, Fault(delay_seconds=seconds)))
        wait_for(ends, name)
        netns.batch(far.namespace, (f"link set {far.interface} up", f"route add {address}/32 dev {far.interface}"))
        around = f"route replace default dev {near.interface} src {address}"
        netns.batch(near.namespace, (f"link set {near.interface} up", around))

    def hasten(self, name: str) -> None:
        """The way past the shuttle is back before that ends; its interfaces and routes go with it."""
        gateway = f"{NETWORK}.{self.names.index(name)}.1"
        netns.batch(self.namespace(name), (f"route replace default via {gateway}",))
        ended = self._shuttles.pop(name)
        ended.kill()
        ended.wait()

    def of_node(self, name: str, *, out: bool = True, into: bool = True) -> frozenset[tuple[str, str]]:
        """The lines between `name` and all others."""
        others = [it for it in self.names if it != name]
        outward = {(name, other) for other in others} if out else set()
        return frozenset(outward | ({(other, name) for other in others} if into else set()))

    def _apply(self) -> None:
        drops = sorted({(a, b, percent) for percent, pairs in self._drops.values() for a, b in pairs})
        rules = "".join(self._rule(*it) for it in drops)
        body = f"chain forward {{ type filter hook forward priority 0; policy accept;\n{rules}}}\n"
        nft.replace_table(TABLE, body, namespace=self.hub)

    def _rule(self, a: str, b: str, percent: int) -> str:
        dice = "" if percent >= 100 else f"numgen random mod 100 < {percent} "
        return f"ip saddr {self.address(a)} ip daddr {self.address(b)} {dice}drop\n"

    def _make(self) -> None:
        netns.add(self.hub)
        netns.set_sysctl(self.hub, "net/ipv4/ip_forward", "1")
        for number, name in enumerate(self.names):
            here, gateway = self.namespace(name), f"{NETWORK}.{number}.1"
            netns.add(here)
            netns.batch(self.hub, (f"link add n{number} type veth peer name out netns {here}",))
            netns.batch(self.hub, (f"address add {gateway}/24 dev n{number}", f"link set n{number} up"))
            inside = (f"address add {self.address(name)}/24 dev out", "link set out up", "link set lo up")
            netns.batch(here, (*inside, f"route add default via {gateway}"))
        self._apply()

    def _unmake(self) -> None:
        for name in tuple(self._shuttles):
            self.hasten(name)
        there = netns.names()
        for name in (self.hub, *map(self.namespace, self.names)):
            if name in there:
                netns.delete(name)


@contextlib.contextmanager
def lines_between(names: Collection[str]) -> Iterator[Lines]:
    """Namespaces for `names`, which end with the context; what runs in them must have ended before."""
    made = Lines(f"lines-{secrets.token_hex(3)}", tuple(names))
    try:
        made._make()
        yield made
    finally:
        made._unmake()
