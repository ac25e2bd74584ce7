"""The process that reads a person's file to show it: `python3 -m appliance.restore.preview.worker`.

The question comes on standard input with the file itself, the answer goes to standard output: the worker opens no file
of the town's, and needs none. On a host systemd starts it (`appliance-preview@.service`) without network, files or
rights. Started by another program it gives up what it can: time, memory, size, powers, and the network by namespaces of
its own. Where it keeps the network it reads nothing of the file.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from dataclasses import replace
from typing import BinaryIO

from appliance.host.children import hand_on_no_powers
from appliance.restore.preview.model import FILE_BYTES_MAX, Asked, Preview, to_wire
from appliance.restore.preview.show import show
from appliance.units import MIB

CPU_SECONDS_MAX = 15
MEMORY_BYTES_MAX = 768 * MIB
LIMITS = {
    resource.RLIMIT_CPU: CPU_SECONDS_MAX,
    resource.RLIMIT_AS: MEMORY_BYTES_MAX,
    resource.RLIMIT_FSIZE: 64 * MIB,
    resource.RLIMIT_NOFILE: 64,
    resource.RLIMIT_CORE: 0,
}
CONFINED = "--confined"
LINE_LENGTH_MAX = 1000


def main() -> int:
    missing = () if CONFINED in sys.argv[1:] else confine()
    preview = Preview("none", "unavailable") if "network" in missing else answer(sys.stdin.buffer)
    sys.stdout.buffer.write(to_wire(replace(preview, missing=missing)))
    return 0


def answer(source: BinaryIO) -> Preview:
    """The preview that is asked for on `source`."""
    try:
        fields = json.loads(source.readline(LINE_LENGTH_MAX))
        asked = Asked(int(fields["page"]), bool(fields["text"]))
    except (ValueError, KeyError, TypeError):
        return Preview("none", "broken")
    content = source.read(FILE_BYTES_MAX + 1)
    if len(content) > FILE_BYTES_MAX:
        return Preview("none", "too-large")
    return show(content, asked)


def confine() -> tuple[str, ...]:
    """Give up what a reader of one file does not need; return what this machine did not let go of."""
    for limit, value in LIMITS.items():
        resource.setrlimit(limit, (value, value))
    hand_on_no_powers()
    try:
        # In a user namespace of its own it has no right over anything outside, root's worker included.
        os.unshare(os.CLONE_NEWUSER | os.CLONE_NEWNET | os.CLONE_NEWIPC | os.CLONE_NEWUTS)
    except OSError:
        return "network", "files"
    return ("files",)


if __name__ == "__main__":
    sys.exit(main())
