"""One node as a machine: made with root's key and nothing else, switched on, asked to stop, cut from its power.

A running node is found as the first process of its own PID namespace in the network namespace of its name, never by a
number that we kept: a node that a crash of ours made us forget is found all the same.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

from appliance.errors import ApplianceError
from appliance.host import cgroups
from appliance.host.command import run
from appliance.host.detached import start_detached
from appliance.host.disks.mounts import unmount_below
from appliance.host.files import write_atomic
from appliance.host.network import netns
from appliance.host.processes import Process, is_first, process, processes_of
from appliance_lab.hosts.plan import Node, is_node_of

NSPAWN = "systemd-nspawn"
_MACHINE = "--machine="
PAYLOAD = "payload"
"""The group that nspawn makes in that of a node for all but itself."""
STOP_SECONDS_MAX = 30.0
FOLLOW_SECONDS_MAX = 5.0
SHUTDOWN = signal.SIGRTMIN + 3  # systemd as PID 1: stop all units, then the machine
NSPAWN_FOLDER = Path("/run/systemd/nspawn")
DEVICES = ("/dev/net/tun", "/dev/fuse")
# Debian's own unit makes the host keys, at a first boot only, and a first boot would also enable services again
# (systemd-networkd, which takes the address away). It is told to look for the keys instead; nothing of it is on disk.
KEYGEN_CONDITION = """[Unit]
ConditionFirstBoot=
ConditionPathExists=!/etc/ssh/ssh_host_ed25519_key
"""
ENVIRONMENT = {
    # Else nspawn copies this machine's older layout of control groups, which a systemd of today refuses.
    "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
    # A node sets what concerns its own network (forwarding, filters), as on iron.
    "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network",
}
CAPABILITIES = ("CAP_NET_ADMIN", "CAP_NET_RAW")
# Without a control group of its own a node would share one tree with all others: units of one name would be one group.
# Where the machine has mounted none, one is mounted for a moment, seen by nobody else.
OWN_GROUP = """\
unshare --mount sh -euc 'mount -t cgroup2 none /mnt; mkdir -p "/mnt/$0"; echo "$1" >"/mnt/$0/cgroup.procs"' "$0" "$$"
exec "$@"
"""
SHELL_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "USER": "root",
    "LANG": "C.UTF-8",
}


def prepare(root: Path, node: Node, public_key: str, resolver: str) -> None:
    """Make `root` the disk of a box with only root SSH, before it is switched on for the first time."""
    (root / "etc/hostname").write_text(f"{node.name}\n")
    (root / "etc/hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {node.name}\n::1 localhost ip6-localhost\n")
    (root / "etc/resolv.conf").write_text(resolver)
    folder = root / "root/.ssh"
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / "authorized_keys").write_text(f"{public_key}\n")


def nspawn_argv(node: Node, root: Path, condition: Path) -> tuple[str, ...]:
    """The command line that boots a node."""
    return (
        NSPAWN,
        "--quiet",
        f"--directory={root}",
        f"{_MACHINE}{node.namespace}",
        f"--hostname={node.name}",
        f"--network-namespace-path=/run/netns/{node.namespace}",
        "--register=no",
        "--keep-unit",
        "--private-users=no",
        "--link-journal=no",
        "--resolv-conf=off",
        "--timezone=off",
        "--console=read-only",
        f"--capability={','.join(CAPABILITIES)}",
        *(f"--bind={device}" for device in DEVICES if Path(device).exists()),
        f"--bind-ro={condition}:/run/systemd/system/sshd-keygen.service.d/lab.conf",
        "--boot",
    )


def switch_on(node: Node, root: Path, console: Path) -> None:
    """Start the node and return; it must be off and its namespace new."""
    _sweep(node.namespace)
    condition = console.with_suffix(".conf")
    write_atomic(condition, KEYGEN_CONDITION.encode())
    argv = ("sh", "-euc", OWN_GROUP, node.namespace, *nspawn_argv(node, root, condition))
    start_detached(argv, log=console, env=ENVIRONMENT)


def is_on(node: Node) -> bool:
    return leader(node) is not None or _watching(node.namespace) is not None


def leader(node: Node) -> Process | None:
    """PID 1 of the node; None when it is off or just starting."""
    return _first_in(node.namespace)


def shut_down(node: Node) -> None:
    """Ask the node to stop, as its power button does, and wait; raise ApplianceError when it does not."""
    first = leader(node)
    if first is not None:
        first.signal(SHUTDOWN)
        if not first.wait_end(STOP_SECONDS_MAX):
            raise ApplianceError(
                f"{node.name} did not stop within {STOP_SECONDS_MAX:.0f} s.",
                remedy=f"appliance lab power-off {node.name} --cut cuts its power.",
            )
    cut_power(node)


def cut_power(node: Node) -> None:
    """End the node at once. This machine's kernel goes on: what it had in memory for the disk still gets there."""
    _end(node.namespace)


def freeze(node: Node) -> None:
    """Let nothing of the node run any more, as a box whose processor stands still; its kernel's network answers on."""
    cgroups.set_frozen(f"{node.namespace}/{PAYLOAD}", frozen=True)


def thaw(node: Node) -> float:
    """Let it go on where it was; from when on, in UTC seconds."""
    return cgroups.set_frozen(f"{node.namespace}/{PAYLOAD}", frozen=False)


def running(lab: str) -> frozenset[str]:
    """The namespaces of the nodes of `lab` that run."""
    watched = _watched() | {name for name in netns.names() if is_node_of(lab, name) and _first_in(name)}
    return frozenset(name for name in watched if is_node_of(lab, name))


def cut_all(lab: str) -> None:
    """End every node of `lab` and sweep after those that ran, of which no state and no territory need know."""
    left = {folder.name for folder in NSPAWN_FOLDER.glob("*/*")} | cgroups.names()
    for name in sorted(_watched() | left | netns.names()):
        if is_node_of(lab, name):
            _end(name)


def _watched() -> set[str]:
    """The machines that a systemd-nspawn watches; other words of its command line name none."""
    return {word.removeprefix(_MACHINE) for it in processes_of(NSPAWN) for word in it.argv}


def _first_in(namespace: str) -> Process | None:
    """PID 1 of what runs in `namespace`."""
    return next((found for pid in netns.pids(namespace) if is_first(pid) and (found := process(pid))), None)


def _watching(namespace: str) -> Process | None:
    """The systemd-nspawn of a node. It only watches: the node goes on when it is killed."""
    found = [it for it in processes_of(NSPAWN) if f"{_MACHINE}{namespace}" in it.argv]
    return min(found, key=lambda it: it.started) if found else None


def _end(namespace: str) -> None:
    """End the node in `namespace`; its nspawn notices, cleans up after itself and ends."""
    for _ in range(2):  # a nspawn that was about to start its node may have done so meanwhile
        first = _first_in(namespace)
        if first is not None and not first.end():
            raise ApplianceError(f"{namespace} does not end, even when killed; a disk may not answer.")
        watching = _watching(namespace)
        if watching is not None and not watching.wait_end(FOLLOW_SECONDS_MAX if first else 0):
            watching.end()
    _sweep(namespace)


def _sweep(namespace: str) -> None:
    """Take away what a node leaves on this machine: its control groups, which nobody else removes, and what a killed
    nspawn mounted, beside which it refuses to start again.
    """
    for folder in NSPAWN_FOLDER.glob(f"*/{namespace}"):
        unmount_below(folder)
        shutil.rmtree(folder)
    cgroups.remove(namespace)


def enter_argv(node: Node, argv: Sequence[str]) -> tuple[str, ...]:
    """The command line that runs `argv` as root in the node, from its console side; raise when it is off."""
    first = leader(node)
    if first is None:
        raise ApplianceError(f"{node.name} is off.", remedy=f"appliance lab power-on {node.name}")
    variables = (f"{name}={value}" for name, value in {**SHELL_ENVIRONMENT, "TERM": _terminal()}.items())
    inside = ("nsenter", f"--target={first.pid}", "--all", "--wdns=/root")
    return (*inside, "env", "--ignore-environment", *variables, *argv)


def host_key(root: Path) -> str | None:
    """The public host key that the node made, read from its disk; None as long as there is none."""
    try:
        words = (root / "etc/ssh/ssh_host_ed25519_key.pub").read_text().split()
    except FileNotFoundError:
        return None
    return " ".join(words[:2]) if len(words) >= 2 else None


def make_key(path: Path, lab: str) -> str:
    """The control key of a lab, made when there is none; return its public half."""
    if not path.exists():
        argv = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"lab {lab}", "-f", str(path))
        run(argv, timeout_seconds=300, check=True)
    return path.with_name(f"{path.name}.pub").read_text().strip()


def _terminal() -> str:
    return shlex.quote(os.environ.get("TERM", "dumb"))
