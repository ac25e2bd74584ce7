"""A broker's counter: the port for one caller, and the two things that only voters' brokers do, attend and vote."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from appliance.coordination.broker import Brokered
from appliance.coordination.port import Coordination
from appliance.errors import Forbidden, Refused
from appliance.failover.desk import Desk
from appliance.territory.model import Territory

MORE: Mapping[str, Mapping[str, tuple[type, ...]]] = {
    "attend": {"token": (str,), "papers": (tuple,), "answers": (tuple,)},
    "vote": {"request": (str,), "papers": (tuple,)},
}
PAPERS_MAX = 256


class Counter(Brokered):
    """What `caller` gets from the broker whose `desk` this is, by the bundle of each moment."""

    def __init__(self, behind: Coordination, desk: Desk, caller: str) -> None:
        super().__init__(behind, desk.bundle().territory, caller, desk.acts)
        self._desk = desk

    @property
    def _territory(self) -> Territory:
        return self._desk.bundle().territory

    @_territory.setter
    def _territory(self, value: Territory) -> None:
        """The bundle of each moment counts, not the one of the beginning."""

    async def attend(
        self, token: str, papers: tuple[object, ...], answers: tuple[object, ...], *, seconds_max: float
    ) -> tuple[object, ...]:
        """The token of this broker, what the caller is asked, and the newest papers that concern it, a moment later."""
        self._check_node()
        self._desk.attend(self._caller, token, _texts(papers), _texts(answers))
        await asyncio.sleep(min(0.8 * seconds_max, self._desk.ask_every_seconds))
        return self._desk.token, self._desk.questions(self._caller), self._desk.news(self._caller)

    async def vote(self, request: str, papers: tuple[object, ...], *, seconds_max: float) -> tuple[object, ...]:
        """("signed", signature), or ("declined", why, what to do, highest epoch that was promised to somebody)."""
        self._check_node()
        self._desk.papers.take(text.encode() for text in _texts(papers))
        try:
            return "signed", (await asyncio.to_thread(self._desk.vote, self._caller, request)).decode()
        except Refused as error:
            return "declined", error.what, error.remedy, self._highest(request)

    def _highest(self, request: str) -> int:
        from_request = next((name for name in self._territory.services if f'"service": "{name}"' in request), "")
        return self._desk.highest(from_request) if from_request else 0

    def _check_node(self) -> None:
        if self._caller not in self._desk.bundle().members:
            raise Forbidden(f'"{self._caller}" is no node of this territory.')


def _texts(values: tuple[object, ...]) -> tuple[str, ...]:
    """Those of `values` that are texts: a caller writes what it likes."""
    return tuple(it for it in values[:PAPERS_MAX] if isinstance(it, str))
