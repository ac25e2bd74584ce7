"""How the agent waits for root's side, which systemd wakes and which may sleep through a call."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from appliance.accounts.service import AccountService
from appliance.accounts.store import read_store, write_store
from appliance.failover.forms import people
from tests.pace import LONG
from tests.worlds.accounts import account, store

BOUND_SECONDS = LONG * 5.0


def test_root_is_called_again_where_it_slept_through_the_first_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """systemd does not look while the unit runs that it started before, for one in the making or one taken away."""
    monkeypatch.setattr(people, "TAKEN_WITHIN_SECONDS", BOUND_SECONDS)
    monkeypatch.setattr(people, "CALL_SECONDS", 0.1)
    service = AccountService(tmp_path / "accounts" / "accounts.json", "hermitage", syncs=True)
    file = tmp_path / "people" / "commune-a.json"
    write_store(file, store("commune-a", account("marie")))
    laid = file.stat().st_mtime_ns

    def take_at_the_second_call() -> None:
        end = time.monotonic() + 2 * BOUND_SECONDS
        while file.stat().st_mtime_ns == laid and time.monotonic() < end:
            time.sleep(0.01)
        write_store(service.file_of("commune-a"), read_store(file))

    root = threading.Thread(target=take_at_the_second_call)
    root.start()
    try:
        people._wait_until_taken(service, "commune-a", file)
    finally:
        root.join()
    assert set(service.others["commune-a"].accounts) == {"marie"}
