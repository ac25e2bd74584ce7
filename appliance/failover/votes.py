"""Ask the voters' brokers for a grant: the same signed request to all at once, enough signatures make the document."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from appliance.coordination.remote import Remote
from appliance.errors import ApplianceError, IntegrityError
from appliance.failover.protocol import LEAP_MAX
from appliance.trust import sshsig
from appliance.trust.grant import GrantRequest
from appliance.trust.voted import TYPE, assemble, statement
from appliance.trust.voting import Voting

FEWER_EVERY = 8
"""In each such round fewer voices are believed."""


@dataclass(frozen=True)
class Round:
    """How a round of asking ended: the grant, or None and why each broker did not sign.

    `answered`: how many brokers did; `promised`: the highest epoch of each that declined, by its word."""

    grant: bytes | None
    reasons: Mapping[str, str]
    answered: int = 0
    promised: Sequence[int] = ()


async def ask_all(
    brokers: Mapping[str, Remote], request: GrantRequest, documents: Iterable[str], voting: Voting, seconds_max: float
) -> Round:
    """One round at `brokers`, by the names of their nodes; it ends with the signature that makes a majority, and a slow
    broker, such as that of the dead holder, keeps nobody waiting."""
    line, shown = statement(request, voting), tuple(documents)
    asked = {
        name: asyncio.create_task(_ask(broker, request.document.raw.decode(), shown, seconds_max))
        for name, broker in brokers.items()
    }
    answers, votes = dict[str, tuple[Any, ...]](), list[bytes]()
    try:
        async for name, answer in _as_they_come(asked):
            answers[name] = answer
            if vote := _vote(answer, line, voting.keys.get(name, "")):
                votes.append(vote)
            if len(votes) >= voting.needed:
                break
    finally:
        for task in asked.values():
            task.cancel()
    reasons = {name: _why(it) for name, it in answers.items() if it[0] != "signed"}
    grant = assemble(line, votes) if len(votes) >= voting.needed else None
    promised = [it[3] for it in answers.values() if len(it) == 4]
    return Round(grant, reasons, len(votes) + len(promised), promised)


def above_next(found: Round, present: int, number: int, voting: Voting) -> int:
    """Return the epoch to ask above after round `number` of a takeover, which brought no grant; it replaces epoch
    `present`.

    Brokers that signed for another asker sign for a later epoch only. Their word cannot be proven, so as many must say
    so as keep the others from being a majority: then one of them at least is no liar. They are asked each time, and no
    answer is kept for the next round: brokers that are late with their proof would be left behind. A liar that signs
    nothing can make an honest minority too small for that; so now and then fewer are believed, within bounds.
    """
    voices = found.answered - voting.needed + 1
    above = sorted((it for it in found.promised if it > present and voting.owns(it)), reverse=True)
    if number % FEWER_EVERY == 0 and voices > 1:
        voices -= 1 + number // FEWER_EVERY % (voices - 1)
    if voices <= len(voting.keys) - voting.needed:  # they may all lie: no further than each broker would follow
        above = [it for it in above if it <= max(present, voting.first) + LEAP_MAX - 2]
    return above[voices - 1] if 0 < voices <= len(above) else present


async def _as_they_come[T](tasks: Mapping[str, asyncio.Task[T]]) -> AsyncIterator[tuple[str, T]]:
    names, pending = {task: name for name, task in tasks.items()}, set(tasks.values())
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            yield names[task], task.result()


async def _ask(broker: Remote, request: str, documents: tuple[str, ...], seconds_max: float) -> tuple[Any, ...]:
    try:
        answer = await broker.ask("vote", seconds_max, request=request, papers=documents)
    except ApplianceError as error:
        return "silent", str(error)
    match answer:
        case ("signed", str()) | ("declined", str(), str(), int()):
            return tuple(answer)
    return "silent", "it gave an unexpected answer."


def _vote(answer: tuple[Any, ...], line: bytes, key: str) -> bytes | None:
    """The signature in `answer` when it is that broker's, of this line."""
    if answer[0] != "signed":
        return None
    try:
        raw = str(answer[1]).encode()
        return raw if key and sshsig.verify(raw, TYPE, line) == key else None
    except IntegrityError:
        return None


def _why(answer: tuple[Any, ...]) -> str:
    return " ".join(str(it) for it in answer[1:3])
