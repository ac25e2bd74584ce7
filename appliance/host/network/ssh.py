"""OpenSSH as a client and, in process mode, as a server of our own; host keys come from the bundle, never from first
sight.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from appliance.errors import NotFound
from appliance.host.command import SAFE_ENVIRONMENT
from appliance.host.files import write_atomic

CIPHERS = "aes128-gcm@openssh.com,chacha20-poly1305@openssh.com"
CONNECT_TIMEOUT_SECONDS = 10
ALIVE_SECONDS = 30
PIPE_BYTES = 1 << 20
MACHINE_KEY = Path("/etc/ssh/ssh_host_ed25519_key.pub")


@dataclass(frozen=True)
class Destination:
    """Where a peer's sshd listens; `host_key` is its public key line from the bundle."""

    name: str
    address: str
    port: int
    user: str
    host_key: str


def machine_key(path: Path = MACHINE_KEY) -> str:
    """The public host key of this machine's own sshd, without its comment; raise NotFound when it has none."""
    try:
        return " ".join(path.read_text().split()[:2])
    except FileNotFoundError as error:
        raise NotFound(
            "the sshd of this machine has no host key.", where=str(path), remedy="As root: ssh-keygen -A"
        ) from error


def known_hosts_line(destination: Destination) -> str:
    return f"{destination.name} {destination.host_key}\n"


def client_argv(
    destination: Destination,
    *,
    identity: Path,
    known_hosts: Path,
    command: str,
    others: Sequence[Path] = (),
    connect_seconds: int = CONNECT_TIMEOUT_SECONDS,
    alive_seconds: int = ALIVE_SECONDS,
) -> tuple[str, ...]:
    """The ssh command line to `destination`: no configuration file, no agent, no password, no unknown host.

    The keys `others` are offered when `identity` is not known there. It gives up when the line does not stand after
    `connect_seconds`, and when the other side is silent for three times `alive_seconds` on one that stands.
    """
    options = {
        "BatchMode": "yes",
        "Ciphers": CIPHERS,
        "ConnectTimeout": str(connect_seconds),
        "HostKeyAlias": destination.name,
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "IdentityFile": str(identity),
        "LogLevel": "ERROR",
        "Port": str(destination.port),
        "ServerAliveInterval": str(alive_seconds),
        "StrictHostKeyChecking": "yes",
        "GlobalKnownHostsFile": "none",
        "UpdateHostKeys": "no",
        "UserKnownHostsFile": str(known_hosts),
    }
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    words += [word for key in others for word in ("-o", f"IdentityFile={key}")]
    return ("ssh", "-F", "none", "-T", *words, f"{destination.user}@{destination.address}", command)


def start_client(argv: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start an ssh whose pipes carry a conversation; the caller closes them and waits for it."""
    environment = {name: os.environ[name] for name in SAFE_ENVIRONMENT if name in os.environ}
    pipe = subprocess.PIPE
    return subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0, env=environment)


def pipes_of(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes], IO[bytes]]:
    """The pipes to its standard input and from its standard output and error, each as wide as the kernel lets it be."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    for pipe in (process.stdin, process.stdout):
        widen(pipe.fileno())
    return process.stdin, process.stdout, process.stderr


def widen(pipe: int) -> None:
    """Let a pipe hold as much as the kernel allows, so that its two ends wake each other less often."""
    with contextlib.suppress(OSError):  # a limit per user, or no pipe: a narrow one only costs time
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)


def server_config(folder: Path, *, address: str, port: int, host_key: Path) -> str:
    """sshd_config of a node in process mode: one port on one address, keys only, nothing but forced commands."""
    settings: Mapping[str, str] = {
        "ListenAddress": f"{address}:{port}",
        "HostKey": str(host_key),
        "PidFile": str(folder / "sshd.pid"),
        "AuthorizedKeysFile": str(folder / "authorized_keys"),
        "UsePAM": "no",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "PubkeyAuthentication": "yes",
        "PermitRootLogin": "prohibit-password",
        "StrictModes": "no",  # the state folder is 0700; StrictModes would also refuse a group-writable home above it
        "DisableForwarding": "yes",
        "PermitTTY": "no",
        "PermitUserRC": "no",
        "PermitUserEnvironment": "no",
        # Bash reads ~/.bashrc even for a forced command; what the account starts there is not the vault's.
        "SetEnv": f'"HOME={folder}"',
        "AllowStreamLocalForwarding": "no",
        "X11Forwarding": "no",
        "PrintMotd": "no",
        "ClientAliveInterval": "30",
        "ClientAliveCountMax": "4",
        "MaxStartups": "20:30:60",
        "PerSourcePenalties": "no",  # in process mode friend and foe share one address
        "MaxSessions": "4",
        "Ciphers": CIPHERS,
        "LogLevel": "VERBOSE",
    }
    return "".join(f"{name} {value}\n" for name, value in settings.items())


def authorized_keys_line(public_key: str, command: Sequence[str], comment: str) -> str:
    """A key that gets exactly `command`, whatever it asks for."""
    quoted = " ".join(_quote(word) for word in command).replace("\\", "\\\\").replace('"', '\\"')
    return f'restrict,command="{quoted}" {public_key} {comment}\n'


def write_server_config(folder: Path, *, address: str, port: int, host_key: Path) -> Path:
    path = folder / "sshd_config"
    write_atomic(path, server_config(folder, address=address, port=port, host_key=host_key).encode(), mode=0o600)
    return path


def _quote(word: str) -> str:
    """sshd hands the command to the account's shell; single quotes keep a folder with a space whole."""
    return "'" + word.replace("'", "'\\''") + "'"
