"""Ask many machines the same, all at once, each known by the host key that was compared at first contact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import paramiko
from fabric import Config, Connection, Result, ThreadingGroup  # type: ignore[import-untyped]
from fabric.exceptions import GroupException  # type: ignore[import-untyped]

from appliance.errors import ApplianceError, Forbidden, Refused, Unreachable

USER = "root"
CONNECT_SECONDS = 10


@dataclass(frozen=True)
class Machine:
    """Where a node answers, and its host key line "ssh-ed25519 AAAA..."; "" for one that was never met."""

    name: str
    address: str
    port: int
    host_key: str


def ask_all(
    machines: Iterable[Machine], command: str, *, identity: Path | None = None
) -> Mapping[str, str | ApplianceError]:
    """Return the output of `command` at each machine by its name, or why there is no answer.

    `identity` is our private key; by default the agent's and those of ~/.ssh are tried.
    """
    asked = {machine.name: machine for machine in machines}
    unmet = {name: _never_met(name) for name, machine in asked.items() if not machine.host_key}
    connections = {_connection(asked[name], identity): name for name in asked if name not in unmet}
    answers = {connections[connection]: _answer(found) for connection, found in _run(connections, command).items()}
    return {name: unmet.get(name) or answers[name] for name in asked}


def _run(connections: Iterable[Connection], command: str) -> Mapping[Connection, Result | BaseException]:
    group = ThreadingGroup.from_connections(connections)
    if not group:
        return {}
    try:
        return dict(group.run(command, hide=True, in_stream=False))
    except GroupException as error:
        return dict(error.result)
    finally:
        group.close()


def _connection(machine: Machine, identity: Path | None) -> Connection:
    words = {"key_filename": str(identity), "look_for_keys": False, "allow_agent": False} if identity else {}
    # Somebody's ssh_config may lead elsewhere; playbooks are the same everywhere, and so is this.
    config = Config(ssh_config=paramiko.SSHConfig())
    connection = Connection(
        machine.address,
        user=USER,
        port=machine.port,
        config=config,
        connect_timeout=CONNECT_SECONDS,
        connect_kwargs=words,
    )
    # fabric would take any host key.
    connection.client.set_missing_host_key_policy(paramiko.RejectPolicy())
    kind, key = machine.host_key.split()[:2]
    entry = paramiko.hostkeys.HostKeyEntry.from_line(f"{_looked_up(machine)} {kind} {key}")
    if entry is not None and entry.key is not None:
        connection.client.get_host_keys().add(_looked_up(machine), kind, entry.key)
    return connection


def _looked_up(machine: Machine) -> str:
    """The name under which paramiko looks a host key up."""
    return machine.address if machine.port == 22 else f"[{machine.address}]:{machine.port}"


def _answer(found: Result | BaseException) -> str | ApplianceError:
    if isinstance(found, Result):
        return str(found.stdout)
    if isinstance(found, paramiko.AuthenticationException):
        return Forbidden("the machine accepts none of our keys.")
    if isinstance(found, paramiko.SSHException):
        return Refused(f"its host key is not the recorded one ({found}).")
    if isinstance(found, OSError):
        return Unreachable(f"no answer ({found.strerror or found}).")
    return ApplianceError(f"the command failed there: {_end(found)}")


def _end(error: BaseException) -> str:
    result = getattr(error, "result", None)
    return str(result.stderr).strip().splitlines()[-1] if result and result.stderr else type(error).__name__


def _never_met(name: str) -> ApplianceError:
    remedy = f"Read its fingerprint on its screen, then: appliance node trust-host-key {name} --fingerprint SHA256:..."
    return Refused("its host key was never recorded.", remedy=remedy)
