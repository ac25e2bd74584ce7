"""Bring the interface of the mesh to what its file says. Safe to repeat: only what differs is done.

The file is the one that wg-quick reads; we do not run wg-quick because it can only take everything down and up again,
and would pull down the sessions of every backup with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from appliance.errors import UsageError
from appliance.host.network import wireguard
from appliance.secret import Secret

INTERFACE = "mesh0"
CONFIG = f"/etc/wireguard/{INTERFACE}.conf"
FORWARDING = "PostUp = sysctl -q -w net.ipv4.conf.%i.forwarding=1"


@dataclass(frozen=True)
class Link:
    """`settings` are the lines that `wg` reads, without the private key; addresses and routes have their /32."""

    address: str
    routes: frozenset[str]
    forwarding: bool
    settings: str


@dataclass(frozen=True)
class Seen:
    addresses: frozenset[str] = frozenset()
    routes: frozenset[str] = frozenset()


def read(text: str) -> Link:
    """Return the settings in the file of wg-quick; raise UsageError when it has no address."""
    pairs = [(line, *(part.strip() for part in line.partition("=")[::2])) for line in text.splitlines()]
    address = next((value for _, key, value in pairs if key == "Address"), "")
    if not address:
        raise UsageError("it has no Address.", where=CONFIG, remedy="Write it again: `appliance internal node apply`.")
    allowed = (value for _, key, value in pairs if key == "AllowedIPs")
    return Link(
        address=address,
        routes=frozenset(network.strip() for value in allowed for network in value.split(",")),
        forwarding=FORWARDING in text.splitlines(),
        settings="".join(f"{line}\n" for line, key, _ in pairs if key not in ("Address", "PostUp")),
    )


def routed(text: str, service_routes: Mapping[str, str]) -> str:
    """`text` with addresses of services where `holders` says: each goes with an address of the mesh, to the peer that
    has it, or to none when that is this node's own."""
    return "".join(f"{_routed(line, service_routes)}\n" for line in text.splitlines())


def _routed(line: str, holders: Mapping[str, str]) -> str:
    key, _, value = line.partition(" = ")
    if key != "AllowedIPs":
        return line
    networks = [it for it in value.split(", ") if it.removesuffix("/32") not in holders]
    coming = [f"{at}/32" for at, to in holders.items() if f"{to}/32" in networks]
    return f"{key} = {', '.join((*networks, *coming))}"


def read_service_routes(text: str) -> dict[str, str]:
    """Where addresses of services are, by addresses of the mesh: what `programs/privileged.py` wrote; lines that
    say nothing are passed over."""
    return {it[0]: it[1] for it in map(str.split, text.splitlines()) if len(it) == 2}


def names(text: str) -> frozenset[str]:
    """The hosts that `text` meets at a name, not at an address."""
    return frozenset(name for line in text.splitlines() if (name := _name(line)))


def met(text: str, known: Mapping[str, str]) -> str:
    """`text` with the `known` addresses in the place of names. A peer whose name nobody knows now stays where it was
    met last: `wg` would refuse the whole file for it, and with it who was taken in or shut out."""
    lines = (_met(line, known) for line in text.splitlines())
    return "".join(f"{line}\n" for line in lines if line is not None)


def unmet(text: str, endpoints: Mapping[str, str]) -> frozenset[str]:
    """The names of peers that are met nowhere, by the `endpoints` of the interface, each with the peer's key."""
    found, key = set[str](), ""
    for line in text.splitlines():
        key = line.removeprefix("PublicKey = ") if line.startswith("PublicKey = ") else key
        if key not in endpoints and (name := _name(line)):
            found.add(name)
    return frozenset(found)


def _met(line: str, known: Mapping[str, str]) -> str | None:
    name = _name(line)
    if not name:
        return line
    if name not in known:
        return None
    port = line.rpartition(":")[2]
    return f"Endpoint = [{known[name]}]:{port}" if ":" in known[name] else f"Endpoint = {known[name]}:{port}"


def _name(line: str) -> str:
    key, _, value = line.partition(" = ")
    host = value.rpartition(":")[0].strip("[]")
    if key != "Endpoint":
        return ""
    with contextlib.suppress(ValueError):
        ip_address(host)
        return ""
    return host


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Wait until nobody else makes the interface what the file says. A run that read the file before another one was
    put in its place would bring back what that one took away."""
    fd = os.open(os.path.dirname(CONFIG), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def decide(link: Link, seen: Seen) -> tuple[str, ...]:
    """The lines of `ip` that make `seen` into `link`. Routes come last: none can be set while the interface is down."""
    return (
        *(f"addr del {address} dev {INTERFACE}" for address in sorted(seen.addresses - {link.address})),
        *([] if link.address in seen.addresses else [f"addr add {link.address} dev {INTERFACE}"]),
        f"link set {INTERFACE} up",
        *(f"route del {network} dev {INTERFACE}" for network in sorted(seen.routes - link.routes)),
        *(f"route replace {network} dev {INTERFACE}" for network in sorted(link.routes - seen.routes)),
    )


def planned(text: str) -> tuple[str, ...]:
    """The lines of `ip` that `bring_up` would take now."""
    return decide(read(text), _seen() if wireguard.exists(INTERFACE) else Seen())


def bring_up(text: str, key: Secret) -> tuple[str, ...]:
    """Make the interface what `text` says, with the private key `key` (base64); return the lines of `ip` it took."""
    link = read(text)
    if not wireguard.exists(INTERFACE):
        wireguard.create(INTERFACE)
    # Keys and peers before the addresses: no packet leaves by an interface that knows nobody.
    wireguard.sync(INTERFACE, _with_key(link.settings, key))
    lines = decide(link, _seen())
    wireguard.carry_out(lines)
    wireguard.set_forwarding(INTERFACE, link.forwarding)
    return lines


def _seen() -> Seen:
    return Seen(wireguard.addresses(INTERFACE), wireguard.routes(INTERFACE))


def _with_key(settings: str, key: Secret) -> Secret:
    own = b"[Interface]\nPrivateKey = " + key.reveal().strip() + b"\n"
    return Secret(settings.encode().replace(b"[Interface]\n", own, 1))
