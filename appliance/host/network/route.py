"""How OpenSSH would reach a machine by the settings of this account: playbooks go that way, and first contact too."""

from __future__ import annotations

import shlex
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from appliance.errors import Unreachable, UsageError
from appliance.host.command import run

READ_SECONDS_MAX = 10.0
ANSWER_SECONDS = 20.0


@dataclass(frozen=True)
class Route:
    """`command` opens the connection, in words of a shell; "" where none has to. With `passes_socket` it hands over the
    socket itself (ProxyUseFdpass). `identities` are files of private keys; `agent`: whether an agent is asked as well,
    with `identities_only` for the keys of these files alone."""

    address: str
    port: int
    command: str = ""
    passes_socket: bool = False
    identities: tuple[Path, ...] = ()
    agent: bool = True
    identities_only: bool = False

    @property
    def place(self) -> str:
        return f"{self.address}:{self.port}"


def route_to(address: str, port: int, user: str, config: Path | None = None) -> Route:
    """Return the way to `address`; `config` is a file in the place of ~/.ssh/config. Raise UsageError for a bad one."""
    given = ("-F", str(config)) if config else ()
    found = run(("ssh", "-G", *given, "-l", user, "-p", str(port), "--", address), timeout_seconds=READ_SECONDS_MAX)
    if found.exit_code:
        where = str(config) if config else "~/.ssh/config"
        raise UsageError(f"ssh does not accept these settings: {found.tail(1)}", where=where)
    return read_route(found.stdout.decode("utf-8", "replace"), Route(address, port), user, given)


def read_route(text: str, asked: Route, user: str, given: tuple[str, ...] = ()) -> Route:
    """The same from what `ssh -G` printed about `asked`; `given` are words for an `ssh` that jumps."""
    pairs = [(name, value) for name, _, value in (line.partition(" ") for line in text.splitlines())]
    settings = dict(reversed(pairs))
    host = settings.get("hostname", asked.address)
    tokens = {"%h": host, "%p": str(asked.port), "%r": user, "%n": asked.address, "%%": "%"}
    files = tuple(Path(value).expanduser() for name, value in pairs if name == "identityfile")
    return Route(
        address=host,
        port=asked.port,
        command=_command(settings, tokens, given),
        passes_socket=settings.get("proxyusefdpass") == "yes",
        identities=files,
        agent=settings.get("identityagent") != "none",
        identities_only=settings.get("identitiesonly") == "yes",
    )


def _command(settings: Mapping[str, str], tokens: Mapping[str, str], given: tuple[str, ...]) -> str:
    if (proxy := settings.get("proxycommand", "none")) != "none":
        return "".join(tokens.get(part, part) for part in _parts(proxy))
    if (jump := settings.get("proxyjump", "none")) == "none":
        return ""
    *before, last = jump.split(",")
    hops = ("-J", ",".join(before)) if before else ()
    return shlex.join(("ssh", *given, *hops, "-W", f"[{tokens['%h']}]:{tokens['%p']}", "--", last))


def _parts(proxy: str) -> list[str]:
    """`proxy` cut before and after each token of two letters."""
    parts, at = [], 0
    while at < len(proxy):
        length = 2 if proxy[at] == "%" else 1
        parts.append(proxy[at : at + length])
        at += length
    return parts


def open_command(route: Route) -> socket.socket:
    """The connection that the command of `route` opens: its own input and output, or the socket that it hands over.

    The command ends when the connection is closed. Raise Unreachable when it ends without one.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(("sh", "-c", f"exec {route.command}"), stdin=theirs.fileno(), stdout=theirs.fileno())
    if not route.passes_socket:
        Thread(target=process.wait, daemon=True).start()
        return ours
    with ours:
        ours.settimeout(ANSWER_SECONDS)
        try:
            _, handed, _, _ = socket.recv_fds(ours, 1, 1)
        except OSError:
            handed = []
    if process.poll() is None and not handed:
        process.kill()
    process.wait()
    if not handed:
        raise Unreachable("the ProxyCommand of ssh_config opened no connection.", where=route.place)
    return socket.socket(fileno=handed[0])
