"""borg's own check of what is held, done by the checker behind its socket, as on a host."""

from __future__ import annotations

import json
import os
import pwd
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from appliance.backup.vault.replicas import replica_of
from appliance.backup.vault.sealing.checker import check_view
from appliance.backup.vault.sealing.checker_server import answer
from appliance.backup.vault.wire import Channel
from appliance.errors import Forbidden, IntegrityError, NotFound
from appliance.host.network import peer
from appliance.node.handle import Node
from tests.integration.vault.accounts import NOBODY, as_account
from tests.integration.vault.siege import SERVICE, Siege


@dataclass
class Checked:
    """A blind peer whose checks are done behind `path`; `place` is the checker's own folder."""

    node: Node
    path: Path
    place: Path

    def ask(self, **said: Any) -> dict[str, Any]:
        with peer.connect(self.path) as connection:
            peer.greet(connection)
            channel = Channel(connection.fileno(), connection.fileno(), quiet_seconds=60)
            channel.write_frame(said)
            return channel.read_frame()


@pytest.fixture
def checked(siege: Siege, tmp_path: Path) -> Iterator[Checked]:
    node = siege.territory.open("commune-b")
    path, place = tmp_path / "check.sock", tmp_path / "cache"
    place.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        path.chmod(0o666)
        thread = threading.Thread(target=_serve, args=(listener, node.layout.root, place))
        thread.start()
        node.layout.helpers.write_text(json.dumps({"format": 1, "sealer": "", "checker": str(path)}))
        yield Checked(node, path, place)
        node.layout.helpers.unlink()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def _serve(listener: socket.socket, state: Path, place: Path) -> None:
    """As systemd does for each connection, until the listener is shut."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            answer(connection, state, place)


def test_what_is_whole_is_found_whole_and_nothing_is_left_of_the_view(checked: Checked) -> None:
    (checked.place / "view-killed").mkdir()
    found = check_view(checked.node, SERVICE)
    newest = max(item.name for item in replica_of(checked.node, SERVICE).stored() if item.held)
    account = pwd.getpwuid(os.geteuid()).pw_name
    assert (found.generation, found.fault, found.account) == (newest, "", account)
    assert list(checked.place.glob("view-*")) == []
    *_, line = checked.node.journal.events("vault-checked")
    assert (line["fault"], line["account"]) == ("", account)


def test_what_is_rotten_is_found_through_the_view(checked: Checked) -> None:
    replica = replica_of(checked.node, SERVICE)
    newest = max(item.name for item in replica.stored() if item.held)
    segment = max(
        (entry for entry in replica.entries(newest) if entry.path.startswith("data/")), key=lambda it: it.size
    )
    blob = replica.blob(segment.sha256)
    whole = blob.read_bytes()
    blob.chmod(0o600)
    try:
        blob.write_bytes(whole[: len(whole) // 2] + b"rotten" + whole[len(whole) // 2 + 6 :])
        assert "borg check found damage" in check_view(checked.node, SERVICE, newest).fault
    finally:
        blob.write_bytes(whole)
        blob.chmod(0o440)
    assert check_view(checked.node, SERVICE, newest).fault == ""


@pytest.mark.parametrize(
    ("said", "refusal"),
    [
        ({"service": "nobody"}, NotFound),
        ({"service": "../docs-a"}, NotFound),
        ({"service": SERVICE, "generation": "../../keys"}, NotFound),
        ({"service": SERVICE, "generation": 7}, IntegrityError),
        ({}, IntegrityError),
    ],
)
def test_what_is_not_held_is_not_looked_for(checked: Checked, said: dict[str, Any], refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        checked.ask(**said)


@pytest.mark.root
def test_no_other_account_may_have_anything_checked(checked: Checked, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:  # the test runner's own folder lets no other account pass
        listener.bind(f"\0{tmp_path}")
        listener.listen()
        thread = threading.Thread(target=_serve, args=(listener, checked.node.layout.root, checked.place))
        thread.start()
        with pytest.raises(Forbidden, match=str(NOBODY)):
            as_account(NOBODY, lambda: _ask_at(f"\0{tmp_path}"))
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def _ask_at(address: str) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        peer.greet(connection)
        channel = Channel(connection.fileno(), connection.fileno(), quiet_seconds=20)
        channel.write_frame({"service": SERVICE})
        return channel.read_frame()
