"""Brokers for tests: what one has seen when it is asked for a grant, and some that decide, wait or lie."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from appliance.failover.votes import above_next, ask_all
from appliance.trust import sshsig
from appliance.trust.grant import read_request
from appliance.trust.keys import public_line
from appliance.trust.voted import TYPE, read_voted
from appliance.voter.grant_rules import Declines, View, decide
from appliance.voter.promises import Promised
from tests.worlds.documents import FIRST, HOLDER, LOCAL, STANDBY, release
from tests.worlds.voters import KEYS, NAMES, asked, voting

LEASE = 15.0


def view(**changed: Any) -> View:
    """The hermitage asks a broker for what commune-a writes in epoch 2; nothing says yet that commune-a stopped."""
    seen = View(
        voter="commune-c",
        bundle=LOCAL,
        request=asked(2, STANDBY),
        present=FIRST,
        heard={HOLDER},
        promised=Promised(),
        lease_seconds=LEASE,
        now=1000.0,
        time=5000.0,
    )
    return replace(seen, **changed)


RELEASE = release()


@dataclass
class Deciding:
    """A broker that decides as each does; from round `ready` on it has seen the writer's release."""

    name: str
    ready: int = 1
    promised: Promised = field(default_factory=Promised)
    round: int = 0

    async def ask(self, method: str, seconds_max: float, **told: Any) -> tuple[object, ...]:
        self.round += 1
        request = read_request(told["request"].encode(), public_line(KEYS["hermitage"]))
        release = RELEASE if self.round >= self.ready else None
        found = decide(view(voter=self.name, request=request, promised=self.promised, release=release))
        if isinstance(found, Declines):
            return "declined", found.reason, found.remedy, self.promised.highest
        self.promised = found.promised
        return "signed", sshsig.sign(KEYS[self.name], TYPE, found.line).decode()


@dataclass
class Lying:
    """Never signs, and says each time that it promised `above` more than it is asked for."""

    above: int

    async def ask(self, method: str, seconds_max: float, **told: Any) -> tuple[object, ...]:
        request = read_request(told["request"].encode(), public_line(KEYS["hermitage"]))
        return "declined", "not yet.", "", request.known_epoch + self.above


def rounds(brokers: Mapping[str, Deciding | Lying], most: int = 60) -> tuple[int, int]:
    """Ask as `act` does, until there is a grant: after how many rounds, and its epoch."""
    above = 2
    for number in range(1, most):
        found = asyncio.run(ask_all(brokers, asked(above), (), voting(), 1000.0))  # type: ignore[arg-type]
        if found.grant is not None:
            return number, read_voted(found.grant, voting()).epoch
        above = above_next(found, 2, number, voting())
    raise AssertionError(f"no grant after {most} rounds, which ask above {above}")


def honest(**ready: int) -> dict[str, Deciding | Lying]:
    return {name: Deciding(name, ready.get(name.replace("-", "_"), 5)) for name in NAMES}


LIES = {"odd": 15, "even": 16, "little": 2, "nothing": 0, "without end": 2**60, "less than nothing": -(2**60)}
