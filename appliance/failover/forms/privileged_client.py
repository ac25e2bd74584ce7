"""The privileged helper (`programs/privileged.py`), asked for one verb a call."""

from __future__ import annotations

import asyncio
import json
import socket
from dataclasses import dataclass
from pathlib import Path

from appliance.errors import Refused, Unreachable
from appliance.node.movable_services import FILE
from appliance.programs import privileged
from appliance.territory.model import DATABASES

SOCKET = Path("/run/appliance-hands/hands.sock")
HELPER_SECONDS_MAX = 30.0


@dataclass(frozen=True)
class HelperPaths:
    """Where things are on a host; other ones in tests."""

    served: Path = FILE
    cgroups: str = privileged.CGROUPS
    socket: Path = SOCKET
    databases: Path = Path(DATABASES)


HELPER_PATHS = HelperPaths()


async def ask_helper(verb: str, service: str, paths: HelperPaths = HELPER_PATHS, **more: str) -> None:
    """Have root's hands do `verb`; raise Refused with their sentence, Unreachable when they do not answer."""
    try:
        async with asyncio.timeout(HELPER_SECONDS_MAX):
            reader, writer = await asyncio.open_unix_connection(paths.socket)
            try:
                writer.write(_request(verb, service, **more))
                answer = await reader.readline()
            finally:
                writer.transport.abort()
    except (OSError, TimeoutError) as error:
        raise _silent(verb, service, error) from error
    _check(verb, service, answer)


def ask_helper_now(
    verb: str, service: str, paths: HelperPaths = HELPER_PATHS, *, seconds_max: float = HELPER_SECONDS_MAX
) -> None:
    """The same for who cannot wait for anybody else."""
    try:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(seconds_max)
            line.connect(str(paths.socket))
            line.sendall(_request(verb, service))
            with line.makefile("rb") as file:
                answer = file.readline()
    except OSError as error:
        raise _silent(verb, service, error) from error
    _check(verb, service, answer)


def _silent(verb: str, service: str, error: Exception) -> Unreachable:
    remedy = "See `systemctl status appliance-hands.socket`."
    return Unreachable(
        f"the privileged helper did not {verb} {service}: {error or type(error).__name__}", remedy=remedy
    )


def _request(verb: str, service: str, **more: str) -> bytes:
    return json.dumps({"verb": verb, "service": service, **more}).encode() + b"\n"


def _check(verb: str, service: str, line: bytes) -> None:
    """Raise Refused unless `line` says that it was done."""
    try:
        why = json.loads(line).get("error")
    except ValueError:
        why = "the privileged helper ended without output."
    if why:
        raise Refused(f"{verb} {service}: {why}")
