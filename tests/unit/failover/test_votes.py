"""A round of asking the brokers for a grant: how many signatures it takes, and which brokers it does not wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from appliance.errors import Unreachable
from appliance.failover.protocol import LEAP_MAX
from appliance.failover.votes import Round, above_next, ask_all
from appliance.trust import sshsig
from appliance.trust.voted import TYPE, read_voted, statement
from appliance.voter.promises import Promised
from tests.unit.failover.brokers import LIES, Deciding, Lying, honest, rounds
from tests.worlds.voters import KEYS, NAMES, asked, voting

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
        hermitage=declines,
    )
    assert found.grant is None
    assert found.reasons == {
        "commune-c": "commune-c does not answer.",
        "commune-d": "it is asked yet. Ask again.",
        "commune-a": "it gave an unexpected answer.",
        "hermitage": "it is asked yet. Ask again.",
    }
    assert (found.answered, found.promised) == (3, [7, 7])


TERMS = (voting(), voting(term=12))
PROMISES: dict[str, tuple[int, list[int], int]] = {
    "what a majority has passed": (3, [5, 5, 5, 0, 0], 5),
    "the first epoch of a later term that two askers split": (5634, [6145, 6145, 6145, 6145], 6145),
    "nothing, where the others only wait": (3, [0, 0, 0, 0, 5], 3),
    "nothing that one broker makes up": (2, [0, 0, 0, 0, 9999], 2),
    "nothing where too few answer": (3, [7, 7], 3),
    "no further than each broker follows, where a liar decides": (2, [3, 3, 301], 3),
    "no further than each broker follows in a later term": (5634, [6145, 6145, 6401], 6145),
    "an odd epoch, where a liar says less than the others": (2, [8, 9, 9], 9),
    "an odd epoch, where the liar is the one that decides": (2, [3, 3, 8], 3),
}


@pytest.mark.parametrize("case", PROMISES)
def test_the_next_round_asks_above(case: str) -> None:
    present, promises, above = PROMISES[case]
    found = Round(None, {}, len(promises), promises)
    assert above_next(found, present, 1, TERMS[present > 512]) == above


def test_a_signature_of_another_counts_for_nobody() -> None:
    found = played(commune_b=signed("commune-b"), commune_c=signed("commune-b"), commune_d=signed("commune-d"))
    assert found.grant is None


@pytest.mark.parametrize("liar", NAMES)
@pytest.mark.parametrize("name", LIES)
def test_one_broker_that_lies_about_its_promises_keeps_no_majority_from_granting(name: str, liar: str) -> None:
    """The asker was led above what anybody knows of, 16 epochs a round, until the term was used up."""
    brokers = honest(commune_a=12, commune_b=20) | {liar: Lying(LIES[name])}
    taken, epoch = rounds(brokers)
    assert taken == sorted(it.ready for it in brokers.values() if isinstance(it, Deciding))[2]
    assert epoch == 3


def promised(*epochs: int) -> Promised:
    return Promised(dict.fromkeys(epochs, "0" * 64), 2)


# What brokers promised to another asker that got no grant; the others are silent or lie.
SPLITS: dict[str, tuple[Sequence[int], Deciding | Lying | None, int]] = {
    "two and three, all answer": ((3, 3, 3, 0), Deciding("hermitage", 1), 2),
    "two and two, one is dead": ((3, 3, 0, 0), None, 2),
    "two and two, one never signs": ((7, 7, 3, 3), Lying(-1), 40),
    "two and two, one lies high": ((7, 7, 3, 3), Lying(15), 40),
    "one ahead, one lies high": ((7, 0, 0, 0), Lying(15), 1),
}


@pytest.mark.parametrize("name", SPLITS)
def test_split_votes_are_overcome_by_a_later_epoch(name: str) -> None:
    before, fifth, most = SPLITS[name]
    brokers: dict[str, Deciding | Lying] = {
        broker: Deciding(broker, 1, promised(epoch) if epoch else Promised())
        for broker, epoch in zip(NAMES, before, strict=False)
    }
    taken, epoch = rounds(brokers | ({"hermitage": fifth} if fifth else {}))
    assert taken <= most
    assert epoch <= 2 + LEAP_MAX + 2
