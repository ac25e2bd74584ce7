"""Calls to etcd's JSON gateway over httpcore: one voter after the other, each call within a total deadline.

httpx is the same connections, with a command line and its colours loaded beside them: nine megabytes of a broker.
httpcore counts connecting, writing and each piece that is read apart; a voter that sends a byte a second would hold a
call for ever. So each try and each call have a deadline of their own around all of it. Any failure, and a call that was
cancelled, moves on to the next voter: the next call never begins at one that is dead.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass

import httpcore

from appliance.coordination.answers import Answer, Rejected, parse
from appliance.coordination.deadlines import CONNECT_SECONDS_MAX, TRY_SECONDS_MAX
from appliance.coordination.requests import Body
from appliance.errors import ApplianceError, IntegrityError, Unreachable, UsageError

ANSWER_BYTES_MAX = 1024 * 1024
HEADERS: dict[bytes | str, bytes | str] = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
HAS_LEADER: dict[bytes | str, bytes | str] = {"Grpc-Metadata-hasleader": "true"}
"""Without it a watch at a voter that lost its majority stays silent for as long as that lasts."""

FAILURES = (
    httpcore.ConnectionNotAvailable,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.TimeoutException,
    httpcore.UnsupportedProtocol,
    # TLS 1.3 refuses a client after the handshake, in the middle of a read, where httpcore lets that error through.
    OSError,
)


@dataclass(frozen=True)
class Voter:
    """Where etcd listens, as "https://127.0.0.1:2379"; `name` stands in its certificate, "" for the host of the URL."""

    url: str
    name: str = ""


class Gateway:
    """The voters, in the order in which they are asked; `tls` has the authorities that we believe and our certificate.

    Unless it `needs_leader`, a voter also answers what it knows by itself.
    """

    def __init__(
        self, voters: Sequence[Voter], tls: ssl.SSLContext | None = None, *, needs_leader: bool = True
    ) -> None:
        if not voters:
            raise UsageError("there are no voters.", remedy="Give nodes of territory.yml the role `voter`.")
        self._voters = tuple(voters)
        self._next = 0
        self._headers = HEADERS | (HAS_LEADER if needs_leader else {})
        # A context without any authorities believes no https at all.
        self._http = httpcore.AsyncConnectionPool(
            tls or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            max_connections=None,
            max_keepalive_connections=8,
            keepalive_expiry=60.0,
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def ask(self, path: str, body: Body) -> Answer:
        """Return the answer of any voter; raise Rejected for a refusal of etcd's, Unreachable when none can answer.

        The first voter gets a second try when all have had one: its connection may have been closed while unused.
        """
        last: ApplianceError | None = None
        for _ in range(len(self._voters) + 1):
            try:
                return await self._try(path, body)
            except (Rejected, Unreachable) as error:
                if isinstance(error, Rejected) and not error.is_for_another:
                    raise
                last = error
        assert last is not None
        raise Unreachable(f"no voter can answer: {last.what}") from last

    async def stream(self, path: str, body: Body, *, quiet_seconds_max: float | None = None) -> AsyncGenerator[Answer]:
        """The lines of one voter's answer as they come, for as long as its line holds; the caller bounds the time.

        Raise Unreachable when nothing comes for `quiet_seconds_max`.
        """
        async with self._open(path, body, quiet_seconds_max) as response:
            rest = b""
            async for piece in response.aiter_stream():
                *lines, rest = (rest + piece).split(b"\n")
                _check_size(rest)
                for line in filter(None, lines):
                    yield parse(line)

    async def _try(self, path: str, body: Body) -> Answer:
        try:
            async with asyncio.timeout(TRY_SECONDS_MAX), self._open(path, body, TRY_SECONDS_MAX) as response:
                answer = b""
                # Read to its end, or the connection could not serve another call.
                async for piece in response.aiter_stream():
                    answer += piece
                    _check_size(answer)
                # A keepalive is answered by a stream of one line.
                return parse(answer.partition(b"\n")[0])
        except TimeoutError as error:
            raise Unreachable(f"no answer came within {TRY_SECONDS_MAX} s.") from error

    @contextlib.asynccontextmanager
    async def _open(self, path: str, body: Body, read_seconds_max: float | None) -> AsyncIterator[httpcore.Response]:
        voter = self._voters[self._next]
        limits = {"connect": CONNECT_SECONDS_MAX, "read": read_seconds_max, "write": TRY_SECONDS_MAX}
        extensions = {"timeout": limits, **({"sni_hostname": voter.name} if voter.name else {})}
        asked, url = json.dumps(body).encode(), voter.url + path
        try:
            async with self._http.stream(
                "POST", url, headers=self._headers, content=asked, extensions=extensions
            ) as response:
                yield response
        except FAILURES as error:
            self._leave(voter)
            raise Unreachable(f"{voter.url}: {error or type(error).__name__}.") from error
        except (ApplianceError, asyncio.CancelledError):
            self._leave(voter)
            raise

    def _leave(self, voter: Voter) -> None:
        """Begin the next call elsewhere, unless another call has seen to that."""
        if self._voters[self._next] is voter:
            self._next = (self._next + 1) % len(self._voters)


def _check_size(answer: bytes) -> None:
    if len(answer) > ANSWER_BYTES_MAX:
        raise IntegrityError(f"a voter's answer has more than {ANSWER_BYTES_MAX} bytes, which etcd never sends here.")
