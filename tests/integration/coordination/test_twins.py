"""The same calls to the store in memory and to etcd, drawn at random, have the same outcomes."""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from appliance.coordination.port import Claim, Coordination, Intent, Lease, Moved, ServiceRecord
from appliance.errors import ApplianceError
from appliance_lab.processes.etcd import EtcdProcesses
from tests.integration.coordination.worlds import TIME, InMemory, RealEtcd, World, claim, intent, new_service

pytestmark = pytest.mark.usefixtures("runner")
CALLS = 120
NODES = ("commune-a", "commune-b", "hermitage")
KINDS = (*2 * ("acquire", "renew", "release"), "again", "history", "intend", "withdraw")


@dataclass
class Twin:
    """One of the two worlds; `_names` calls revisions by the order in which they were seen, as their numbers differ."""

    world: World
    holdings: list[Lease] = field(default_factory=list)
    states: list[ServiceRecord] = field(default_factory=list)
    _names: dict[int, int] = field(default_factory=lambda: {0: 0})

    async def outcome(self, call: Callable[[Coordination, Twin], Coroutine[Any, Any, object]], node: str) -> object:
        """Return the outcome of `call`, in a form that the other twin's can be compared with."""
        try:
            result = await call(self.world.at(node), self)
        except ApplianceError as error:
            return type(error).__name__
        if isinstance(result, Lease):
            self.holdings.append(result)
        if isinstance(result, ServiceRecord):
            self.states.append(result)
        return self._plain(result)

    def _plain(self, result: object) -> object:
        match result:
            case Lease():
                return replace(result, revision=self._name(result.revision), since=self._name(result.since), sent=0.0)
            case ServiceRecord(owner=owner, holder=holder):
                return replace(
                    result,
                    revision=0,
                    owner=owner and replace(owner, revision=self._name(owner.revision)),
                    holder=holder and replace(holder, revision=self._name(holder.revision)),
                )
            case Moved():
                return replace(result, revision=self._name(result.revision), previous=self._name(result.previous))
            case tuple():
                # Names are given in the order of time, and a history is told backwards.
                return tuple(self._plain(each) for each in reversed(result))
        return result

    def _name(self, revision: int) -> int:
        return self._names.setdefault(revision, len(self._names))


async def test_what_one_answers_the_other_answers_too(one_voter: EtcdProcesses, seed: int) -> None:
    draw = random.Random(seed)
    service, claims, intents = new_service(), list[Claim](), list[Intent]()
    twins = [Twin(InMemory()), Twin(RealEtcd(one_voter))]
    seen: set[str] = set()
    for number in range(CALLS):
        node = draw.choice(NODES)
        called, call = drawn(draw, node, service, claims, intents)
        memory, etcd = [await twin.outcome(call, node) for twin in twins]
        assert memory == etcd, f"call {number}, {called} of {node}, seed {seed}"
        for twin in twins:
            await twin.outcome(lambda port, _: port.read(service), node)
        seen.add(f"{called}: {memory if isinstance(memory, str) else 'done'}")
    # Each kind of outcome that there is came up, or the numbers above prove little.
    assert {"acquire: done", "acquire: Taken", "renew: done", "renew: Lost", "release: done"} <= seen, seed
    for twin in twins:
        await twin.world.close()


def drawn(
    draw: random.Random, node: str, service: str, claims: list[Claim], intents: list[Intent]
) -> tuple[str, Callable[[Coordination, Twin], Coroutine[Any, Any, object]]]:
    """A call and its name; both twins make it with what each of them knows."""
    kind = draw.choice(KINDS)
    which, resumes, ousts, current = draw.random(), draw.random() < 0.3, draw.random() < 0.3, draw.random() < 0.8
    if kind == "acquire":
        claims.append(made := claim(service, node, ttl=60, resumes=resumes))

        def acquire(port: Coordination, twin: Twin) -> Coroutine[Any, Any, object]:
            record = twin.states[-1 if current else 0] if twin.states else ServiceRecord(service, 0)
            holder = record.holder.revision if ousts and record.holder else 0
            return port.acquire(replace(made, seen=record.owned, ousts=holder))

        return kind, acquire
    if kind == "again" and claims:
        return kind, lambda port, twin: port.acquire(replace(claims[-1], seen=twin.states[-1].owned))
    if kind == "intend":
        intents.append(new := intent(service, ttl=60))
        return kind, lambda port, _: port.report(new)
    if kind == "withdraw" and intents:
        old = draw.choice(intents)
        return kind, lambda port, _: port.withdraw(old)
    if kind in ("renew", "release"):

        def use(port: Coordination, twin: Twin) -> Coroutine[Any, Any, object]:
            if not twin.holdings:
                return port.read(service)
            lease = twin.holdings[-1 if current else int(which * len(twin.holdings))]
            return port.renew(lease) if kind == "renew" else port.release(lease, "moved", TIME)

        return kind, use
    return "history", lambda port, _: port.history(service)
