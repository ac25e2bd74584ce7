"""The last backup before a planned move: what stops it, what does not, and whose receipt it counts by."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from appliance.agent.takeover import _check_whole, sync
from appliance.backup.peers import Lines
from appliance.backup.sources.model import Failure, LeftOut
from appliance.errors import NotFound, Refused
from appliance.lab.processes.territory import ProcessTerritory

HOME, SERVICE = "commune-a", "docs-a"


def test_a_socket_in_a_share_does_not_stop_a_planned_move(
    territory: ProcessTerritory, documents: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(documents)  # the name of a socket is short
    node = territory.open(HOME)
    with socket.socket(socket.AF_UNIX) as listening, Lines(node) as lines:
        listening.bind("application.sock")
        assert sync(node, SERVICE, "", lines)["has"]


def test_what_the_last_backup_could_not_save_is_named_with_the_remedy() -> None:
    unread = [LeftOut(f"/srv/{name}", "file that may not be read") for name in "abcd"]
    with pytest.raises(
        Refused, match=r"docs-a could be saved: /srv/a \(file that may not be read\).* and 1 more"
    ) as refused:
        _check_whole(SERVICE, (), unread)
    assert "`exclude`" in refused.value.remedy
    failed = Failure("database etat-civil", NotFound("no such database."))
    with pytest.raises(Refused, match="database etat-civil"):
        _check_whole(SERVICE, (failed,), ())
