"""An sshd on loopback that lets root in with what its folder says: machines for those who ask them from outside."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from appliance.host.network.ssh import authorized_keys_line
from appliance.trust.keys import create_key
from tests.waiting import wait_until

ADDRESS = "127.0.0.1"
CONFIG = """
ListenAddress {address}:{port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
SetEnv HOME={folder}
"""
"""Its home is no person's: a shell that sshd starts reads the settings there, which may take longer than the rest."""


@contextmanager
def sshd(folder: Path, port: int) -> Iterator[None]:
    """Run an sshd at `port` with a host key of its own; nobody is let in until `lets_in` says who."""
    folder.mkdir()
    create_key(folder / "host_key")
    config = folder / "sshd_config"
    config.write_text(CONFIG.format(address=ADDRESS, port=port, folder=folder))
    os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
    with subprocess.Popen(("/usr/sbin/sshd", "-D", "-f", str(config), "-E", str(folder / "log"))) as process:
        try:
            yield
        finally:
            process.terminate()


def wait_for(*ports: int) -> None:
    for port in ports:
        wait_until(lambda it=port: greets(it), f"an sshd answers at port {port}")  # type: ignore[misc]


def greets(port: int) -> bool:
    try:
        with socket.create_connection((ADDRESS, port), 1) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def lets_in(folder: Path, key: Path, *words: str) -> None:
    """Have the sshd of `folder` let the owner of the public `key` run `words`, whatever is asked for."""
    (folder / "authorized_keys").write_text(authorized_keys_line(without_comment(key), words, "operator"))


def host_key(folder: Path) -> str:
    return without_comment(folder / "host_key.pub")


def without_comment(file: Path) -> str:
    """A public key as in known_hosts."""
    return " ".join(file.read_text().split()[:2])
