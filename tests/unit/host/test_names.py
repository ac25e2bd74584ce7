"""Names of hosts: one that nobody knows, or about which nobody answers, keeps no other waiting."""

from __future__ import annotations

import threading
import time

from appliance.host.network.names import look_up


def test_each_name_that_has_an_address_in_time_is_found() -> None:
    silent = threading.Event()

    def ask(name: str) -> str:
        if name == "silent.example":
            silent.wait(30)
        if name == "gone.example":
            raise OSError("Name or service not known")
        return "2001:db8::1" if name == "b.example" else "192.0.2.1"

    started = time.monotonic()
    found = look_up(("a.example", "gone.example", "silent.example", "b.example"), 0.5, ask)
    assert found == {"a.example": "192.0.2.1", "b.example": "2001:db8::1"}
    assert time.monotonic() - started < 10
    silent.set()


def test_the_resolver_of_this_machine_is_asked() -> None:
    assert look_up(("localhost", "no such name.invalid", "x" * 300), 10) in (
        {"localhost": "127.0.0.1"},
        {"localhost": "::1"},
    )
