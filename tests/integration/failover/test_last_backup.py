"""The last backup before a planned move: what stops it, what does not, and whose receipt it counts by."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.backup.peers.conversation import Lines
from appliance.backup.sources.model import Failure, LeftOut
from appliance.backup.writer.begin import begin, take_first_grant
from appliance.backup.writer.writer import run
from appliance.errors import NotFound, Refused
from appliance.failover.forms.share_work import save_people
from appliance.failover.takeover_worker import _check_whole, sync
from appliance.host.files import make_private_folder
from appliance.territory.implicit import implicit_name, with_implicit
from appliance_lab.processes.territory import ProcessTerritory

HOME, STANDBY, SERVICE = "commune-a", "hermitage", "docs-a"


def test_a_socket_in_a_share_does_not_stop_a_planned_move(
    territory: ProcessTerritory, documents: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(documents)  # the name of a socket is short
    node = territory.open(HOME)
    with socket.socket(socket.AF_UNIX) as listening, Lines(node) as lines:
        listening.bind("application.sock")
        assert sync(node, SERVICE, "", lines)["has"]


def test_a_share_does_not_move_before_its_taker_has_the_accounts_of_its_people(territory: ProcessTerritory) -> None:
    territory.territory = with_implicit(replace(territory.territory, own_backup=True))
    territory.sign()
    node, own = territory.open(HOME), implicit_name(HOME)
    take_first_grant(node, own, territory.grant(begin(node, own), HOME))
    make_private_folder(node.layout.accounts.parent)
    node.layout.accounts.write_text("{}")
    os.utime(node.layout.accounts, (0, 0))
    territory.nodes[STANDBY].stop()
    run(node, own)
    with pytest.raises(Refused, match=f"{STANDBY} gave no receipt for the accounts of {HOME}") as refused:
        save_people(node, SERVICE, STANDBY)
    assert f"`appliance backup push {own}`" in refused.value.remedy
    territory.nodes[STANDBY].start_sshd()
    save_people(node, SERVICE, STANDBY)


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
