"""A node shows a broker all its documents, in parts that are taken whole, and again to one that forgot them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from appliance.clock import SimulatedClock
from appliance.coordination import wire
from appliance.errors import Busy, Unreachable
from appliance.failover.documents import ACTS_AT_ONCE_MAX, BYTES_MAX, PART_MAX
from appliance.failover.heartbeat import (
    CALL_SECONDS_MAX,
    CALL_SECONDS_MIN,
    RETRY_SECONDS_MAX,
    TURN_SECONDS,
    DocumentCache,
    HeartbeatRequest,
    send_heartbeats,
    show,
    until_turn,
)
from appliance.failover.protocol import ON_ITS_WAY_SECONDS
from appliance.voter.probe import GAP_SECONDS_MAX
from appliance.voter.session import MORE

Calls = list[dict[str, Any]]


@dataclass
class Broker:
    """Says the token of `tokens` and what it knows at each call, nothing for none, and is asked no more when none is
    left."""

    tokens: list[str]
    knows: tuple[object, ...] = ((), (), ())
    questions: tuple[str, ...] = ()
    calls: Calls = field(default_factory=list)
    ends: list[tuple[float, float]] = field(default_factory=list)
    """The moment until which each call was to be held, and how long it might take."""
    done: asyncio.Event = field(default_factory=asyncio.Event)

    async def ask(
        self, method: str, seconds_max: float, *, try_seconds_max: float = 0.0, **told: Any
    ) -> tuple[object, ...]:
        assert told.keys() == MORE[method].keys()
        if not self.tokens:
            self.done.set()
            await asyncio.Event().wait()
        self.calls.append(told)
        self.ends.append((asyncio.get_running_loop().time() + seconds_max - ON_ITS_WAY_SECONDS, seconds_max))
        if token := self.tokens.pop(0):
            return token, self.questions, *self.knows
        raise Unreachable("the line was cut.")


def meet(
    broker: Broker,
    papers: tuple[str, ...] = (),
    learn: Callable[..., None] = lambda *news: None,
    answer: Callable[..., bytes | None] = lambda *question: None,
    says: Callable[[], HeartbeatRequest] = HeartbeatRequest,
) -> None:
    """Have a node that has `papers` attend at `broker` until that is asked no more."""

    async def attend() -> None:
        brokers = {"commune-c": broker}
        task = asyncio.create_task(
            send_heartbeats(brokers, lambda: papers, answer, learn, 0.0, says)  # type: ignore[arg-type]
        )
        await broker.done.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(asyncio.wait_for(attend(), 10))


def attended(papers: tuple[str, ...], *tokens: str) -> Calls:
    """The calls of a node that has `papers` at a broker that answers with `tokens`."""
    broker = Broker(list(tokens))
    meet(broker, papers)
    return broker.calls


def test_what_a_broker_knows_of_who_serves_and_who_could_is_learnt() -> None:
    told = ("commune-c", ("a grant",), ("docs-a commune-a",), ("docs-b 12",))
    learnt = list[tuple[object, ...]]()
    meet(Broker(["life 1"], told[1:]), learn=lambda *news: learnt.append(news))
    assert learnt == [told]


def test_what_a_broker_says_that_cannot_be_learnt_ends_nothing() -> None:
    learnt = list[tuple[object, ...]]()

    def learn(*news: Any) -> None:
        learnt.append(news)
        if len(learnt) == 1:
            raise OverflowError("int too large to convert to float")

    meet(Broker(["life 1", "life 1"]), learn=learn)
    assert len(learnt) == 2, "it is asked again"


def test_who_could_not_read_all_its_papers_does_not_say_that_it_has_shown_them() -> None:
    """A broker takes a node that says so for one that knows of no newer writer."""
    for whole, tokens in ((True, ["", "life 1"]), (False, ["", ""])):
        broker = Broker(["life 1", "life 1"])
        meet(broker, says=lambda whole=whole: HeartbeatRequest(whole=whole))  # type: ignore[misc]
        assert [it["token"] for it in broker.calls] == tokens


def some(kind: str, count: int, size: int = 0) -> tuple[str, ...]:
    return tuple(f'{{"type": "appliance/{kind}", "n": {number}}}'.ljust(size, '"') for number in range(count))


def shown(calls: Calls) -> list[str]:
    return [text for call in calls for text in call["papers"]]


def test_hundreds_of_papers_are_shown_in_parts_each_once_and_only_then_has_the_broker_seen_them() -> None:
    papers = some("grant", 300)
    calls = attended(papers, *("one",) * 7)
    assert [len(call["papers"]) for call in calls] == [PART_MAX, PART_MAX, PART_MAX, PART_MAX, 300 - 4 * PART_MAX, 0, 0]
    assert shown(calls) == list(papers)
    assert [call["token"] for call in calls] == ["", "", "", "", "one", "one", "one"]


def test_a_part_fits_in_a_line_however_long_the_papers_are() -> None:
    papers = some("grant", 40, BYTES_MAX)
    calls = attended(papers, *("one",) * 20)
    assert sorted(shown(calls)) == sorted(papers)
    for call in calls:
        assert len(wire.write_call(wire.Call("attend", call, 1.5))) < wire.LINE_BYTES_MAX


def test_grants_come_before_the_releases_that_are_judged_by_them_and_acts_as_many_as_are_checked_at_once() -> None:
    acts, releases, grants = some("act", 10), some("release", 40), some("grant", 40)
    calls = attended((*acts, *releases, *grants), *("one",) * 6)
    assert calls[0]["papers"] == (*grants, *releases[: PART_MAX - 40])
    assert shown(calls[1:]) == [*releases[PART_MAX - 40 :], *acts]
    assert [call["token"] for call in calls] == ["", "one", "one", "one", "one", "one"], (
        "acts keep no grant from counting"
    )
    assert max(sum(text in acts for text in call["papers"]) for call in calls) == ACTS_AT_ONCE_MAX


def test_a_broker_that_was_started_anew_gets_everything_once_more() -> None:
    papers = some("grant", 100)
    calls = attended(papers, "one", "one", "two", "two", "two", "two")
    assert [len(call["papers"]) for call in calls] == [64, 36, 0, 64, 36, 0]
    assert [call["token"] for call in calls] == ["", "one", "one", "", "two", "two"]


def test_an_answer_is_given_again_where_its_call_failed() -> None:
    broker = Broker(["life 1", "", "life 1"], questions=("docs-a 2 riddle",))
    meet(broker, answer=lambda service, epoch, challenge: f"{service} {epoch} {challenge}!".encode())
    assert [call["answers"] for call in broker.calls] == [(), ("docs-a 2 riddle!",), ("docs-a 2 riddle!",)]


def test_what_just_came_is_shown_to_all_brokers_and_never_as_all_that_there_is() -> None:
    class Silent(Broker):
        async def ask(self, method: str, seconds_max: float, **told: Any) -> tuple[object, ...]:
            await super().ask(method, seconds_max, **told)
            raise Unreachable("commune-b does not answer.")

    class Asked(Broker):
        async def ask(self, method: str, seconds_max: float, **told: Any) -> tuple[object, ...]:
            if self.tokens.pop(0) == "busy":
                raise Busy("commune-a already has a call in progress.")
            return await super().ask(method, seconds_max, **told)

    async def play() -> list[Calls]:
        brokers = {"commune-b": Silent(["one"]), "commune-c": Broker(["one"]), "hermitage": Asked(["busy", "", "one"])}
        await show(brokers, b"a grant")  # type: ignore[arg-type]
        return [it.calls for it in brokers.values()]

    for calls in asyncio.run(play()):
        assert [(call["token"], call["papers"]) for call in calls] == [("", ("a grant",))]


@pytest.mark.parametrize(
    ("now", "left"),
    [
        pytest.param(0.0, 2.5, id="the very turn"),
        pytest.param(180.4, 2.1, id="between two turns"),
        pytest.param(182.45, 2.55, id="a broker's clock was a little ahead"),
        pytest.param(182.2, 0.3, id="soon"),
    ],
)
def test_the_next_turn_is_the_same_whenever_one_asks(now: float, left: float) -> None:
    assert until_turn(now) == pytest.approx(left)


def test_all_brokers_answer_at_a_turn_and_who_gets_no_answer_calls_again_before_it_counts_as_unheard() -> None:
    broker = Broker(["one"] * 20)
    meet(broker)
    (_, first), *others = broker.ends
    assert (first, len(others)) == (CALL_SECONDS_MAX, 19), "who has no token yet opens a line first"
    for end, seconds_max in others:
        at_a_turn = min(end % TURN_SECONDS, TURN_SECONDS - end % TURN_SECONDS) < 0.01
        assert at_a_turn or seconds_max == CALL_SECONDS_MIN
    longest = TURN_SECONDS * 17 / 16 + ON_ITS_WAY_SECONDS
    assert longest + RETRY_SECONDS_MAX < GAP_SECONDS_MAX


def test_papers_are_read_anew_when_their_mark_is_another_one() -> None:
    papers, marks, reads = [(b"a grant",)], ["1"], []

    def read() -> tuple[bytes, ...]:
        reads.append(marks[0])
        return papers[0]

    clock = SimulatedClock()
    shown = DocumentCache(read, lambda: marks[0], clock)
    assert [shown.read() for _ in range(3)] == [("a grant",)] * 3
    papers[0], marks[0] = (b"a grant", b"a release"), "2"
    assert shown.read() == ("a grant",), "it is asked once for all brokers that answer at one turn"
    clock.advance(TURN_SECONDS / 2)
    assert [shown.read() for _ in range(3)] == [("a grant", "a release")] * 3
    clock.advance(TURN_SECONDS)
    assert shown.read() == ("a grant", "a release")
    assert reads == ["1", "2"]
