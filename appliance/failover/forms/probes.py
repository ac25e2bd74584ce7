"""Whether somebody answers at an address, asked as clients ask, within PROBE_SECONDS_MAX.

The program that renews leases loads this at its start: a probe then waits for no import, and is of its own version.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Collection

from appliance.failover.forms.form import PROBE_SECONDS_MAX
from appliance.failover.forms.smb_probe import speaks_smb
from appliance.host import postgresql


def is_here(address: str) -> bool:
    """Only who has an address can bind to it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        try:
            own.bind((address, 0))
        except OSError:
            return False
    return True


async def answers_browser(address: str, port: int, good: Collection[int] = range(200, 500)) -> bool:
    """Whether somebody at `address` answers a browser with one of the statuses `good`."""
    try:
        async with asyncio.timeout(PROBE_SECONDS_MAX):
            reader, writer = await asyncio.open_connection(address, port)
            try:
                writer.write(f"GET / HTTP/1.0\r\nHost: {address}\r\n\r\n".encode())
                status = (await reader.readline()).split()[1:2]
                return bool(status) and status[0].isdigit() and int(status[0]) in good
            finally:
                writer.transport.abort()
    except (OSError, TimeoutError):
        return False


async def answers_postgresql(address: str, port: int, own: str) -> bool:
    """Whether PostgreSQL answers at its Unix socket `own`, or at `address` where that is ""."""
    to = asyncio.open_unix_connection(own) if own else asyncio.open_connection(address, port)
    return await postgresql.answers(to, PROBE_SECONDS_MAX)


async def answers_smb(address: str, port: int) -> bool:
    """Whether a PC that comes to `address` could go on with a password."""
    return await speaks_smb(address, port, PROBE_SECONDS_MAX)
