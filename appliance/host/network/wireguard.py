"""An interface of WireGuard, of the kernel or of wireguard-go, by `ip` and `wg`. The private key goes by a pipe."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from appliance.errors import ApplianceError
from appliance.host.command import CommandFailed, run
from appliance.host.network import netns
from appliance.secret import Secret

TIMEOUT_SECONDS = 60.0
APPEARS_WITHIN_SECONDS = 5.0
POLL_SECONDS = 0.05
SYSCTL = Path("/proc/sys/net/ipv4/conf")


def exists(interface: str) -> bool:
    return any(it["ifname"] == interface for it in netns.show(None, "link"))


def create(interface: str) -> None:
    """Have `interface` made by the kernel; where it cannot, wait for the one that wireguard-go is about to make.

    Raise ApplianceError when there is neither.
    """
    try:
        netns.batch(None, (f"link add {interface} type wireguard",))
    except CommandFailed as error:
        deadline = time.monotonic() + APPEARS_WITHIN_SECONDS
        while not exists(interface):
            if time.monotonic() > deadline:
                raise ApplianceError(
                    f"this kernel has no WireGuard, and wireguard-go could not create {interface}: {error}",
                    remedy="See `systemctl status appliance-mesh-userspace`.",
                ) from error
            time.sleep(POLL_SECONDS)


def addresses(interface: str) -> frozenset[str]:
    """The IPv4 addresses of `interface`, each with its length of prefix."""
    found = netns.show(None, "-4", "addr", "show", "dev", interface)
    return frozenset(f"{it['local']}/{it['prefixlen']}" for of in found for it in of.get("addr_info", []))


def routes(interface: str) -> frozenset[str]:
    """The IPv4 networks that are sent by `interface`."""
    found = netns.show(None, "-4", "route", "show", "dev", interface)
    return frozenset(it["dst"] if "/" in it["dst"] else f"{it['dst']}/32" for it in found)


def carry_out(lines: Iterable[str]) -> None:
    """Carry out `lines` of `ip`, without that word."""
    netns.batch(None, lines)


def sync(interface: str, configuration: Secret) -> None:
    """Give `interface` the whole `configuration` of wg(8); sessions with peers that stay are not cut."""
    argv = ("wg", "syncconf", interface, "/dev/stdin")
    run(argv, timeout_seconds=TIMEOUT_SECONDS, stdin=configuration.reveal(), check=True)


def endpoints(interface: str) -> dict[str, str]:
    """Where each peer of `interface` was met last, by its key; who was met nowhere is not among them."""
    told = run(("wg", "show", interface, "endpoints"), timeout_seconds=TIMEOUT_SECONDS, check=True).stdout.decode()
    pairs = (line.split("\t") for line in told.splitlines())
    return {key: at for key, at in pairs if at != "(none)"}


def set_forwarding(interface: str, on: bool) -> None:
    """Whether what comes in by `interface` may be handed on; other interfaces stay as they are.

    Redirects would tell the two ends to talk to each other directly, which they cannot.
    """
    (SYSCTL / interface / "forwarding").write_text("1" if on else "0")
    (SYSCTL / interface / "send_redirects").write_text("0")
