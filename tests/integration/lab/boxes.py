"""A lab on this machine for tests: its commands as typed, what it leaves behind, traffic between its nodes."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import pytest

from appliance.host import cgroups
from appliance.host.command import Result, run
from appliance.host.disks.mounts import mounts_below
from appliance.host.network import netns
from appliance_lab.checkout import appliance_argv
from appliance_lab.hosts.lab import Lab, open_lab
from appliance_lab.hosts.paths import ROOT, HostPaths
from tests.pace import LONG

INVENTORY = Path(__file__).parents[3] / "inventory/lab"
COMMAND_SECONDS_MAX = LONG * 400.0  # the first one of a machine makes the base image
SILENT_PORT = 9


@dataclass(frozen=True)
class Boxes:
    """The lab `name` of inventory/lab."""

    name: str

    def lab(self, *words: str) -> Result:
        """`appliance lab WORDS` about this lab."""
        return run(self.argv(*words), timeout_seconds=COMMAND_SECONDS_MAX)

    def done(self, *words: str) -> dict[str, Any]:
        """Return its answer as JSON, when it must not fail."""
        result = self.lab(*words, "--json")
        assert result.exit_code == 0, result.tail()
        return cast("dict[str, Any]", json.loads(result.stdout))

    def exec(self, node: str, *words: str) -> Result:
        return run(
            (*appliance_argv(), "lab", "exec", node, "--name", self.name, "--", *words),
            timeout_seconds=COMMAND_SECONDS_MAX,
        )

    def argv(self, verb: str, *words: str) -> tuple[str, ...]:
        inventory = ("--inventory", str(INVENTORY)) if verb == "up" else ()
        return (*appliance_argv(), "lab", verb, *words, *inventory, "--name", self.name)

    def open(self) -> Lab:
        return open_lab(HostPaths(), self.name, lambda sentence: None)

    def namespace(self, node: str) -> str:
        return self.open().plan.node(node).namespace

    def states(self) -> dict[str, str]:
        return {it["node"]: it["state"] for it in self.done("status")["nodes"]}


def traces(name: str) -> dict[str, list[str]]:
    """All that bears the name of the lab on this machine, by kind; every list is empty when nothing is left."""
    mark = f"lab.{name}."
    tables = run(("nft", "list", "tables"), timeout_seconds=300, check=True).stdout.decode().splitlines()
    mounts = [*mounts_below(ROOT / "pool/labs" / name), *mounts_below(Path("/run/systemd/nspawn"))]
    return {
        "namespaces": [it for it in netns.names() if it.startswith(mark)],
        "mounts": [str(it) for it in mounts if mark in str(it) or f"/labs/{name}/" in str(it)],
        "processes": [line for line in _command_lines() if mark in line],
        "tables": [line for line in tables if line.endswith(f" lab-{name}")],
        "folders": [str(it) for it in (ROOT / "labs" / name, ROOT / "pool/labs" / name) if it.exists()],
        "nspawn": [str(it) for it in Path("/run/systemd/nspawn").glob("*/*") if mark in it.name],
        "groups": [it for it in cgroups.names() if it.startswith(mark)],
    }


@contextmanager
def up(name: str) -> Iterator[Boxes]:
    """The lab `name`, new; taken down afterwards, and nothing is left of it."""
    made = Boxes(name)
    made.lab("down")
    made.done("up")
    yield made
    made.lab("down")
    assert nothing_is_left(made.name)


def nothing_is_left(name: str) -> bool:
    return not any(traces(name).values())


def until(holds: Callable[[], object], what: str, seconds_max: float = 30.0) -> None:
    """Return when `holds`."""
    deadline = time.monotonic() + seconds_max
    while not holds():
        assert time.monotonic() < deadline, f"{what}: not within {seconds_max:.0f} s"
        time.sleep(0.01)


def inside[T](namespace: str, do: Callable[[], T]) -> T:
    """Return the result of `do` in `namespace`, by a thread that stays there and ends."""

    def enter() -> T:
        with open(netns.FOLDER / namespace) as folder:
            os.setns(folder.fileno(), os.CLONE_NEWNET)
        return do()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(enter).result()


def hears(boxes: Boxes, node: str, sender: str, seconds_max: float = 10.0) -> bool:
    """Whether one of the packets that `sender` sends to `node` arrives."""
    plan = boxes.open().plan
    address = (str(plan.node(node).address), SILENT_PORT)

    def listening() -> socket.socket:
        found = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        found.bind(address)
        return found

    def sending() -> socket.socket:
        return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    with inside(plan.node(node).namespace, listening) as ear, inside(plan.node(sender).namespace, sending) as mouth:
        deadline = time.monotonic() + seconds_max
        while time.monotonic() < deadline:
            mouth.sendto(b"here", address)
            if select.select([ear], [], [], 0.1)[0]:
                return True
    return False


def round_trip_seconds(boxes: Boxes, source: str, to: str, count: int = 9) -> float:
    """The shortest of `count` refused TCP handshakes, each one round trip: what a busy machine adds is not the line's.

    At the port of SSH they would count as visitors that never log in, and sshd keeps those out for a while.
    """
    address = str(boxes.open().plan.node(to).address)

    def once() -> float:
        started = time.monotonic()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((address, SILENT_PORT), 10.0)
        return time.monotonic() - started

    return inside(boxes.namespace(source), lambda: min(once() for _ in range(count)))


def share_lost(boxes: Boxes, source: str, to: str, count: int = 5000) -> float:
    """The share of `count` datagrams that do not arrive, sent slowly enough for every queue on the way."""
    address = str(boxes.open().plan.node(to).address)
    receiver = inside(boxes.namespace(to), lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    sender = inside(boxes.namespace(source), lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    with receiver, sender:
        receiver.bind((address, 0))
        sender.connect(receiver.getsockname())
        arrived = 0
        for first in range(0, count, 50):
            for _ in range(min(50, count - first)):
                sender.send(b"x")
            arrived += _drain(receiver)
        return 1 - arrived / count


def _drain(receiver: socket.socket) -> int:
    arrived = 0
    receiver.settimeout(0.05)
    try:
        while True:
            receiver.recv(16)
            arrived += 1
    except TimeoutError:
        return arrived


class Conversation(AbstractContextManager["Conversation"]):
    """An SSH session from one node's network to another node that says back what it is told."""

    def __init__(self, boxes: Boxes, source: str, to: str) -> None:
        argv = netns.inside(boxes.namespace(source), ("ssh", *_straight(boxes), to, "echo ready; exec cat"))
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self.heard = b""
        assert self.hears("ready", 30.0)

    def says_back(self, line: str, seconds_max: float) -> bool:
        """Whether `line`, sent now, comes back within the time."""
        os.write(_fd(self.process.stdin), line.encode() + b"\n")
        return self.hears(line, seconds_max)

    def hears(self, line: str, seconds_max: float) -> bool:
        """Whether `line` comes within the time."""
        deadline = time.monotonic() + seconds_max
        out = _fd(self.process.stdout)
        while f"{line}\n".encode() not in self.heard:
            if not select.select([out], [], [], max(0.0, deadline - time.monotonic()))[0]:
                return False
            self.heard += os.read(out, 65536)
        return True

    def __exit__(self, *exception: object) -> None:
        self.process.kill()
        self.process.communicate()


def bits_a_second(boxes: Boxes, source: str, to: str, size: int) -> float:
    """How fast `size` bytes go over SSH from one node to another, once the session stands."""
    argv = netns.inside(
        boxes.namespace(source), ("ssh", *_straight(boxes), to, "echo ready; cat >/dev/null; echo done")
    )
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        started = time.monotonic()
        process.stdin.write(bytes(size))
        process.stdin.close()
        assert process.stdout.readline() == b"done\n"
        return 8 * size / (time.monotonic() - started)


def _straight(boxes: Boxes) -> tuple[str, ...]:
    """Options for an ssh that goes over the network of the node where it runs."""
    return ("-F", str(boxes.open().own.ssh_config), "-o", "ProxyCommand=none", "-o", "ProxyUseFdpass=no")


def _fd(pipe: IO[bytes] | None) -> int:
    assert pipe is not None
    return pipe.fileno()


def _command_lines() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return found
