"""How commands reach the voters: through their brokers, as the node of --state, for a question or an announcement."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from appliance.agent.failover import brokers_of
from appliance.backup.fetch import survey
from appliance.backup.grants import granters_of
from appliance.backup.node import Node
from appliance.coordination.broker import Acts, candidates, check_report
from appliance.coordination.keys import new_lease
from appliance.coordination.port import Intent
from appliance.coordination.remote import Remote
from appliance.coordination.tls import client_tls
from appliance.errors import ApplianceError
from appliance.failover.moving import View
from appliance.failover.papers import Papers
from appliance.trust.grant import Grant

ATTEND_SECONDS_MAX = 3.0


@dataclass(frozen=True)
class Store:
    """The voters as a command sees them, within one event loop."""

    node: Node
    port: Remote

    @property
    def by(self) -> str:
        """Who announces things here, as others are told."""
        return f"an operator at {self.node.name}"

    async def granted(self, service: str) -> Grant | None:
        """The newest grant of `service` that a broker or this node knows."""
        papers = Papers(lambda name: granters_of(self.node, name), lambda: self.node.bundle.operators)
        holding = self.node.holding(service)
        papers.take(holding.grant(epoch) for epoch in holding.epochs()[-1:])
        _, _, news, *_ = await self._attend()
        papers.take(str(text).encode() for text in news)
        return papers.grants.get(service)

    async def served_at(self, service: str) -> str:
        """The node that says to serve `service`, as a broker heard a moment ago; "" when none does."""
        _, _, _, served, *_ = await self._attend()
        told = dict(str(it).split(" ", 1) for it in served)
        return told.get(service, "")

    async def ready(self, service: str) -> int | None:
        """For how many seconds the home of `service` could have had it back, as it told a broker; None: not now."""
        *_, ready = await self._attend()
        told = dict(str(it).split(" ", 1) for it in ready)
        return int(told[service]) if service in told else None

    async def _attend(self) -> tuple[Any, ...]:
        """What a broker tells who attends; nothing is shown to it."""
        nothing: dict[str, Any] = {"token": "", "papers": (), "answers": (), "serving": (), "ready": ()}
        found = await self.port.ask("attend", ATTEND_SECONDS_MAX, **nothing)
        return tuple(found)

    async def view(self, service: str, *, fit: bool = True) -> View:
        """What a plan is made from; with `fit`, candidates are asked what they hold."""
        territory = self.node.bundle.territory
        found = territory.service(service)
        state = await self.port.read(service)
        granted = await self.granted(service)
        alive = {it.node for it in await self.port.alive()}
        unfit = await asyncio.to_thread(_unfit, self.node, service) if fit else {}
        return View(territory, found, state, granted.writer if granted else "", alive, unfit)

    def intent(self, service: str, kind: str, to: str, seconds: int, reason: str) -> Intent:
        """What to announce; raise Forbidden where this node may not, as each broker would."""
        lease = new_lease(self.node.name, secrets.randbits(32))
        made = Intent(service, kind, to, self.by, reason, lease, seconds)
        check_report(self.node.bundle.territory, self.node.name, Acts(), made)
        return made


def ask[Answer](node: Node, question: Callable[[Store], Awaitable[Answer]]) -> Answer:
    """What `question` finds out at the voters; raise Refused where there are none."""

    async def run() -> Answer:
        found = brokers_of(node.bundle)
        first = sorted(found, key=lambda name: name != node.name)
        port = Remote([found[name] for name in first], node.clock, client_tls(node.layout.tls))
        try:
            return await question(Store(node, port))
        finally:
            await port.close()

    return asyncio.run(run())


def _unfit(node: Node, service: str) -> dict[str, str]:
    """Why a standby's copy would not do, as its vault says. The home fetches what it lacks, so it is not asked."""
    plan = node.bundle.territory.service(service)
    standbys = [it for it in candidates(plan) if it != plan.node]
    others = tuple(it for it in standbys if it != node.name)
    try:
        found = survey(node, service, others)
    except ApplianceError as error:
        return dict.fromkeys(others, error.what)
    said = {head.peer: "" if head.held else "it holds no generation." for head in found.heads} | dict(found.silent)
    if node.name in standbys:
        held = any(it.held for it in node.holding(service).stored())
        said[node.name] = "" if held else "it holds no generation."
    return said
