"""A node attends at every broker: it shows its papers, says that it holds what it holds, and learns of newer grants."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from appliance.coordination.remote import Remote
from appliance.errors import ApplianceError

Answer = Callable[[str, int, str], bytes | None]
"""The signed "I hold" for a service, an epoch and a challenge; None when this node does not."""
CALL_SECONDS_MAX = 2.5


async def attend_all(
    brokers: Mapping[str, Remote],
    papers: Callable[[], tuple[str, ...]],
    answer: Answer,
    learn: Callable[[str, tuple[str, ...]], None],
    retry_seconds: float,
    serving: Callable[[], tuple[str, ...]],
) -> None:
    """Attend at `brokers` until cancelled. `papers` gives what is shown, `learn` gets what each broker knows, `serving`
    names the services that this node serves."""
    async with asyncio.TaskGroup() as group:
        for name, broker in brokers.items():
            group.create_task(_attend(name, broker, papers, answer, learn, retry_seconds, serving))


async def _attend(
    name: str,
    broker: Remote,
    papers: Callable[[], tuple[str, ...]],
    answer: Answer,
    learn: Callable[[str, tuple[str, ...]], None],
    retry_seconds: float,
    serving: Callable[[], tuple[str, ...]],
) -> None:
    token, shown, answers = "", frozenset[str](), tuple[str, ...]()
    while True:
        present = papers()
        new = tuple(it for it in present if it not in shown)
        try:
            told = {"token": token, "papers": new, "answers": answers, "serving": serving()}
            said = await broker.ask("attend", CALL_SECONDS_MAX, **told)
            theirs, questions, news = _read(said)
        except (ApplianceError, ValueError):
            answers = ()
            await asyncio.sleep(retry_seconds)
            continue
        # Another token: that broker was started anew, and gets everything once more.
        shown = frozenset(present) if theirs == token or not token else frozenset()
        token = theirs
        learn(name, news)
        answers = tuple(it.decode() for question in questions if (it := _answer(answer, question)))


def _read(said: Any) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    match said:
        case (str() as token, tuple() as questions, tuple() as news, tuple()):
            return token, tuple(map(str, questions)), tuple(map(str, news))
    raise ValueError("this is no answer to who attends")


def _answer(answer: Answer, question: str) -> bytes | None:
    with contextlib.suppress(ValueError):
        service, epoch, challenge = question.split(" ")
        return answer(service, int(epoch), challenge)
    return None
