"""A vault that answers a push with something else than what it lacks: the push ends, and no other peer's waits."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from appliance.backup.vault import receive, session
from appliance.backup.vault.call import Call
from appliance.backup.vault.store import RECEIPT
from appliance.backup.vault.wire import Closed
from appliance.backup.writer.writer import push_newest
from appliance.trust.generation import parse_list
from tests.worlds.vaults import (
    HOLDER,
    ORIGIN,
    SERVICE,
    STANDBY,
    Generation,
    assert_whole,
    offer,
)
from tests.worlds.vaults_in_process import World

AGAIN = "the same, again and again"
ASKS_MAX = 50

# What the blind holder says in the place of what it needs; what is said of it.
LIES: dict[str, tuple[Any, str]] = {
    "asks without end": ({"need": AGAIN}, "requests the same file more than 3 times in one push"),
    "requests no more files": ({"need": []}, "requests no more files and gives no receipt"),
    "says nothing": ({}, "requests no more files and gives no receipt"),
    "acknowledges nothing": ({"got": 0}, "requests no more files and gives no receipt"),
    "null": ({"need": None}, "requests a file that was not offered"),
    "a number": ({"need": 5}, "requests a file that was not offered"),
    "an object": ({"need": {"a": 1}}, "requests a file that was not offered"),
    "no pairs": ({"need": ["a"]}, "requests a file that was not offered"),
    "a list for a hash": ({"need": [[[], 0]]}, "requests a file that was not offered"),
    "what nobody offered": ({"need": [["0" * 64, 0]]}, "requests a file that was not offered"),
}


def lying(lie: Any) -> Callable[[Call], None]:
    """In the place of `receive.put`: only the blind holder lies."""

    def put(call: Call) -> None:
        if call.node.name != HOLDER:
            return receive.put(call)
        entry = parse_list(call.channel.read(call.request["list_bytes"]))[0]
        answer = {"need": [[entry.sha256, 0]]} if lie == {"need": AGAIN} else lie
        with suppress(Closed):
            for _ in range(ASKS_MAX):
                call.channel.write_frame(answer)
                if lie == {"need": AGAIN}:
                    call.channel.read(entry.size)
        return None

    return put


@pytest.mark.parametrize("name", LIES)
def test_a_push_ends_whatever_a_vault_answers(begun: World, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lie, says = LIES[name]
    monkeypatch.setitem(session.VERBS, "put", lying(lie))  # type: ignore[arg-type]
    sealed, pushed = begun.run(ORIGIN)
    assert begun.vaults.holding(STANDBY).holds(sealed.header.id)
    (error,) = [it.error for it in pushed if it.error]
    assert says in error.what
    assert HOLDER in error.what


def test_the_wrong_start_of_a_file_that_another_holder_left_stops_no_push(begun: World) -> None:
    """The blind holder hands the newest generation on, sends wrong starts and is cut, each time before the writer."""
    begun.down = frozenset({STANDBY})
    sealed, _ = begun.run(ORIGIN)
    vaults, replica = begun.vaults, begun.vaults.holding(HOLDER)
    name = sealed.header.id.name
    generation = Generation(sealed.header, sealed.listing, sealed.entries, {})
    said = {
        "grants": [replica.grant(epoch).decode() for epoch in replica.epochs()],
        "receipt": replica.read(name, RECEIPT).decode(),
        "age_seconds": vaults.open(HOLDER).ageing.now(),
    }
    with vaults.session(STANDBY, HOLDER) as channel:
        offer(channel, generation, verb="put-relayed", details=said)
        assert channel.read_frame()["need"]
        channel.write(bytes(10))
    begun.down = frozenset()
    (pushed,) = [it for it in push_newest(vaults.open(ORIGIN), SERVICE) if it.peer == STANDBY]
    assert pushed.error is None
    assert assert_whole(vaults, STANDBY) == [name]
