"""A broker's session: the port for one caller, and the two requests that only voters' brokers answer: the heartbeat
(`attend`) and the vote.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

from appliance.coordination.port import Coordination
from appliance.errors import Busy, Forbidden, Refused
from appliance.failover.documents import service_of
from appliance.failover.protocol import ON_ITS_WAY_SECONDS
from appliance.territory.model import Territory
from appliance.voter.broker import Brokered
from appliance.voter.state import BrokerState

MORE: Mapping[str, Mapping[str, tuple[type, ...]]] = {
    "attend": {"token": (str,), "papers": (tuple,), "answers": (tuple,), "serving": (tuple,), "ready": (tuple,)},
    "vote": {"request": (str,), "papers": (tuple,)},
}
DOCUMENTS_MAX = 256
FORGED_SECONDS = 0.5
"""The answer to a caller that showed a forged act waits so long, so that no node keeps a core of each voter busy."""


class BrokerSession(Brokered):
    """The answers that `caller` gets from the broker whose `state` this is, by the bundle of each moment."""

    def __init__(self, behind: Coordination, state: BrokerState, caller: str) -> None:
        super().__init__(behind, state.bundle().territory, caller, state.acts)
        self._state = state

    @property
    def _territory(self) -> Territory:
        return self._state.bundle().territory

    @_territory.setter
    def _territory(self, value: Territory) -> None:
        """The bundle of each moment counts, not the one of the beginning."""

    async def attend(
        self,
        token: str,
        papers: tuple[object, ...],
        answers: tuple[object, ...],
        serving: tuple[object, ...],
        ready: tuple[object, ...],
        *,
        seconds_max: float,
    ) -> tuple[object, ...]:
        """Answer a heartbeat: the token of this broker, what the caller is asked, the newest signed documents that
        concern it, who serves what, and which origins could have their services back; a moment later, or as soon as a
        newer document is known."""
        self._check_node()
        state, loop, news = self._state, asyncio.get_running_loop(), asyncio.Event()
        until = loop.time() + min(seconds_max - ON_ITS_WAY_SECONDS, state.ask_every_seconds)
        with state.waking(lambda: loop.call_soon_threadsafe(news.set)):
            told = map(_texts, (papers, answers, serving, ready))
            with state.taking_of(self._caller, bool(papers)):
                await asyncio.to_thread(state.take_heartbeat, self._caller, token, *told)
                await self._wait_after_a_forged_act()
            if token or papers:  # not for a person who looks once
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(until):
                        await news.wait()
        return (
            state.token,
            state.questions(self._caller),
            state.news(self._caller),
            state.served(),
            state.ready_origins(),
        )

    async def vote(self, request: str, papers: tuple[object, ...], *, seconds_max: float) -> tuple[object, ...]:
        """("signed", signature), or ("declined", why, what to do, highest epoch that was promised to somebody)."""
        self._check_node()
        turn = self._state.voting[self._caller]
        try:
            async with asyncio.timeout(seconds_max):
                await turn.acquire()
        except TimeoutError as error:  # the caller has gone by now
            raise Busy(f"{self._caller} asks for more than this broker can handle.") from error
        try:
            vote = await asyncio.to_thread(self._state.vote, self._caller, request, _texts(papers))
            return "signed", vote.decode()
        except Refused as error:
            return "declined", error.what, error.remedy, self._highest(request)
        finally:
            try:
                await self._wait_after_a_forged_act()
            finally:
                turn.release()

    async def _wait_after_a_forged_act(self) -> None:
        """Before the caller may bring others: it brings those of one call at a time."""
        if self._caller in self._state.forged:
            self._state.forged.discard(self._caller)
            await asyncio.sleep(FORGED_SECONDS)

    def _highest(self, request: str) -> int:
        return self._state.highest(service_of(request.encode()))

    def _check_node(self) -> None:
        if self._caller not in self._state.bundle().members:
            raise Forbidden(f'"{self._caller}" is not a node of this territory.')


def _texts(values: tuple[object, ...]) -> tuple[str, ...]:
    """Those of `values` that are texts: a caller writes what it likes."""
    return tuple(it for it in values[:DOCUMENTS_MAX] if isinstance(it, str))
