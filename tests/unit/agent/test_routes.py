"""The routes of service addresses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from appliance.failover import routes
from appliance.failover.routes import routes_to_set
from appliance.node.movable_services import MovableService

MOVING = {
    "horaires": MovableService(
        "site", "10.64.8.1", 80, "/srv/sites/horaires", "", "", False, frozenset({"commune-a", "hermitage"})
    )
}


@pytest.mark.parametrize(
    ("writer", "led", "wanted"),
    [
        ("hermitage", {}, {"horaires": "hermitage"}),
        ("hermitage", {"horaires": "commune-a"}, {"horaires": "hermitage"}),
        ("hermitage", {"horaires": "hermitage"}, {}),
        ("commune-c", {}, {}),
        ("", {}, {}),
    ],
    ids=["at first", "after a takeover", "as it is", "who is no candidate", "nobody was granted it"],
)
def test_an_address_leads_to_whom_the_newest_grant_names(
    writer: str, led: dict[str, str], wanted: dict[str, str]
) -> None:
    grants: dict[str, Any] = {"docs-a": SimpleNamespace(writer="commune-a")}
    if writer:
        grants["horaires"] = SimpleNamespace(writer=writer)
    assert routes_to_set(MOVING, grants, led) == wanted


@dataclass
class Follower:
    """A node that follows the holders, until its asking of root's hands is enough."""

    name: str
    writer: str
    here: bool = False
    told: list[str] = field(default_factory=list)
    shown: asyncio.Event = field(default_factory=asyncio.Event)

    async def ask(self, verb: str, service: str, *, node: str) -> None:
        assert verb == "route"
        self.told.append(node)

    async def play(self, *steps: Callable[[], None]) -> None:
        network = SimpleNamespace(has_address=lambda service: self.here)
        grants = {"horaires": self}
        site: Any = SimpleNamespace(name=self.name, documents=SimpleNamespace(grants=grants), network=network)
        following = asyncio.create_task(routes.follow_writers(site, MOVING, self.shown))
        async with asyncio.timeout(10):
            for number, step in enumerate(steps, 1):
                await asyncio.sleep(0.05)
                step()
                while len(self.told) < number:
                    await asyncio.sleep(0.001)
        following.cancel()


def test_addresses_follow_what_is_shown_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    it = Follower("commune-c", "hermitage")
    monkeypatch.setattr(routes, "ask_helper", it.ask)

    def granted_to_the_home() -> None:
        it.writer = "commune-a"
        it.shown.set()

    asyncio.run(it.play(lambda: None, granted_to_the_home))
    assert it.told == ["hermitage", "commune-a"]


def test_a_new_writer_leads_an_address_to_itself_once_that_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    it = Follower("hermitage", "hermitage")
    monkeypatch.setattr(routes, "ask_helper", it.ask)
    monkeypatch.setattr(routes, "TRY_AGAIN_SECONDS", 0.01)

    def comes() -> None:
        assert it.told == [], "a node that takes over has more urgent work"
        it.here = True

    asyncio.run(it.play(comes))
    assert it.told == ["hermitage"]


def test_after_a_way_home_that_failed_the_address_is_led_away_again(monkeypatch: pytest.MonkeyPatch) -> None:
    it = Follower("commune-a", "hermitage")
    monkeypatch.setattr(routes, "ask_helper", it.ask)

    def granted_to(writer: str) -> None:
        it.writer = writer
        it.shown.set()

    def granted_home_and_back() -> None:
        granted_to("commune-a")
        asyncio.get_running_loop().call_later(0.05, granted_to, "hermitage")

    asyncio.run(it.play(lambda: None, granted_home_and_back))
    assert it.told == ["hermitage", "hermitage"], "what was led away was ended by the start that failed"
