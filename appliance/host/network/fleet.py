"""Ask many machines the same, all at once, each known by the host key that was compared at first contact.

No machine holds the others: each has a deadline of its own, all together have one, and of no answer more than
`bytes_max` is read. Their answers are returned as bytes that nobody has checked yet.
"""

from __future__ import annotations

import logging
import socket
import time
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

import paramiko
from fabric import Config, Connection, Result  # type: ignore[import-untyped]
from fabric.exceptions import GroupException  # type: ignore[import-untyped]
from fabric.group import Group, GroupResult  # type: ignore[import-untyped]
from fabric.runners import Remote  # type: ignore[import-untyped]

from appliance.errors import ApplianceError, Forbidden, IntegrityError, Refused, Unreachable
from appliance.host.network.first_contact import load_key
from appliance.host.network.machines import Machine
from appliance.units import KIB, MIB, format_duration, printable

USER = "root"
SAID_MAX = 200
"""Letters of a machine's own words that a sentence repeats."""
NO_KEY = "No authentication methods available"  # how paramiko says that there is none to try
SWITCHED_ON = "Check that it is switched on and that its sshd runs."


@dataclass(frozen=True)
class Bounds:
    """`connect_seconds`: until a machine takes a connection. `machine_seconds`: until it has answered, from the moment
    when it was its turn. `all_seconds`: until nobody is waited for any more. `at_once`: how many are asked at a time.
    """

    connect_seconds: float = 10.0
    machine_seconds: float = 60.0
    all_seconds: float = 300.0
    bytes_max: int = 16 * MIB
    at_once: int = 32


class Late(Exception):
    """A machine had not answered after `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class TooLong(Exception):
    """An answer has more than the bytes that are read of one."""


class BoundedRemote(Remote):  # type: ignore[misc]
    """A command on a machine, of whose output at most `bytes_max` bytes are read."""

    read_chunk_size = 64 * KIB  # fabric joins all that it has after each piece, and its own pieces are small

    def __init__(self, *args: Any, bytes_max: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.bytes_left = bytes_max

    def read_proc_stdout(self, num_bytes: int) -> bytes:
        return self._counted(super().read_proc_stdout(num_bytes))

    def read_proc_stderr(self, num_bytes: int) -> bytes:
        return self._counted(super().read_proc_stderr(num_bytes))

    def generate_result(self, **kwargs: Any) -> Result:
        if self.bytes_left < 0:
            raise TooLong
        return super().generate_result(**kwargs)

    def _counted(self, data: bytes) -> bytes:
        """`data`, or the end of the output where that is too much; fabric would wrap an error of its reading thread."""
        self.bytes_left -= len(data)
        if self.bytes_left >= 0:
            return data
        self.channel.close()
        return b""


class BoundedConnection(Connection):  # type: ignore[misc]
    """A connection that must be taken within `connect_seconds`. fabric has one bound for that and for the handshake,
    which takes a busy machine longer."""

    connect_seconds = 0.0

    def open(self) -> None:
        if not self.gateway and not self.is_connected:
            place = (self.host, self.port)
            self.connect_kwargs["sock"] = socket.create_connection(place, self.connect_seconds)
        super().open()


class BoundedGroup(Group):  # type: ignore[misc]
    """fabric's ThreadingGroup, with deadlines: that one joins its threads, one a machine, for as long as each takes."""

    bounds = Bounds()

    def _do(self, method: str, *args: Any, **kwargs: Any) -> GroupResult:
        bounds, begun = self.bounds, time.monotonic()
        end = begun + bounds.all_seconds
        waiting, asked, results = deque(self), dict[Connection, float](), GroupResult()
        answers: SimpleQueue[tuple[Connection, Any]] = SimpleQueue()
        while waiting or asked:
            now = time.monotonic()
            for connection in [it for it, since in asked.items() if min(since + bounds.machine_seconds, end) <= now]:
                results[connection] = Late(now - asked.pop(connection))
                _hang_up(connection)  # which ends its thread
            if now >= end:
                results.update((it, Late(bounds.all_seconds)) for it in waiting)
                break
            while waiting and len(asked) < bounds.at_once:
                connection = waiting.popleft()
                asked[connection] = now
                words = (answers, connection, method, args, kwargs)
                Thread(target=_ask, args=words, daemon=True).start()
            if not asked:
                continue
            try:
                connection, answer = answers.get(timeout=min(min(asked.values()) + bounds.machine_seconds, end) - now)
            except Empty:
                continue
            if asked.pop(connection, None) is not None:
                results[connection] = answer
        if any(isinstance(it, BaseException) for it in results.values()):
            raise GroupException(results)
        return results


def _hang_up(connection: Connection) -> None:
    connection.client.close()
    if connection.gateway:
        connection.gateway.client.close()


def _ask(
    answers: SimpleQueue[tuple[Connection, Any]],
    connection: Connection,
    method: str,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> None:
    try:
        answers.put((connection, getattr(connection, method)(*args, **kwargs)))
    except Exception as error:
        answers.put((connection, error))


def ask_all(
    machines: Iterable[Machine],
    command: str,
    *,
    identity: Path | None = None,
    bounds: Bounds = Bounds(),
    exit_codes: Collection[int] = (0,),
) -> Mapping[str, bytes | ApplianceError]:
    """Return the output of `command` at each machine by its name, or why there is no answer.

    `identity` is our private key; by default the agent's and those of ~/.ssh are tried. Raise UsageError when it cannot
    be read. A command that exits with none of `exit_codes`, or says nothing, has failed.
    """
    asked = {machine.name: machine for machine in machines}
    unmet = {name: error for name, machine in asked.items() if (error := _unmet(machine))}
    key = load_key(identity) if identity else None
    names = {_connection(asked[name], key, bounds): name for name in asked if name not in unmet}
    found = {names[connection]: it for connection, it in _run(names, command, bounds).items()}
    return {name: unmet.get(name) or _answer(found[name], machine, exit_codes) for name, machine in asked.items()}


def _run(connections: Iterable[Connection], command: str, bounds: Bounds) -> Mapping[Connection, Any]:
    # paramiko logs what it raises as well, and a program that names no place for that has it on standard error.
    logging.getLogger("paramiko").setLevel(logging.CRITICAL + 1)
    group = BoundedGroup.from_connections(connections)
    group.bounds = bounds
    try:
        # Latin-1 has a letter for each byte: fabric would read UTF-8 piece by piece, and spoil what stands on an edge.
        return dict(group.run(command, hide=True, in_stream=False, warn=True, encoding="latin-1"))
    except GroupException as error:
        return dict(error.result)
    finally:
        for connection in group:
            _hang_up(connection)


def _unmet(machine: Machine) -> ApplianceError | None:
    """Why no machine can be known by the host key that is recorded; None where one can."""
    met = _typed_to_meet(machine)
    if not machine.host_key:
        return Refused("its host key was never recorded.", remedy=f"Read its fingerprint on its screen, then: {met}")
    if _key(machine) is None:
        return Refused("its recorded host key cannot be read.", remedy=f"Record it again: {met} --replace")
    if machine.through and _unmet(machine.through):
        what = f"ssh_config leads to it through {machine.through.name}, whose host key was never recorded."
        return Refused(what, remedy="Name a node of the territory in ProxyJump, and record its host key.")
    return None


def _typed_to_meet(machine: Machine) -> str:
    return f"appliance node trust-host-key {machine.name} --fingerprint SHA256:..."


def _key(machine: Machine) -> paramiko.PKey | None:
    try:
        entry = paramiko.hostkeys.HostKeyEntry.from_line(f"{machine.looked_up} {machine.host_key}")
    except (paramiko.SSHException, paramiko.hostkeys.InvalidHostKey, ValueError):
        return None
    return entry.key if entry else None


def _connection(machine: Machine, key: paramiko.PKey | None, bounds: Bounds) -> Connection:
    words = {"pkey": key, "look_for_keys": False, "allow_agent": False} if key else {}
    # Somebody's ssh_config may lead elsewhere; playbooks are the same everywhere, and so is this.
    config = Config(
        ssh_config=paramiko.SSHConfig(),
        overrides={"runners": {"remote": partial(BoundedRemote, bytes_max=bounds.bytes_max)}},
    )
    late = 2 * bounds.machine_seconds  # the group has ended it by then
    connection = BoundedConnection(
        machine.address,
        user=USER,
        port=machine.port,
        config=config,
        gateway=_connection(machine.through, key, bounds) if machine.through else None,
        connect_kwargs={**words, "banner_timeout": late, "auth_timeout": late},
    )
    connection.connect_seconds = min(bounds.connect_seconds, bounds.machine_seconds, bounds.all_seconds)
    # fabric would take any host key.
    connection.client.set_missing_host_key_policy(paramiko.RejectPolicy())
    if host_key := _key(machine):
        connection.client.get_host_keys().add(machine.looked_up, host_key.get_name(), host_key)
    return connection


def _answer(found: Any, machine: Machine, exit_codes: Collection[int]) -> bytes | ApplianceError:
    if isinstance(found, Result):
        said = str(found.stdout).encode("latin-1")
        return said if said and found.exited in exit_codes else _failed(found, machine)
    return _reason(found, machine)


def _reason(error: BaseException, machine: Machine) -> ApplianceError:
    """Why there is no answer, in one sentence with what to do."""
    match error:
        case Late():
            what = f"no answer within {format_duration(error.seconds)}."
            return Unreachable(what, where=machine.place, remedy=SWITCHED_ON)
        case TooLong():
            return IntegrityError("its answer is too long, and was not read to its end.", where=machine.place)
        case paramiko.BadHostKeyException():
            met = f"{_typed_to_meet(machine)} --replace"
            remedy = f"If it is a new machine: `{met}`; else another one answers there."
            return Refused(
                "its host key is not the recorded one; nothing was sent.", where=machine.place, remedy=remedy
            )
        case paramiko.PasswordRequiredException():
            remedy = "Add it to an agent: ssh-add."
            return Forbidden("our private key needs its passphrase.", where=machine.place, remedy=remedy)
        case paramiko.AuthenticationException():
            return _no_right(machine)
        case paramiko.SSHException() if str(error) == NO_KEY:
            return _no_right(machine)
        case paramiko.SSHException() | EOFError():
            return Unreachable(f"it began no SSH session ({_short(error)}).", where=machine.place, remedy=SWITCHED_ON)
        case OSError():
            return _silent(error, machine)
        case _:
            return ApplianceError(f"the connection broke ({type(error).__name__}).", where=machine.place)


def _silent(error: OSError, machine: Machine) -> Unreachable:
    return Unreachable(f"no answer ({error.strerror or _short(error)}).", where=machine.place, remedy=SWITCHED_ON)


def _no_right(machine: Machine) -> Forbidden:
    remedy = "Give the operator's key: --identity FILE, or ssh-add FILE."
    return Forbidden(f"it accepts none of our keys for {USER}.", where=machine.place, remedy=remedy)


def _failed(found: Result, machine: Machine) -> ApplianceError:
    lines = str(found.stderr).encode("latin-1").decode("utf-8", "replace").strip().splitlines()
    said = f": {_short(lines[-1])}" if lines else ""
    return ApplianceError(f"the command there exited with {found.exited}{said}", where=machine.place)


def _short(said: object) -> str:
    text = printable(str(said))
    return text if len(text) <= SAID_MAX else f"{text[:SAID_MAX]}..."
