"""Pages call their worker at most each ten seconds, and the worker knows when nobody has called for so long."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.types import Message, Receive, Scope, Send

from appliance.portal import worker_socket
from appliance.portal.worker_socket import CALL_SECONDS, FAILED_SECONDS, QUIET_SECONDS, Calls, WorkerCall
from tests.unit.portal.clock import Clock


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(worker_socket, "time", found)
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "work.sock"


@pytest.fixture
def listener(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))
        made.listen()
        made.setblocking(False)
        yield made


def waiting(listener: socket.socket) -> int:
    """How many calls wait; none does afterwards."""
    count = 0
    while True:
        try:
            listener.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


def test_a_call_finds_the_worker_running_for_longer_than_the_pages_wait_until_the_next(time: Clock) -> None:
    assert QUIET_SECONDS > 2 * CALL_SECONDS


def test_pages_call_at_once_and_then_at_most_each_ten_seconds(listener: socket.socket, path: Path, time: Clock) -> None:
    call = WorkerCall(path)
    call.call()
    call.call()
    assert waiting(listener) == 1
    time.now += CALL_SECONDS
    call.call()
    assert waiting(listener) == 1


def test_a_socket_that_is_full_of_calls_is_no_failure(
    listener: socket.socket, path: Path, time: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    listener.listen(0)
    call = WorkerCall(path)
    for _ in range(20):
        call.call()
        time.now += CALL_SECONDS
    assert waiting(listener) > 0
    assert caplog.records == []


def test_a_worker_that_cannot_be_called_is_one_line_a_minute_and_keeps_no_page_back(
    path: Path, time: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    call = WorkerCall(path)
    with caplog.at_level(logging.WARNING):
        for _ in range(int(FAILED_SECONDS)):
            call.call()
            time.now += 1
    assert [record.getMessage() for record in caplog.records] == [
        f"the worker behind the pages does not start: {path}: No such file or directory"
    ]
    time.now += 1
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.setblocking(False)
        call.call()
        assert waiting(listener) == 1


def test_the_call_comes_after_the_answer_and_also_when_the_page_fails(
    listener: socket.socket, path: Path, time: Clock
) -> None:
    seen: list[int] = []

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(waiting(listener))
        raise ValueError("no page")

    async def never(*_: Message) -> Message:
        raise AssertionError

    with pytest.raises(ValueError, match="no page"):
        asyncio.run(WorkerCall(path).calling(page)({"type": "http"}, never, never))  # type: ignore[arg-type]
    assert (seen, waiting(listener)) == ([0], 1)


def test_calls_are_over_when_none_came_for_so_long(listener: socket.socket, path: Path, time: Clock) -> None:
    calls = Calls(listener, quiet_seconds=120.0)
    WorkerCall(path).call()
    assert not calls.are_over()
    time.now += 119
    assert not calls.are_over()
    time.now += 1
    assert calls.are_over()
    WorkerCall(path).call()
    assert not calls.are_over()
    assert waiting(listener) == 0, "each call is taken"


def test_without_a_call_there_is_nothing_to_wait_for(listener: socket.socket, time: Clock) -> None:
    assert Calls(listener).are_over()
