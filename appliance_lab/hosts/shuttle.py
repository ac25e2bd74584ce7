"""A router in user space, for kernels without netem: what enters one end leaves the other later, or not at all.

    python3 -I -S shuttle.py tun|tap DELAY_SECONDS LOSS NAMESPACE:INTERFACE NAMESPACE:INTERFACE

It makes both interfaces; they vanish when it ends, so that a dead router is a dead line and never a faultless one. A
program of its own without imports of ours. It ends by itself when one of its interfaces is taken away.
"""

import contextlib
import errno
import fcntl
import os
import random
import select
import struct
import sys
import time
from collections import deque

TUNSETIFF, IFF_TUN, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0001, 0x0002, 0x1000
KINDS = {"tun": IFF_TUN, "tap": IFF_TAP}
PACKET_BYTES_MAX = 65536
BATCH = 64  # packets from one end before the other has its turn
HELD_MAX = 100_000  # packets under way in one direction: 1 Gbit/s for a second


def open_end(kind: str, place: str) -> int:
    """A descriptor of the new interface "NAMESPACE:INTERFACE"."""
    namespace, interface = place.split(":")
    with open(f"/run/netns/{namespace}") as folder:
        os.setns(folder.fileno(), os.CLONE_NEWNET)
    end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(end, TUNSETIFF, struct.pack("16sH22x", interface.encode(), KINDS[kind] | IFF_NO_PI))
    return end


class Way:
    """One direction; `held` are packets with the time when each is due."""

    def __init__(self, source: int, to: int) -> None:
        self.source = source
        self.to = to
        self.held: deque[tuple[float, bytes]] = deque()

    def take(self, delay_seconds: float, loss: float) -> None:
        for _ in range(BATCH):
            try:
                packet = os.read(self.source, PACKET_BYTES_MAX)
            except BlockingIOError:
                return
            if len(self.held) < HELD_MAX and (not loss or random.random() >= loss):
                self.held.append((time.monotonic() + delay_seconds, packet))

    def give(self) -> None:
        """Hand over what is due."""
        now = time.monotonic()
        while self.held and self.held[0][0] <= now:
            packet = self.held.popleft()[1]
            # The other end is down, or its queue is full: packets are lost there, as on any line.
            with contextlib.suppress(OSError):
                os.write(self.to, packet)


def carry(ends: tuple[int, int], delay_seconds: float, loss: float) -> None:
    """Carry packets both ways until an end is taken away."""
    ways = {ends[0]: Way(*ends), ends[1]: Way(ends[1], ends[0])}
    while True:
        due = min((way.held[0][0] for way in ways.values() if way.held), default=None)
        wait = None if due is None else max(0.0, due - time.monotonic())
        for end in select.select(ends, (), (), wait)[0]:
            ways[end].take(delay_seconds, loss)
        for way in ways.values():
            way.give()


def main() -> None:
    kind, delay, loss, first, second = sys.argv[1:]
    # A line does not get longer when this machine is busy. Where the kernel refuses, it does, by some milliseconds.
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    try:
        carry((open_end(kind, first), open_end(kind, second)), float(delay), float(loss))
    except OSError as error:
        if error.errno != errno.EBADFD:
            sys.exit(f"{first} and {second}: {error.strerror}")


if __name__ == "__main__":
    main()
