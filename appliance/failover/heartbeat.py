"""A node sends heartbeats to every broker: it shows its signed documents, says which leases it holds, and learns of
newer grants.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from appliance.clock import Clock
from appliance.coordination.remote import Remote
from appliance.errors import ApplianceError, Busy
from appliance.failover.documents import next_part
from appliance.failover.protocol import ON_ITS_WAY_SECONDS

Answer = Callable[[str, int, str], bytes | None]
"""The signed "I hold" for a service, an epoch and a challenge; None when this node does not."""
Learn = Callable[[str, tuple[str, ...], tuple[str, ...], tuple[str, ...]], None]
"""Gets from a broker, by name, the newest signed documents, who serves what, and which origins could have their
services back since when."""
CALL_SECONDS_MAX = 2.9
"""A broker hears again within GAP_SECONDS_MAX (`voter/probe.py`) from a node whose line died in silence."""
CALL_SECONDS_MIN = 1.0
RETRY_SECONDS_MAX = 0.5
TURN_SECONDS = CALL_SECONDS_MAX - ON_ITS_WAY_SECONDS
ASKS_AGAIN_SECONDS = 0.5
SHOWN_TIMES_MAX = 10
BUSY_SECONDS = 0.1
PAUSE_SECONDS = 0.02
"""A broker that answers at once, always, keeps nobody busy."""


@dataclass(frozen=True)
class HeartbeatRequest:
    """Which services this node serves; which of its own it could have back, as "SERVICE SECONDS". `whole`: it could
    read all signed documents that it has."""

    serving: tuple[str, ...] = ()
    ready: tuple[str, ...] = ()
    whole: bool = True


class DocumentCache:
    """The documents that this node shows to all brokers, from `read`, as texts. They are read again when `mark`
    changes, which is asked once for all that answer at one turn."""

    def __init__(self, read: Callable[[], tuple[bytes, ...]], mark: Callable[[], object], clock: Clock) -> None:
        self._read_all = read
        self._mark = mark
        self._clock = clock
        self._asked = float("-inf")
        self._by: object = None
        self._documents = tuple[str, ...]()

    def read(self) -> tuple[str, ...]:
        if (now := self._clock.boottime()) >= self._asked + ASKS_AGAIN_SECONDS:
            self._asked = now
            if (mark := self._mark()) != self._by:
                self._documents = tuple(raw.decode() for raw in self._read_all())
                self._by = mark
        return self._documents


async def send_heartbeats(
    brokers: Mapping[str, Remote],
    documents: Callable[[], tuple[str, ...]],
    answer: Answer,
    learn: Learn,
    retry_seconds: float,
    request: Callable[[], HeartbeatRequest],
) -> None:
    """Send heartbeats to `brokers` until cancelled. `documents` gives what is shown, `learn` gets what each broker
    knows, `request` what this node says of itself."""
    async with asyncio.TaskGroup() as group:
        for name, broker in brokers.items():
            group.create_task(_send_heartbeats(name, broker, documents, answer, learn, retry_seconds, request))


def until_turn(now: float) -> float:
    """Seconds from `now` to the next turn of this node. All brokers answer then: to wake costs more than to read one
    answer more."""
    left = TURN_SECONDS - now % TURN_SECONDS
    return left if left > TURN_SECONDS / 16 else left + TURN_SECONDS  # a broker's clock is a little ahead


async def show(brokers: Mapping[str, Remote], document: bytes) -> None:
    """Show `document` to all `brokers` at once, beside what is said in turns: who waits for news there hears of it."""
    await asyncio.gather(*(_show(broker, document.decode()) for broker in brokers.values()))


async def _show(broker: Remote, document: str) -> None:
    """A broker takes signed documents from one call of a node at a time; another call may bring those of other services
    just now."""
    told = {"token": "", "papers": (document,), "answers": (), **_said(HeartbeatRequest())}
    for _ in range(SHOWN_TIMES_MAX):
        try:
            await broker.ask("attend", CALL_SECONDS_MAX, **told)
        except Busy:
            await asyncio.sleep(BUSY_SECONDS)
        except ApplianceError:
            return
        else:
            return


async def _send_heartbeats(
    name: str,
    broker: Remote,
    documents: Callable[[], tuple[str, ...]],
    answer: Answer,
    learn: Learn,
    retry_seconds: float,
    request: Callable[[], HeartbeatRequest],
) -> None:
    token, shown, answers = "", frozenset[str](), tuple[str, ...]()
    while True:
        present = documents()
        part, whole = next_part(it for it in present if it not in shown)
        ours = request()
        begun = asyncio.get_running_loop().time()
        try:
            # A node that names the token has shown all its grants: brokers sign by that.
            shows = token if whole and ours.whole else ""
            told = {"token": shows, "papers": part, "answers": answers, **_said(ours)}
            left = until_turn(begun) + ON_ITS_WAY_SECONDS
            # Documents take a while to check, and a node without a token opens a connection first.
            seconds_max = CALL_SECONDS_MAX if part or not token else max(left, CALL_SECONDS_MIN)
            said = await broker.ask("attend", seconds_max, try_seconds_max=seconds_max, **told)
            theirs, questions, news, serving, ready = _read(said)
            learn(name, news, serving, ready)
        except (ApplianceError, ValueError, ArithmeticError):
            await asyncio.sleep(min(retry_seconds, RETRY_SECONDS_MAX))
            continue  # with the same answers: whether they came is unknown
        # Another token: that broker was restarted, and gets everything once more.
        shown = shown.intersection(present).union(part) if theirs == token or not token else frozenset()
        token = theirs
        answers = tuple(it.decode() for question in questions if (it := _answer(answer, question)))
        if asyncio.get_running_loop().time() - begun < PAUSE_SECONDS:
            await asyncio.sleep(PAUSE_SECONDS)


def _said(request: HeartbeatRequest) -> dict[str, Any]:
    return {"serving": request.serving, "ready": request.ready}


def _read(said: Any) -> tuple[str, tuple[str, ...], tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    match said:
        case (str() as token, tuple() as questions, tuple() as news, tuple() as serving, tuple() as ready):
            return token, _texts(questions), _texts(news), _texts(serving), _texts(ready)
    raise ValueError("this is not an answer to a heartbeat")


def _texts(values: tuple[object, ...]) -> tuple[str, ...]:
    return tuple(map(str, values))


def _answer(answer: Answer, question: str) -> bytes | None:
    with contextlib.suppress(ValueError):
        service, epoch, challenge = question.split(" ")
        return answer(service, int(epoch), challenge)
    return None
