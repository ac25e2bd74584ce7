"""Which ports of a host are open, as JSON, seen from the network that this runs in. Needs root.

    python3 -I scan.py ADDRESS PORT,... [UDP-PORT...]

A SYN goes to each of the 65,535 ports of TCP, twice more to those below 1024 and to the named ones, and what answers
"come in" is open; nothing is ever connected. Named are those at which the host listens: they are what may be open, and
none must be missed because a buffer on a busy machine was full. So they are asked apart from the many, and each time
from another port: who still waits for the end of a first try answers another one with a bare ACK (RFC 9293, 3.10.7.4).
The standard library is enough: it runs on a bare node too.
"""

from __future__ import annotations

import json
import random
import select
import socket
import struct
import sys
import time
from collections.abc import Iterable

SYN, ACK = 0x02, 0x10
EVERY, COMMON = range(1, 65536), range(1, 1024)
AGAIN = 2  # a buffer on the way may be full once, and on a busy machine twice
AT_ONCE = 256
PAUSE_SECONDS = 0.002
QUIET_SECONDS = 0.5
UDP_SECONDS = 0.3


def open_ports(address: str, source: str, named: Iterable[int]) -> list[int]:
    """The ports of TCP at `address` that answer a SYN from `source` with SYN and ACK."""
    named = sorted(named)
    found: set[int] = set()
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) as raw:
        raw.bind((source, 0))
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        own_ports = random.sample(range(32768, 61000), 1 + 2 * AGAIN)
        for own_port, ports in zip(own_ports, (EVERY, *[COMMON, named] * AGAIN), strict=True):
            for first in range(0, len(ports), AT_ONCE):
                for port in ports[first : first + AT_ONCE]:
                    raw.sendto(segment(source, address, own_port, port), (address, 0))
                found |= answers(raw, address, own_ports, PAUSE_SECONDS)
            found |= answers(raw, address, own_ports, QUIET_SECONDS)
    return sorted(found)


def answers(raw: socket.socket, address: str, own_ports: list[int], seconds: float) -> set[int]:
    """The ports that are open, until nobody has answered us for `seconds`, whatever else this host hears."""
    found: set[int] = set()
    now = time.monotonic()
    last, latest = now, now + 5
    while (now := time.monotonic()) < min(last + seconds, latest):
        if not select.select([raw], [], [], last + seconds - now)[0]:
            break
        packet = raw.recv(65535)
        header = (packet[0] & 15) * 4
        if len(packet) < header + 20 or socket.inet_ntoa(packet[12:16]) != address:
            continue
        port, to, _, _, _, flags = struct.unpack("!HHIIBB", packet[header : header + 14])
        if to in own_ports:
            last = time.monotonic()
            found |= {port} if flags & (SYN | ACK) == SYN | ACK else set()
    return found


def segment(source: str, address: str, own_port: int, port: int) -> bytes:
    """A SYN (RFC 9293), with its checksum."""
    bare = struct.pack("!HHIIBBHHH", own_port, port, random.getrandbits(32), 0, 5 << 4, SYN, 64240, 0, 0)
    pseudo = socket.inet_aton(source) + socket.inet_aton(address) + struct.pack("!BBH", 0, socket.IPPROTO_TCP, 20)
    total = sum(struct.unpack(f"!{len(pseudo + bare) // 2}H", pseudo + bare))
    total = (total & 0xFFFF) + (total >> 16)
    checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    return bare[:16] + struct.pack("!H", checksum) + bare[18:]


def udp(address: str, port: int) -> str:
    """Return the reply to a datagram of nonsense to `port`: "answer", "refused" by ICMP, or "silence"."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(UDP_SECONDS)
        asking.connect((address, port))
        try:
            asking.send(b"\x01" + bytes(147))  # as long as the first message of WireGuard
            asking.recv(1)
        except TimeoutError:
            return "silence"
        except ConnectionRefusedError:
            return "refused"
        return "answer"


def own_address(address: str) -> str:
    """The address from which this network talks to `address`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.connect((address, 9))
        return str(asking.getsockname()[0])


def main(address: str, named: str, *udp_ports: str) -> None:
    found = open_ports(address, own_address(address), [int(port) for port in named.split(",") if port])
    print(json.dumps({"tcp": found, "udp": {port: udp(address, int(port)) for port in udp_ports}}))


if __name__ == "__main__":
    main(*sys.argv[1:])
