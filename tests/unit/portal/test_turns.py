"""Few pages are made at once, those that wait take nobody's turn, and accounts are read again when they have
changed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from starlette.requests import Request
from starlette.responses import Response

from appliance.accounts.model import Store
from appliance.accounts.store import write_store
from appliance.clock import SimulatedClock
from appliance.host.layout import NodeLayout
from appliance.portal.base.web_app import PAGES_AT_ONCE, Visit, WebApp
from appliance.portal.build import stores_of
from tests.pace import LONG
from tests.worlds.accounts import account

SECONDS_MAX = LONG * 20.0


def site() -> WebApp:
    """One whose visitors are nobody; these pages ask for nothing else of it."""
    nobody: Any = SimpleNamespace(find=lambda token, now: None)
    return WebApp(SimulatedClock(), ZoneInfo("Europe/Paris"), nobody, nobody, nobody, nobody)


def ask_at_once(count: int, page: Callable[[Visit], Response], *, waits: bool) -> None:
    route = site().page("/", page, everybody=True, waits=waits)
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": [], "path_params": {}}

    async def ask() -> None:
        await asyncio.gather(*(route.endpoint(Request(scope)) for _ in range(count)))

    asyncio.run(ask())


def test_few_pages_are_made_at_once_and_each_has_its_turn() -> None:
    lock, now, seen = threading.Lock(), [0], []
    together = threading.Barrier(PAGES_AT_ONCE)

    def page(_visit: Visit) -> Response:
        with lock:
            now[0] += 1
            seen.append(now[0])
        together.wait(SECONDS_MAX)
        with lock:
            now[0] -= 1
        return Response()

    ask_at_once(5 * PAGES_AT_ONCE, page, waits=False)
    assert len(seen) == 5 * PAGES_AT_ONCE
    assert max(seen) == PAGES_AT_ONCE


def test_pages_that_wait_wait_together() -> None:
    together = threading.Barrier(5 * PAGES_AT_ONCE)

    def page(_visit: Visit) -> Response:
        together.wait(SECONDS_MAX)
        return Response()

    ask_at_once(5 * PAGES_AT_ONCE, page, waits=True)


def test_accounts_are_read_once_and_anew_when_any_of_them_changed(tmp_path: Path) -> None:
    layout = NodeLayout(tmp_path)
    stores = stores_of(layout, "commune-a")
    assert [(it.node, list(it.accounts)) for it in stores()] == [("commune-a", [])]
    write_store(layout.accounts, Store("commune-a", {"marie": account("marie")}))
    first = stores()
    assert [list(it.accounts) for it in first] == [["marie"]]
    assert stores() is first
    other = layout.accounts.parent / "of/commune-b.json"
    write_store(other, Store("commune-b", {}))
    assert [it.node for it in stores()] == ["commune-a", "commune-b"]
    other.unlink()
    write_store(layout.accounts, Store("commune-a", {}))
    assert [(it.node, list(it.accounts)) for it in stores()] == [("commune-a", [])]


@pytest.mark.parametrize("times", [50])
def test_each_of_many_changes_in_a_row_is_seen(tmp_path: Path, times: int) -> None:
    layout = NodeLayout(tmp_path)
    stores = stores_of(layout, "commune-a")
    for number in range(times):
        accounts = {"marie": account("marie")} if number % 2 else {}
        write_store(layout.accounts, Store("commune-a", accounts))
        assert stores()[0].accounts.keys() == accounts.keys()
