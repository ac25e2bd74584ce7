"""Failures on the way to etcd: lost answers, slow, huge and senseless ones, revoked leases."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import httpx
import pytest

from appliance.clock import SystemClock
from appliance.coordination.etcd import KEEPALIVE, REVOKE, TXN, Etcd
from appliance.coordination.gateway import Voter
from appliance.coordination.keys import holder_key, owner_key
from appliance.coordination.port import Lost
from appliance.coordination.requests import encoded
from appliance.errors import ApplianceError, IntegrityError, Unreachable, UsageError
from appliance_lab.processes.etcd import EtcdProcesses
from tests.integration.coordination.made_up_voters import listening, saying
from tests.integration.coordination.worlds import alive, claim, new_service

pytestmark = pytest.mark.usefixtures("runner")


async def dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An answer of which a byte comes every tenth of a second: no timeout for one piece ever ends it."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while not reader.at_eof():
        writer.write(b" ")
        await writer.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.1):
                await reader.read(65536)


@contextlib.asynccontextmanager
async def client_of(*voters: Voter) -> AsyncIterator[Etcd]:
    client = Etcd(voters, SystemClock())
    try:
        yield client
    finally:
        await client.close()


def url_of(processes: EtcdProcesses) -> str:
    return processes.addresses[0].url


async def test_a_voter_that_drips_is_left_within_the_deadline(one_voter: EtcdProcesses) -> None:
    async with listening(dripping) as slow:
        async with client_of(slow) as client:
            started = asyncio.get_running_loop().time()
            with pytest.raises(Unreachable, match=r"did not answer within 0\.5 s"):
                await client.read("docs-a", seconds_max=0.5)
            assert asyncio.get_running_loop().time() - started < 1.5
        async with client_of(slow, *one_voter.addresses) as client:
            assert (await client.read(service := new_service())).service == service


async def test_a_dead_voter_costs_one_try_and_the_next_call_begins_elsewhere(one_voter: EtcdProcesses) -> None:
    calls = 0

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal calls
        calls += 1

    async with listening(count) as dead, client_of(dead, *one_voter.addresses) as client:
        for _ in range(3):
            await client.read(new_service())
        assert calls == 1


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "not readable JSON"),
        (b"<html>", "not readable JSON"),
        (b"[]", "is not an object"),
        (b'{"result": 3}', "is not an object"),
        (b'{"kvs": 3}', 'no list in its field "kvs"'),
        (b'{"kvs": [{"key": "?"}]}', "no base64"),
        (b'{"kvs": [{"mod_revision": "x"}]}', "no number"),
        (b'{"header": 3}', "no object"),
        (b"[" * 100_000, "not readable JSON"),
        (b"x" * 2_000_000, "more than 1048576 bytes"),
    ],
)
async def test_what_is_no_answer_of_etcd_is_a_sentence(body: bytes, sentence: str) -> None:
    async with listening(saying(body)) as odd, client_of(odd) as client:
        with pytest.raises(IntegrityError, match=sentence):
            await client.read("docs-a")


async def test_an_error_of_etcd_is_told_in_its_words() -> None:
    error = b'{"error":"etcdserver: mvcc: database space exceeded","code":8,"message":"database space exceeded"}'
    async with listening(saying(error, status="429 Too Many Requests")) as full, client_of(full) as client:
        with pytest.raises(ApplianceError, match="database space exceeded") as failure:
            await client.acquire(claim("docs-a"))
        assert not isinstance(failure.value, Unreachable)


async def test_a_takeover_whose_answer_was_lost_is_found_when_it_is_asked_again(one_voter: EtcdProcesses) -> None:
    lost = 0

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal lost
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.lower().splitlines() if line.startswith(b"content-le"))
        path = head.split()[1].decode()
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.post(url_of(one_voter) + path, content=await reader.readexactly(length))
        if path == TXN and not lost:
            lost += 1  # the connection ends without an answer
            return
        await saying(answer.content)(_headed(), writer)

    service = new_service()
    async with listening(forward) as voter, client_of(voter) as client:
        lease = await client.acquire(asked := claim(service, ttl=60))
        assert lost == 1
        assert len(await client.history(service)) == 1
        assert lease.revision == (await client.read(service)).owned
        again = await client.acquire(asked)
        assert replace(again, sent=lease.sent) == lease


async def test_a_keepalive_alone_proves_nothing(one_voter: EtcdProcesses) -> None:
    """As 3.5.16 may do it: the lease is gone, the keepalive says that it was renewed."""
    service = new_service()

    async def lying(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.lower().splitlines() if line.startswith(b"content-le"))
        path, body = head.split()[1].decode(), await reader.readexactly(length)
        if path == KEEPALIVE:
            await saying(b'{"result":{"TTL":"15"}}\n')(_headed(), writer)
            return
        async with httpx.AsyncClient(trust_env=False) as http:
            await saying((await http.post(url_of(one_voter) + path, content=body)).content)(_headed(), writer)

    async with client_of(*one_voter.addresses) as honest, listening(lying) as liar, client_of(liar) as deceived:
        lease = await honest.acquire(claim(service, ttl=60))
        assert (await deceived.renew(lease)).ttl_seconds == 15
        await _post(one_voter, REVOKE, {"ID": str(lease.lease)})
        with pytest.raises(Lost, match="has expired"):
            await deceived.renew(lease)


async def test_a_beat_writes_nothing(one_voter: EtcdProcesses) -> None:
    async with client_of(*one_voter.addresses) as client:
        here, lease = alive("commune-q", ttl=60), await client.acquire(claim(new_service(), ttl=60))
        await client.report(here)
        before = (await client.read("docs-z")).revision
        for _ in range(5):
            await client.report(here)
            lease = await client.renew(lease)
    # Not the revision alone: a lease of another test may expire meanwhile, which counts and is no beat.
    every_key = {"key": encoded(b"\0"), "range_end": encoded(b"\0")}
    written = await _post(one_voter, "/v3/kv/range", every_key | {"min_mod_revision": str(before + 1)})
    assert "kvs" not in written


@pytest.mark.parametrize("value", [b"", b"{}", b"[]", b'{"format":1}', b"x" * 5000, b'{"format":1,"node":3}'])
async def test_a_value_that_no_node_wrote_is_no_owner(one_voter: EtcdProcesses, value: bytes) -> None:
    service = new_service()
    for key in (owner_key(service), holder_key(service)):
        await _post(one_voter, "/v3/kv/put", {"key": encoded(key), "value": encoded(value)})
    async with client_of(*one_voter.addresses) as client:
        with pytest.raises(ApplianceError, match=rf"'svc/{service}/(owner|holder)' in the store"):
            await client.read(service)


async def test_a_lease_in_whose_place_no_node_wrote_is_lost(one_voter: EtcdProcesses) -> None:
    async with client_of(*one_voter.addresses) as client:
        lease = await client.acquire(claim(service := new_service(), ttl=60))
        await _post(one_voter, "/v3/kv/put", {"key": encoded(holder_key(service)), "value": encoded(b"rubbish")})
        with pytest.raises(Lost, match=rf"the lease on {service} is no longer ours: .*'svc/{service}/holder'"):
            await client.renew(lease)


async def test_no_voter_is_a_mistake_in_the_territory_and_https_needs_somebody_to_believe() -> None:
    with pytest.raises(UsageError, match="role `voter`"):
        Etcd((), SystemClock())
    async with listening(saying(b"{}")) as voter, client_of(Voter(voter.url.replace("http:", "https:"))) as client:
        with pytest.raises(Unreachable):
            await client.read("docs-a")


def _headed() -> asyncio.StreamReader:
    """A request whose head was read."""
    reader = asyncio.StreamReader()
    reader.feed_data(b"\r\n\r\n")
    return reader


async def _post(processes: EtcdProcesses, path: str, body: dict[str, str]) -> Mapping[str, Any]:
    async with httpx.AsyncClient(trust_env=False) as http:
        answer: Mapping[str, Any] = (await http.post(url_of(processes) + path, json=body)).raise_for_status().json()
        return answer
