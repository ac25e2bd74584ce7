"""The calls by which a voter's agent maintains the voter beside it: see who leads, hand the lead over, take a snapshot.
On etcd 3.5.

The lead is kept at the standby of the whole territory, where the power and the line are best: a town hall that dies
then never takes the leader along, which would cost its services an election and their leases a second life. Only the
voter that leads can hand over, and so it does while no lease is about to end.
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass

from appliance.coordination import answers, keys, requests
from appliance.coordination.deadlines import total
from appliance.coordination.gateway import Gateway, Voter
from appliance.coordination.port import CALL_SECONDS_MAX
from appliance.errors import IntegrityError
from appliance.voter.maintenance_rules import EtcdLease, MemberStatus

STATUS, MEMBERS = "/v3/maintenance/status", "/v3/cluster/member/list"
REMOVE, ADD = "/v3/cluster/member/remove", "/v3/cluster/member/add"
TRANSFER, SNAPSHOT = "/v3/maintenance/transfer-leadership", "/v3/maintenance/snapshot"
DEFRAGMENT = "/v3/maintenance/defragment"
LEASES, TIME_TO_LIVE = "/v3/lease/leases", "/v3/lease/timetolive"
QUIET_SECONDS_MAX = 10.0
DEFRAGMENT_SECONDS_MAX = 30.0
DIGEST_BYTES = hashlib.sha256().digest_size


@dataclass(frozen=True)
class Listed:
    """A voter as the others know it, whether it ever started or not."""

    member: int
    peer_url: str


class EtcdAdmin:
    """The client of the one `voter` beside this agent; use it within one event loop and close it."""

    def __init__(self, voter: Voter, tls: ssl.SSLContext | None = None) -> None:
        self._gateway = Gateway((voter,), tls, needs_leader=False)

    async def close(self) -> None:
        await self._gateway.close()

    async def status(self, *, seconds_max: float = CALL_SECONDS_MAX) -> MemberStatus:
        """How the voter stands, told by itself: it may be cut off from all others."""
        async with total(seconds_max):
            answer = await self._gateway.ask(STATUS, {})
        return MemberStatus(
            answers.number(answers.part(answer, "header"), "member_id"),
            answers.number(answer, "leader"),
            answers.number(answer, "dbSize"),
            answers.revision(answer),
            answers.number(answer, "dbSizeInUse"),
            answers.number(answer, "raftTerm"),
        )

    async def members(self, *, seconds_max: float = CALL_SECONDS_MAX) -> Mapping[str, int]:
        """The number of each voter by its name, as this one knows them."""
        async with total(seconds_max):
            answer = await self._gateway.ask(MEMBERS, {})
        return {str(each.get("name", "")): answers.number(each, "ID") for each in answers.items(answer, "members")}

    async def listed(self, *, seconds_max: float = CALL_SECONDS_MAX) -> tuple[Listed, ...]:
        """The voters as a majority of them knows them; raise Unreachable when none answers."""
        async with total(seconds_max):
            answer = await self._gateway.ask(MEMBERS, {"linearizable": True})
        return tuple(
            Listed(answers.number(each, "ID"), str(url))
            for each in answers.items(answer, "members")
            for url in _urls(each)
        )

    async def remove(self, member: int, *, seconds_max: float = CALL_SECONDS_MAX) -> None:
        """Take `member` out of the voters; a majority of those left must be at work."""
        async with total(seconds_max):
            await self._gateway.ask(REMOVE, {"ID": str(member)})

    async def add(self, peer_url: str, *, seconds_max: float = CALL_SECONDS_MAX) -> None:
        """Take in the voter that will listen at `peer_url`; it asks the others for all they have."""
        async with total(seconds_max):
            await self._gateway.ask(ADD, {"peerURLs": [peer_url]})

    async def hand_over(self, member: int, *, seconds_max: float = CALL_SECONDS_MAX) -> None:
        """Let `member` lead; only when this voter does."""
        async with total(seconds_max):
            await self._gateway.ask(TRANSFER, {"targetID": str(member)})

    async def leases(self, *, seconds_max: float = CALL_SECONDS_MAX) -> tuple[EtcdLease, ...]:
        """Those that hold a service, as the voter that leads knows them. One that ends meanwhile is told as ended."""
        async with total(seconds_max):
            known = answers.items(await self._gateway.ask(LEASES, {}), "leases")
            asked = [
                await self._gateway.ask(TIME_TO_LIVE, requests.time_to_live(answers.number(it, "ID"))) for it in known
            ]
        return tuple(
            EtcdLease(answers.number(it, "TTL"), answers.number(it, "grantedTTL"))
            for it in asked
            if any(map(keys.is_holder_key, answers.raws(it, "keys")))
        )

    async def defragment(self, *, seconds_max: float = DEFRAGMENT_SECONDS_MAX) -> None:
        """Give the room that nothing uses any more back to the disk; this voter answers nobody meanwhile."""
        async with total(seconds_max):
            async for _ in self._gateway.stream(DEFRAGMENT, {}, quiet_seconds_max=seconds_max):
                pass

    async def snapshot(self) -> AsyncGenerator[bytes]:
        """The voter's file in pieces, as `etcdutl snapshot restore` takes it; the caller may take any time to keep
        them.

        Raise IntegrityError at its end when the hash that etcd appends does not hold: nothing of it is good then.
        """
        digest, last = hashlib.sha256(), b""
        async for line in self._gateway.stream(SNAPSHOT, {}, quiet_seconds_max=QUIET_SECONDS_MAX):
            last += answers.raw(line, "blob")
            digest.update(last[:-DIGEST_BYTES])
            yield last[:-DIGEST_BYTES]
            last = last[-DIGEST_BYTES:]
        yield last
        if digest.digest() != last:
            raise IntegrityError(
                "the snapshot of the voter's store is cut short.", remedy="It is retried automatically."
            )


def _urls(member: answers.Answer) -> list[object]:
    found = member.get("peerURLs", [])
    return found if isinstance(found, list) else []
