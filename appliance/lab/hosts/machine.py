"""One node as a machine: born with root's key and nothing else, switched on, asked to stop, cut from its power.

A running node is found by its name in the command line of its systemd-nspawn, never by a number we kept: what a crash
of ours made us forget is found all the same.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

from appliance.errors import ApplianceError
from appliance.host.command import run
from appliance.host.detached import start_detached
from appliance.host.files import write_atomic
from appliance.host.mounts import unmount_below
from appliance.host.processes import Process, child_of, processes_of
from appliance.lab.hosts.plan import Node, belongs

NSPAWN = "systemd-nspawn"
_MACHINE = "--machine="
STOP_SECONDS_MAX = 30.0
SHUTDOWN = signal.SIGRTMIN + 3  # systemd as PID 1: stop all units, then the machine
NSPAWN_FOLDER = Path("/run/systemd/nspawn")
DEVICES = ("/dev/net/tun", "/dev/fuse")
# Debian's own unit makes the host keys, at a first boot only, and a first boot would also enable services anew
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
        f"{_MACHINE}{node.machine}",
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
    sweep(node.machine)
    condition = console.with_suffix(".conf")
    write_atomic(condition, KEYGEN_CONDITION.encode())
    start_detached(nspawn_argv(node, root, condition), log=console, env=ENVIRONMENT)


def supervisor(node: Node) -> Process | None:
    """The systemd-nspawn of the node; None when it is off."""
    found = (it for it in processes_of(NSPAWN) if _machine_of(it) == node.machine)
    return min(found, key=lambda it: it.started, default=None)


def running_of(lab: str) -> list[Process]:
    """The systemd-nspawn of every node of the lab `lab`, of those too that its territory no longer has."""
    return [it for it in processes_of(NSPAWN) if belongs(_machine_of(it), lab)]


def _machine_of(process: Process) -> str:
    return next((word.removeprefix(_MACHINE) for word in process.argv if word.startswith(_MACHINE)), "")


def leader(node: Node) -> int | None:
    """The process of this machine that is PID 1 of the node; None when it is off or just starting."""
    found = supervisor(node)
    return child_of(found.pid) if found else None


def shut_down(node: Node) -> None:
    """Ask the node to stop, as its power button does, and wait; raise ApplianceError when it does not."""
    running, first = supervisor(node), leader(node)
    if running is None:
        return
    if first is not None:
        os.kill(first, SHUTDOWN)
    if not running.wait_end(STOP_SECONDS_MAX):
        raise ApplianceError(
            f"{node.name} did not stop within {STOP_SECONDS_MAX:.0f} s.",
            remedy=f"appliance lab power-off {node.name} --cut cuts its power.",
        )


def cut_power(node: Node) -> None:
    """End the node at once. This machine's kernel goes on: what it had in memory for the disk still gets there."""
    running = supervisor(node)
    if running is not None and not running.end():
        raise ApplianceError(f"{node.name} does not end, even when killed; its disk may not answer.")
    sweep(node.machine)


def sweep(machine: str) -> None:
    """Take away what nspawn leaves on this machine when it is killed; without that it refuses to start again."""
    for folder in NSPAWN_FOLDER.glob(f"*/{machine}"):
        unmount_below(folder)
        shutil.rmtree(folder)


def sweep_lab(lab: str) -> None:
    """The same for every node that `lab` ever had."""
    for folder in NSPAWN_FOLDER.glob("*/*"):
        if belongs(folder.name, lab):
            sweep(folder.name)


def enter_argv(node: Node, argv: Sequence[str]) -> tuple[str, ...]:
    """The command line that runs `argv` as root in the node, from its console side; raise when it is off."""
    pid = leader(node)
    if pid is None:
        raise ApplianceError(f"{node.name} is off.", remedy=f"appliance lab power-on {node.name}")
    variables = (f"{name}={value}" for name, value in {**SHELL_ENVIRONMENT, "TERM": _terminal()}.items())
    return ("nsenter", f"--target={pid}", "--all", "--wdns=/root", "env", "--ignore-environment", *variables, *argv)


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
        run(argv, timeout_seconds=30, check=True)
    return path.with_name(f"{path.name}.pub").read_text().strip()


def _terminal() -> str:
    return shlex.quote(os.environ.get("TERM", "dumb"))
