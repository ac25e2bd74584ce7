"""A round of asking the brokers for a grant: how many signatures it takes, and for whom nobody waits."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from appliance.errors import Unreachable
from appliance.failover.votes import Round, ask_all
from appliance.trust import sshsig
from appliance.trust.voted import TYPE, read_voted, statement
from tests.unit.trust.voters import KEYS, asked, voting

REQUEST = asked(2)


@dataclass
class Broker:
    """Answers with `answer`; never, when that is None."""

    answer: tuple[object, ...] | Unreachable | None
    was_given_up: bool = False

    async def ask(self, method: str, seconds_max: float, **told: Any) -> tuple[object, ...]:
        assert (method, told["request"]) == ("vote", REQUEST.document.raw.decode())
        try:
            if self.answer is None:
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.was_given_up = True
            raise
        if isinstance(self.answer, Unreachable):
            raise self.answer
        assert self.answer is not None
        return self.answer


def signed(name: str) -> Broker:
    return Broker(("signed", sshsig.sign(KEYS[name], TYPE, statement(REQUEST, voting())).decode()))


def played(**brokers: Broker) -> Round:
    named = {name.replace("_", "-"): it for name, it in brokers.items()}
    return asyncio.run(asyncio.wait_for(ask_all(named, REQUEST, (), voting(), 1000.0), 10))  # type: ignore[arg-type]


def test_the_signature_that_makes_a_majority_ends_the_round_and_a_dead_broker_keeps_nobody_waiting() -> None:
    dead = Broker(None)
    alive = {name: signed(name.replace("_", "-")) for name in ("commune_b", "commune_c", "commune_d")}
    found = played(commune_a=dead, **alive)
    assert found.grant is not None
    assert read_voted(found.grant, voting()).writer == "hermitage"
    assert dead.was_given_up


def test_without_a_majority_each_says_why() -> None:
    declines = Broker(("declined", "it is asked yet.", "Ask again.", 7))
    found = played(
        commune_b=signed("commune-b"),
        commune_c=Broker(Unreachable("commune-c does not answer.")),
        commune_d=declines,
        commune_a=Broker(("nonsense",)),
    )
    assert found.grant is None
    assert found.reasons == {
        "commune-c": "commune-c does not answer.",
        "commune-d": "it is asked yet. Ask again.",
        "commune-a": "it answers with something else.",
    }
    assert found.above == 7


def test_a_signature_of_another_counts_for_nobody() -> None:
    found = played(commune_b=signed("commune-b"), commune_c=signed("commune-b"), commune_d=signed("commune-d"))
    assert found.grant is None
