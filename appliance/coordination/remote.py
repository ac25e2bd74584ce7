"""The port through brokers, for every node that is no voter: lines of JSON over TLS, one broker after the other."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from appliance.clock import Clock
from appliance.coordination import wire
from appliance.coordination.deadlines import CONNECT_SECONDS_MAX, TRY_SECONDS_MAX, total
from appliance.coordination.port import (
    CALL_SECONDS_MAX,
    WATCH_SECONDS_MAX,
    Alive,
    Claim,
    Ended,
    Event,
    Intent,
    Lease,
    Moved,
    NoLeader,
    Report,
    ServiceRecord,
)
from appliance.errors import ApplianceError, IntegrityError, Unreachable, UsageError

GRACE_SECONDS = 1.0
"""How much later than promised the end of a watch may come before its broker counts as gone."""
REMEDY = "On each of these: `systemctl status appliance-broker appliance-voter`, and check its link."
_Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class Broker:
    """Where a broker listens; `name` stands in its certificate. `is_of`: whether its voter has that certificate (DER)
    still; a stolen box's is good for weeks."""

    address: str
    port: int
    name: str
    is_of: Callable[[bytes], bool] = field(default=lambda certificate: True, compare=False, repr=False)


class Remote:
    """A client of the `brokers`; `tls` has the authorities that it believes and its certificate. Use it within one
    event loop, close it."""

    def __init__(self, brokers: Sequence[Broker], clock: Clock, tls: ssl.SSLContext) -> None:
        if not brokers:
            raise UsageError("there are no voters.", remedy="Give nodes of territory.yml the role `voter`.")
        self._brokers = tuple(brokers)
        self._next = 0
        self._clock = clock
        self._tls = tls
        self._idle: dict[Broker, list[_Line]] = {}

    async def close(self) -> None:
        for lines in self._idle.values():
            for _, writer in lines:
                writer.transport.abort()
        self._idle.clear()

    async def read(self, service: str, *, seconds_max: float = CALL_SECONDS_MAX) -> ServiceRecord:
        return _as(ServiceRecord, await self.ask("read", seconds_max, service=service))

    async def history(
        self, service: str, *, entries_max: int = 100, seconds_max: float = CALL_SECONDS_MAX
    ) -> tuple[Moved, ...]:
        return _all(Moved, await self.ask("history", seconds_max, service=service, entries_max=entries_max))

    async def alive(self, *, seconds_max: float = CALL_SECONDS_MAX) -> tuple[Alive, ...]:
        return _all(Alive, await self.ask("alive", seconds_max))

    async def acquire(self, claim: Claim, *, seconds_max: float = CALL_SECONDS_MAX) -> Lease:
        sent = self._clock.boottime()
        return replace(_as(Lease, await self.ask("acquire", seconds_max, claim=claim)), sent=sent)

    async def renew(self, holding: Lease, *, seconds_max: float = CALL_SECONDS_MAX) -> Lease:
        sent = self._clock.boottime()
        return replace(_as(Lease, await self.ask("renew", seconds_max, holding=holding)), sent=sent)

    async def release(self, holding: Lease, reason: str, time: str, *, seconds_max: float = CALL_SECONDS_MAX) -> None:
        await self.ask("release", seconds_max, holding=holding, reason=reason, time=time)

    async def report(self, report: Report, *, seconds_max: float = CALL_SECONDS_MAX) -> None:
        await self.ask("report", seconds_max, report=report)

    async def withdraw(self, intent: Intent, *, seconds_max: float = CALL_SECONDS_MAX) -> None:
        await self.ask("withdraw", seconds_max, intent=intent)

    async def watch(self, seen: ServiceRecord, *, seconds_max: float = WATCH_SECONDS_MAX) -> AsyncGenerator[Event]:
        call = wire.Call("watch", {"seen": seen}, seconds_max)
        ends = asyncio.get_running_loop().time() + seconds_max + GRACE_SECONDS
        try:
            async with self._line(self._brokers[self._next]) as (reader, writer):
                writer.write(wire.write_call(call))
                while True:
                    async with asyncio.timeout_at(ends):
                        event = wire.read_answer(await _line_of(reader))
                    if not isinstance(event, ServiceRecord | NoLeader | Ended):
                        raise IntegrityError("a broker gave an unexpected answer to a watch.")
                    yield event
                    if not isinstance(event, ServiceRecord):
                        return
        except (Unreachable, TimeoutError) as error:
            yield Ended(str(error) or "the broker stopped answering.")

    async def ask(
        self, method: str, seconds_max: float, *, try_seconds_max: float = TRY_SECONDS_MAX, **arguments: object
    ) -> Any:
        """Return the answer of the first broker that can answer; a call is the same however often it is made."""
        async with total(seconds_max):
            silent = dict[str, Unreachable]()
            for _ in range(len(self._brokers) + 1):
                broker = self._brokers[self._next]
                try:
                    return await self._try(broker, wire.Call(method, arguments, try_seconds_max))
                except Unreachable as error:
                    silent[broker.name] = error
            why = "; ".join(error.what for error in silent.values())
            raise Unreachable(f"no voter's broker can answer: {why}", remedy=REMEDY) from silent[broker.name]

    async def _try(self, broker: Broker, call: wire.Call) -> Any:
        try:
            async with asyncio.timeout(call.seconds_max), self._line(broker) as (reader, writer):
                writer.write(wire.write_call(call))
                answer = await _line_of(reader)
        except TimeoutError as error:
            raise Unreachable(f"{broker.name} did not answer within {call.seconds_max} s.") from error
        try:
            return wire.read_answer(answer)
        except Unreachable:  # by this broker's voter: another one may have the majority
            self._leave(broker)
            raise

    @contextlib.asynccontextmanager
    async def _line(self, broker: Broker) -> AsyncIterator[_Line]:
        """A line to `broker` that nobody uses; it is kept for the next call when this one was answered."""
        line: _Line | None = None
        try:
            line = self._idle[broker].pop() if self._idle.get(broker) else await self._connect(broker)
            yield line
            self._idle.setdefault(broker, []).append(line)
            line = None
        except (OSError, EOFError, ValueError) as error:
            self._leave(broker)
            raise Unreachable(f"{broker.name}: {_why(error)}.") from error
        except (ApplianceError, asyncio.CancelledError):
            self._leave(broker)
            raise
        finally:
            if line:
                line[1].transport.abort()

    def _leave(self, broker: Broker) -> None:
        """Begin the next call elsewhere, unless another call has seen to that."""
        if self._brokers[self._next] is broker:
            self._next = (self._next + 1) % len(self._brokers)

    async def _connect(self, broker: Broker) -> _Line:
        async with asyncio.timeout(CONNECT_SECONDS_MAX):
            reader, writer = await asyncio.open_connection(
                broker.address, broker.port, ssl=self._tls, server_hostname=broker.name, limit=wire.ANSWER_BYTES_MAX
            )
        if broker.is_of(writer.get_extra_info("ssl_object").getpeercert(binary_form=True)):
            return reader, writer
        writer.transport.abort()
        raise Unreachable(f"{broker.name} shows a certificate that does not have its present key.")


_DATES = {
    9: "its certificate begins later than this machine's clock says",
    10: "its certificate has expired by this machine's clock",
}
"""The meaning of OpenSSL's verdicts X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED for people."""


def _why(error: Exception) -> str:
    """In the words of the system, where asyncio puts addresses in."""
    if isinstance(error, ssl.SSLCertVerificationError) and error.verify_code in _DATES:
        return f"{_DATES[error.verify_code]}; if that is wrong, see `timedatectl` and `chronyc sources`"
    number = error.errno if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) else None
    return os.strerror(number) if number else str(error) or "the connection was cut"


async def _line_of(reader: asyncio.StreamReader) -> bytes:
    line = await reader.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    return line


def _as[T](kind: type[T], value: object) -> T:
    if not isinstance(value, kind):
        raise IntegrityError(f"a broker gave an unexpected answer, not {kind.__name__}.")
    return value


def _all[T](kind: type[T], values: object) -> tuple[T, ...]:
    return tuple(_as(kind, each) for each in _as(tuple, values))
