"""How commands reach the voters: through their brokers, as the node of --state, for a question or an announcement."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from appliance.backup.chain.grants import granters_of
from appliance.backup.peers.conversation import Head
from appliance.backup.peers.fetch import survey
from appliance.backup.vault.replicas import replica_of
from appliance.clock import utc_seconds
from appliance.coordination.keys import new_lease
from appliance.coordination.port import Intent
from appliance.coordination.remote import Remote
from appliance.coordination.tls import client_tls
from appliance.errors import ApplianceError
from appliance.failover.documents import SignedDocuments
from appliance.failover.moving import View
from appliance.failover.program import brokers_of
from appliance.node.handle import Node
from appliance.trust.generation import Header
from appliance.trust.grant import Grant
from appliance.units import HOUR
from appliance.voter.broker import Acts, check_report, may_announce

ATTEND_SECONDS_MAX = 3.0
UNTAKEN_SECONDS = HOUR
"""A generation that is older than this and that a standby still lacks is one that it refuses, or has no room for."""


@dataclass(frozen=True)
class Store:
    """The voters as a command sees them, within one event loop."""

    node: Node
    port: Remote
    brokers: Mapping[str, Remote] = field(default_factory=dict)
    """Each voter's alone, by the name of its node."""

    @property
    def by(self) -> str:
        """The name under which others see announcements from here."""
        return f"an operator at {self.node.name}"

    async def granted(self, service: str) -> Grant | None:
        """The newest grant of `service` that a broker or this node knows."""
        replica = replica_of(self.node, service)
        documents = self._papers()
        documents.take(replica.grant(epoch) for epoch in replica.epochs()[-1:])
        _, _, news, *_ = await self._attend(self.port)
        documents.take(str(text).encode() for text in news)
        return documents.grants.get(service)

    async def knowing(self, granted: Grant) -> frozenset[str]:
        """The voters whose brokers know `granted`, of a service of which this node is told: the others sign no grant
        that comes after it."""

        async def knows(broker: Remote) -> bool:
            documents = self._papers()
            with contextlib.suppress(ApplianceError):
                _, _, news, *_ = await self._attend(broker)
                documents.take(str(text).encode() for text in news)
            found = documents.grants.get(granted.service)
            return found is not None and found.epoch >= granted.epoch

        said = await asyncio.gather(*map(knows, self.brokers.values()))
        return frozenset(name for name, yes in zip(self.brokers, said, strict=True) if yes)

    def _papers(self) -> SignedDocuments:
        return SignedDocuments(lambda name: granters_of(self.node, name), lambda: self.node.bundle.operators)

    async def served_at(self, service: str) -> str:
        """The node that says to serve `service`, as a broker heard a moment ago; "" when none does."""
        _, _, _, served, *_ = await self._attend(self.port)
        told = dict(str(it).split(" ", 1) for it in served)
        return told.get(service, "")

    async def ready(self, service: str) -> int | None:
        """For how many seconds the home of `service` could have had it back, as it told a broker; None: not now."""
        *_, ready = await self._attend(self.port)
        told = dict(str(it).split(" ", 1) for it in ready)
        return int(told[service]) if service in told else None

    async def _attend(self, broker: Remote) -> tuple[Any, ...]:
        """Return what a broker tells a node that calls; nothing is shown to it."""
        nothing: dict[str, Any] = {"token": "", "papers": (), "answers": (), "serving": (), "ready": ()}
        found = await broker.ask("attend", ATTEND_SECONDS_MAX, **nothing)
        return tuple(found)

    async def view(self, service: str, *, fit: bool = True) -> View:
        """Return the input of a plan; with `fit`, candidates are asked what they hold."""
        territory = self.node.bundle.territory
        found = territory.service(service)
        record = await self.port.read(service)
        granted = await self.granted(service)
        alive = {it.node for it in await self.port.alive()}
        unfit = await asyncio.to_thread(_unfit, self.node, service) if fit else {}
        made = View(territory, found, record, granted.writer if granted else "", alive, unfit)
        if granted is None or not fit or not may_announce(territory, found, self.node.name):
            return made  # brokers show an unknown node no grant; what it announces is refused
        return replace(made, needed=self.node.bundle.voting.needed, knowing=await self.knowing(granted))

    def intent(self, service: str, kind: str, to: str, seconds: int, reason: str) -> Intent:
        """Return the intent to announce; raise Forbidden where this node may not, as each broker would."""
        lease = new_lease(self.node.name, secrets.randbits(32))
        made = Intent(service, kind, to, self.by, reason, lease, seconds)
        check_report(self.node.bundle.territory, self.node.name, Acts(), made)
        return made


def ask[Answer](node: Node, question: Callable[[Store], Awaitable[Answer]]) -> Answer:
    """Return what `question` finds out at the voters; raise Refused where there are none."""

    async def run() -> Answer:
        found = brokers_of(node.bundle)
        first = sorted(found, key=lambda name: name != node.name)
        tls = client_tls(node.layout.tls)
        port = Remote([found[name] for name in first], node.clock, tls)
        brokers = {name: Remote([broker], node.clock, tls) for name, broker in found.items()}
        try:
            return await question(Store(node, port, brokers))
        finally:
            for client in (port, *brokers.values()):
                await client.close()

    return asyncio.run(run())


def _lacks(head: Head, newest: Header | None, now: float) -> str:
    """Return what a standby would need and did not take, though others did long ago: a move would wait for it and
    fail."""
    if newest is None or not head.held:
        return "it holds no generation."
    if newest.id.name in head.held or now - utc_seconds(newest.time) < UNTAKEN_SECONDS:
        return ""
    return f"it does not hold {newest.id}, which others have since {newest.time}."


def _unfit(node: Node, service: str) -> dict[str, str]:
    """Why a standby's copy would not do, as its vault says. The home fetches what it lacks, so it is not asked."""
    plan = node.bundle.territory.service(service)
    standbys = [it for it in plan.candidates if it != plan.node]
    others = tuple(it for it in standbys if it != node.name)
    try:
        found = survey(node, service, others)
    except ApplianceError as error:
        return dict.fromkeys(others, error.what)
    newest = max((head.newest for head in found.heads if head.newest), key=lambda it: it.id, default=None)
    said = {head.peer: _lacks(head, newest, node.clock.now()) for head in found.heads} | dict(found.silent)
    if node.name in standbys:
        said[node.name] = "" if replica_of(node, service).newest_held() else "it holds no generation."
    return said
