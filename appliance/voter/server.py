"""A voter's broker: it takes calls over TLS from nodes that show their certificate, and answers by the broker's rules.

The certificate alone, which the territory issued for a key of the bundle, names the caller; nothing that the caller
writes about itself is believed. A caller has a few conversations at a time and may be slow in none of them, so that no
node keeps the others from their renewals.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from appliance.coordination import wire
from appliance.coordination.port import (
    CALL_SECONDS_MAX,
    WATCH_SECONDS_MAX,
    Alive,
    Claim,
    Coordination,
    Intent,
    Lease,
    ServiceRecord,
)
from appliance.errors import ApplianceError, Busy, Forbidden, UsageError

CONVERSATIONS_MAX, CONVERSATIONS_PER_SERVICE = 32, 2
"""The conversations of one node at a time, and so many more for each service that it may hold: a watch, and a call. A
standby of a hundred services that had a few conversations for all of them could not renew its leases."""
IDLE_SECONDS_MAX = 120.0
CHANGES = frozenset({"acquire", "release", "report", "withdraw"})
CHANGES_AT_ONCE_MAX = 500.0
CHANGES_PER_SECOND_MAX = 10.0
"""The changes of one caller. Each is written to the disks of all voters and kept for an hour, and a full store takes
nothing from anybody."""
ARGUMENTS: Mapping[str, Mapping[str, tuple[type, ...]]] = {
    "read": {"service": (str,)},
    "history": {"service": (str,), "entries_max": (int,)},
    "alive": {},
    "acquire": {"claim": (Claim,)},
    "renew": {"holding": (Lease,)},
    "release": {"holding": (Lease,), "reason": (str,), "time": (str,)},
    "report": {"report": (Alive, Intent)},
    "withdraw": {"intent": (Intent,)},
    "watch": {"seen": (ServiceRecord,)},
}
"""The methods that may be called, with the types of their values: another type would stay in the store where nobody
could read it."""
PortOf = Callable[[str], Coordination]
"""The port for one caller, as the rules allow it (`broker.Brokered`); raises Forbidden for who is no node."""


def caller_of(certificate: Mapping[str, Any] | None, domain: str) -> str:
    """The node whose certificate this is, as `ssl` gives it; raise Forbidden for any other."""
    names = [value for kind, value in (certificate or {}).get("subjectAltName", ()) if kind == "DNS"]
    suffix = f".{domain}"
    if len(names) != 1 or not names[0].endswith(suffix):
        raise Forbidden("the caller shows no certificate of a node of this territory.")
    return str(names[0].removesuffix(suffix))


class Server:
    """Serves `port_of` to the nodes of `domain`; a context that ends with all conversations."""

    def __init__(
        self,
        address: str,
        port: int,
        tls: ssl.SSLContext,
        domain: str,
        port_of: PortOf,
        more: Mapping[str, Mapping[str, tuple[type, ...]]] | None = None,
        is_of: Callable[[str, bytes], bool] = lambda caller, certificate: True,
        services_of: Callable[[str], int] = lambda caller: 0,
    ) -> None:
        """`more`: what else may be called of what `port_of` gives, and with which values. `is_of`: whether the caller
        has that certificate (DER) still; a stolen box's is good for weeks. `services_of`: how many services the caller
        may hold."""
        self.address = address
        self.port = port
        self._tls = tls
        self._domain = domain
        self._desk = port_of
        self._known = {**ARGUMENTS, **(more or {})}
        self._is_of = is_of
        self._services_of = services_of
        self._open: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._changes_left: dict[str, tuple[float, float]] = {}
        """The changes left of each caller, and when that was reckoned."""

    async def __aenter__(self) -> Server:
        self._server = await asyncio.start_server(
            self._begin,
            self.address,
            self.port,
            ssl=self._tls,
            ssl_handshake_timeout=CALL_SECONDS_MAX,
            limit=wire.LINE_BYTES_MAX,
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError, TimeoutError, asyncio.CancelledError, ValueError):
                await self._converse(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            caller = caller_of(writer.get_extra_info("peercert"), self._domain)
            shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            self._check_key(caller, shown)
            most = CONVERSATIONS_MAX + CONVERSATIONS_PER_SERVICE * self._services_of(caller)
            if self._open[caller] >= most:
                raise Busy(f"{caller} already has {most} open conversations.")
            port = self._desk(caller)
        except ApplianceError as error:
            await _send(writer, wire.write_refusal(error))
            return
        self._open[caller] += 1
        try:
            while line := await asyncio.wait_for(reader.readline(), IDLE_SECONDS_MAX):
                self._check_key(caller, shown)
                await self._answer(caller, port, line, writer)
        except Forbidden as error:
            await _send(writer, wire.write_refusal(error))
        finally:
            self._open[caller] -= 1

    def _check_key(self, caller: str, shown: bytes) -> None:
        """At each call: a line lasts for as long as it is used, and may be a stolen box's by now."""
        if not self._is_of(caller, shown):
            raise Forbidden(f"this certificate does not have the present key of {caller}.")

    def _count_change(self, caller: str) -> None:
        now = asyncio.get_running_loop().time()
        left, at = self._changes_left.get(caller, (CHANGES_AT_ONCE_MAX, now))
        left = min(CHANGES_AT_ONCE_MAX, left + (now - at) * CHANGES_PER_SECOND_MAX)
        if left < 1:
            raise Busy(f"{caller} makes more than {CHANGES_PER_SECOND_MAX:.0f} changes a second.")
        self._changes_left[caller] = left - 1, now

    async def _answer(self, caller: str, port: Coordination, line: bytes, writer: asyncio.StreamWriter) -> None:
        try:
            call = wire.read_call(line)
            _check(call, self._known)
            if call.method in CHANGES:
                self._count_change(caller)
            if call.method == "watch":
                await _watch(port, call, writer)
                return
            seconds_max = min(call.seconds_max, CALL_SECONDS_MAX)
            answer = await getattr(port, call.method)(**call.arguments, seconds_max=seconds_max)
        except ApplianceError as error:
            await _send(writer, wire.write_refusal(error))
        else:
            await _send(writer, wire.write_answer(answer))


def _check(call: wire.Call, known: Mapping[str, Mapping[str, tuple[type, ...]]]) -> None:
    expected = known.get(call.method)
    if expected is None:
        raise UsageError(f'a broker has no method "{call.method[:50]}".')
    if call.arguments.keys() != expected.keys() or not all(
        type(value) in expected[name] for name, value in call.arguments.items()
    ):
        raise UsageError(f'"{call.method}" takes {", ".join(expected) or "nothing"}, each of its own type.')


async def _watch(port: Coordination, call: wire.Call, writer: asyncio.StreamWriter) -> None:
    events = port.watch(call.arguments["seen"], seconds_max=min(call.seconds_max, WATCH_SECONDS_MAX))
    async with contextlib.aclosing(events):
        async for event in events:
            await _send(writer, wire.write_answer(event))


async def _send(writer: asyncio.StreamWriter, line: bytes) -> None:
    """A caller that does not read its answer loses the conversation."""
    writer.write(line)
    await asyncio.wait_for(writer.drain(), CALL_SECONDS_MAX)
