"""When the pages end: no connection has been open for so long, and one that comes and goes between two looks counts."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from appliance.portal import connections
from appliance.portal.connections import Connections
from tests.unit.portal.clock import Clock

QUIET_SECONDS = 300.0


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(connections, "time", found)
    return found


@pytest.fixture
def browser() -> Iterator[socket.socket]:
    with socket.socket() as made:
        yield made


def admit(found: Connections, made: socket.socket) -> None:
    async def come() -> bool:
        return found.admit(made, "192.0.2.1", 1)

    assert asyncio.run(come())


def test_nobody_came_at_all(time: Clock) -> None:
    found = Connections()
    time.now += QUIET_SECONDS - 1
    assert not found.are_over(QUIET_SECONDS), "who started it may be on the way"
    time.now += 1
    assert found.are_over(QUIET_SECONDS)


def test_an_open_connection_keeps_them_however_long_it_lasts(time: Clock, browser: socket.socket) -> None:
    found = Connections()
    admit(found, browser)
    time.now += 100 * QUIET_SECONDS
    assert not found.are_over(QUIET_SECONDS)
    browser.close()
    time.now += QUIET_SECONDS - 1
    assert not found.are_over(QUIET_SECONDS), "counted from the last look at which it was open"
    time.now += 1
    assert found.are_over(QUIET_SECONDS)


def test_one_that_came_and_went_between_two_looks_counts(time: Clock, browser: socket.socket) -> None:
    found = Connections()
    time.now += QUIET_SECONDS - 1
    admit(found, browser)
    browser.close()
    time.now += 1
    assert not found.are_over(QUIET_SECONDS)
    time.now += QUIET_SECONDS
    assert found.are_over(QUIET_SECONDS)
