"""A broker on its socket, and callers that should not be let in or that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import math
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.clock import SimulatedClock
from appliance.coordination import wire
from appliance.coordination.port import Alive, Coordination, Ended
from appliance.coordination.remote import Broker, Remote
from appliance.errors import Busy, Forbidden, IntegrityError, Refused, Unreachable, UsageError
from appliance.host.network.certificate_fields import public_key_in
from appliance.voter import server as broker_server
from appliance.voter.broker import Acts, Brokered
from appliance.voter.server import CONVERSATIONS_MAX, Server
from appliance_lab.doubles.memory_store import Memory, Store
from tests.integration.coordination.authorities import DOMAIN, authority, context, key_of, server_context
from tests.integration.coordination.worlds import alive, claim
from tests.worlds.small import node, service, territory

pytestmark = pytest.mark.usefixtures("runner")
# Commune-b has a certificate and is in the territory no more; commune-c has no part in the service.
TERRITORY = territory([node(name) for name in ("commune-a", "commune-c", "hermitage")], [service("docs", "commune-a")])


@contextlib.asynccontextmanager
async def serving(
    papers: Path,
    is_of: Callable[[str, bytes], bool] = lambda caller, certificate: True,
    services_of: Callable[[str], int] = lambda caller: 0,
) -> AsyncIterator[Callable[[str, ssl.SSLContext], Remote]]:
    """Makes clients of a broker; all are closed afterwards."""
    store = Store(SimulatedClock())

    def desk(caller: str) -> Coordination:
        if caller not in TERRITORY.nodes:
            raise Forbidden(f'"{caller}" is not a node of this territory.')
        return Brokered(Memory(store), TERRITORY, caller, lambda service: Acts())

    clients = []
    tls = server_context(papers, "hermitage")
    async with Server("127.0.0.1", 0, tls, DOMAIN, desk, is_of=is_of, services_of=services_of) as server:

        def client(name: str, tls: ssl.SSLContext) -> Remote:
            clients.append(Remote((Broker("127.0.0.1", server.port, f"{name}.{DOMAIN}"),), SimulatedClock(), tls))
            return clients[-1]

        yield client
        for each in clients:
            await each.close()


async def test_only_nodes_get_an_answer(papers: Path, tmp_path: Path) -> None:
    theirs = authority(tmp_path / "theirs")
    async with serving(papers) as client:
        good = client("hermitage", context(papers, papers))
        assert (await good.read("docs")).owner is None
        for tls in (context(papers, None), context(papers, theirs), context(theirs, papers)):
            with pytest.raises(Unreachable):
                await client("hermitage", tls).read("docs", seconds_max=2.0)
        with pytest.raises(Unreachable):
            await client("commune-a", context(papers, papers)).read("docs", seconds_max=2.0)


@pytest.mark.parametrize(("days", "why"), [(30, "begins later than"), (-90, "has expired by")])
async def test_a_certificate_of_another_time_names_the_clock(tmp_path: Path, days: int, why: str) -> None:
    """A board without a clock battery is in the past after a blackout: it starts, and says why no broker is good."""
    theirs = authority(tmp_path / "theirs", days=days)
    async with serving(theirs) as client:
        with pytest.raises(Unreachable, match=f"its certificate {why} this machine's clock.*timedatectl"):
            await client("hermitage", context(theirs, None)).read("docs", seconds_max=2.0)


async def test_a_certificate_without_a_place_in_the_bundle_opens_nothing(papers: Path) -> None:
    async with serving(papers) as client:
        with pytest.raises(Forbidden, match=r'"commune-b" is not a node of this territory'):
            await client("hermitage", context(papers, papers, "commune-b")).read("docs")


async def test_a_broker_with_the_certificate_of_a_stolen_voter_is_asked_nothing(papers: Path) -> None:
    async with serving(papers) as client:
        good = client("hermitage", context(papers, papers))
        [broker] = good._brokers
        for key, believed in ((key_of(papers, "hermitage"), True), (key_of(papers, "commune-a"), False)):
            pinned = replace(broker, is_of=lambda certificate, key=key: public_key_in(certificate) == key)
            remote = Remote((pinned,), SimulatedClock(), context(papers, papers))
            with contextlib.nullcontext() if believed else pytest.raises(Unreachable, match="not have its present key"):
                assert (await remote.read("docs", seconds_max=2.0)).owner is None
            await remote.close()


async def test_a_line_that_was_open_when_the_keys_of_its_node_were_revoked_is_good_for_no_call(papers: Path) -> None:
    revoked: set[str] = set()
    async with serving(papers, lambda caller, certificate: caller not in revoked) as client:
        stolen = client("hermitage", context(papers, papers, "commune-a"))
        lease = await stolen.acquire(claim("docs"))
        async with stolen._line(stolen._brokers[0]) as (reader, writer):
            revoked.add("commune-a")
            writer.write(wire.write_call(wire.Call("renew", {"holding": lease}, 1.0)))
            with pytest.raises(Forbidden, match="not have the present key of commune-a"):
                wire.read_answer(await reader.readline())
            with contextlib.suppress(OSError):
                assert await reader.readline() == b"", "the line is closed too"


async def test_a_certificate_lets_nobody_speak_for_another(papers: Path) -> None:
    async with serving(papers) as client:
        home = client("hermitage", context(papers, papers, "commune-a"))
        other = client("hermitage", context(papers, papers, "commune-c"))
        lease = await home.acquire(claim("docs"))
        for call in (other.renew(lease), other.release(lease, "a lie", ""), other.acquire(claim("docs"))):
            with pytest.raises(Forbidden):
                await call
        await home.renew(lease)


@pytest.mark.parametrize(
    ("line", "kind", "sentence"),
    [
        (b"GET / HTTP/1.1\r\n", IntegrityError, "invalid JSON"),
        (b"[]\n", IntegrityError, "did not send an object"),
        (b'{"format":1}\n', IntegrityError, "not a call"),
        (b'{"format":2,"call":"read"}\n', Refused, "speaks format 2"),
        (wire.write_call(wire.Call("alive", {}, math.nan)), IntegrityError, "invalid JSON"),
        (wire.write_call(wire.Call("alive", {}, math.inf)), IntegrityError, "invalid JSON"),
        (wire.write_call(wire.Call("alive", {}, -1.0)), IntegrityError, "not a call"),
        (wire.write_call(wire.Call("alive", {}, True)), IntegrityError, "not a call"),
        pytest.param(wire.write_call(wire.Call("alive", {}, 10**400)), IntegrityError, "not a call", id="400 digits"),
        (wire.write_call(wire.Call("close", {}, 1.0)), UsageError, 'has no method "close"'),
        (wire.write_call(wire.Call("__class__", {}, 1.0)), UsageError, "has no method"),
        (wire.write_call(wire.Call("read", {}, 1.0)), UsageError, '"read" takes service'),
        (wire.write_call(wire.Call("read", {"service": 3}, 1.0)), UsageError, '"read" takes service'),
        (wire.write_call(wire.Call("alive", {"service": "docs"}, 1.0)), UsageError, '"alive" takes nothing'),
        (wire.write_call(wire.Call("acquire", {"claim": "docs"}, 1.0)), UsageError, '"acquire" takes claim'),
        (wire.write_call(wire.Call("watch", {"seen": "docs"}, 1.0)), UsageError, '"watch" takes seen'),
    ],
)
async def test_what_is_no_call_is_refused_and_the_next_call_is_answered(
    papers: Path, line: bytes, kind: type[Exception], sentence: str
) -> None:
    async with serving(papers) as client:
        remote = client("hermitage", context(papers, papers))
        async with remote._line(remote._brokers[0]) as (reader, writer):
            writer.write(line)
            with pytest.raises(kind, match=sentence):
                wire.read_answer(await reader.readline())
            writer.write(wire.write_call(wire.Call("read", {"service": "docs"}, 1.0)))
            assert wire.read_answer(await reader.readline()).service == "docs"


async def test_an_answer_may_be_longer_than_a_call(papers: Path) -> None:
    class Talkative(Memory):
        async def alive(self, *, seconds_max: float = 1.0) -> tuple[Alive, ...]:
            return (Alive("hermitage", "x" * 1000, 9, 60),) * 1000

    tls, mine = server_context(papers, "hermitage"), context(papers, papers)
    async with Server("127.0.0.1", 0, tls, DOMAIN, lambda caller: Talkative(Store(SimulatedClock()))) as server:
        remote = Remote((Broker("127.0.0.1", server.port, f"hermitage.{DOMAIN}"),), SimulatedClock(), mine)
        assert len(wire.write_answer(said := await remote.alive())) > 3 * wire.LINE_BYTES_MAX
        assert len(said) == 1000
        await remote.close()


async def test_a_line_without_an_end_ends_the_conversation(papers: Path) -> None:
    async with serving(papers) as client:
        remote = client("hermitage", context(papers, papers))
        async with contextlib.AsyncExitStack() as stack:
            reader, writer = await stack.enter_async_context(remote._line(remote._brokers[0]))
            writer.write(b"x" * (3 * wire.LINE_BYTES_MAX))
            with contextlib.suppress(OSError):
                assert await reader.readline() == b""
            writer.transport.abort()
        remote._idle.clear()
        assert (await remote.read("docs")).service == "docs"


async def test_a_node_has_so_many_conversations_and_another_has_its_own(papers: Path) -> None:
    async with serving(papers) as client, contextlib.AsyncExitStack() as stack:
        greedy = client("hermitage", context(papers, papers, "commune-a"))
        for _ in range(CONVERSATIONS_MAX):
            reader, writer = await stack.enter_async_context(greedy._line(greedy._brokers[0]))
            writer.write(wire.write_call(wire.Call("alive", {}, 1.0)))
            await reader.readline()
        with pytest.raises(Busy, match="32 open conversations"):
            await greedy.read("docs")
        assert await client("hermitage", context(papers, papers, "commune-c")).alive() == ()


async def test_a_standby_of_a_hundred_services_renews_while_it_watches_them_all(papers: Path) -> None:
    """Each watch is a conversation: with 32 for all of them it was refused its renewals, and lost its leases."""
    async with (
        serving(papers, services_of=lambda caller: 100) as client,
        contextlib.AsyncExitStack() as watching,
        asyncio.timeout(60),
    ):
        standby = client("hermitage", context(papers, papers, "commune-a"))
        lease, seen = await standby.acquire(claim("docs")), await standby.read("docs")
        for _ in range(100):
            events = await watching.enter_async_context(contextlib.aclosing(standby.watch(seen)))
            assert await anext(events) == seen
        renewed = await asyncio.gather(*(standby.renew(lease) for _ in range(60)))
        assert {it.lease for it in renewed} == {lease.lease}


async def test_who_changes_things_without_end_is_refused_and_the_others_are_not(
    papers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_server, "CHANGES_AT_ONCE_MAX", 3.0)
    monkeypatch.setattr(broker_server, "CHANGES_PER_SECOND_MAX", 0.0)
    async with serving(papers) as client:
        home = client("hermitage", context(papers, papers, "commune-a"))
        lease = await home.acquire(claim("docs"))
        for _ in range(2):
            await home.report(alive("commune-a"))
        with pytest.raises(Busy, match="commune-a makes more than"):
            await home.report(alive("commune-a"))
        await home.renew(lease)
        assert (await home.read("docs")).holder is not None
        await client("hermitage", context(papers, papers, "commune-c")).report(alive("commune-c"))


async def test_a_watch_ends_when_its_broker_does(papers: Path) -> None:
    async with serving(papers) as client:
        remote = client("hermitage", context(papers, papers))
        events = remote.watch(seen := await remote.read("docs"))
        assert await anext(events) == seen
    assert [type(event) async for event in events] == [Ended]


async def test_what_is_no_call_is_no_line_of_the_journal(
    papers: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """The caller gets an answer; a broker writes nothing down that a caller can repeat without end."""
    async with serving(papers) as client:
        good = client("hermitage", context(papers, papers))
        [broker] = good._brokers
        for _ in range(20):
            reader, writer = await asyncio.open_connection(broker.address, broker.port)
            writer.write(b"no TLS\n")
            with contextlib.suppress(OSError):
                await reader.read()
            writer.close()
            async with good._line(broker) as (reader, writer):
                writer.write(b"nonsense\n")
                with pytest.raises(IntegrityError):
                    wire.read_answer(await reader.readline())
    assert caplog.records == []
    assert capfd.readouterr().err == ""


async def test_who_says_nothing_loses_the_conversation(papers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_server, "IDLE_SECONDS_MAX", 0.2)
    async with serving(papers) as client:
        good = client("hermitage", context(papers, papers))
        async with good._line(good._brokers[0]) as (reader, _):
            assert await reader.read() == b""


async def test_a_broker_that_drips_is_left_within_the_deadline(papers: Path) -> None:
    async def dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while not reader.at_eof():
                writer.write(b" ")
                await writer.drain()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await reader.read(65536)
        writer.transport.abort()

    server = await asyncio.start_server(dripping, "127.0.0.1", 0, ssl=server_context(papers, "hermitage"))
    port = server.sockets[0].getsockname()[1]
    remote = Remote((Broker("127.0.0.1", port, f"hermitage.{DOMAIN}"),), SimulatedClock(), context(papers, papers))
    started = asyncio.get_running_loop().time()
    with pytest.raises(Unreachable):
        await remote.read("docs", seconds_max=0.5)
    assert asyncio.get_running_loop().time() - started < 1.5
    await remote.close()
    server.close()


async def test_no_broker_is_a_mistake_in_the_territory(papers: Path) -> None:
    with pytest.raises(UsageError, match="role `voter`"):
        Remote((), SimulatedClock(), context(papers, papers))
