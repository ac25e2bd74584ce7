"""A restore on a host whose failover keeps the folder read-only: left to failover, or refused with a sentence."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from appliance.cli.restore import node as restore_node_cmd
from appliance.cli.restore import served as restore_served
from appliance.cli.restore.served import check_writable_here
from appliance.errors import Refused
from tests.worlds.demo import INVENTORY

SERVICE = "docs-a"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A node that failover may give docs-a to; its folder is a mount that can only be read."""
    monkeypatch.setattr(restore_served, "installs_its_files", lambda node, service: service == SERVICE)
    monkeypatch.setattr(restore_served, "server_elsewhere", lambda node, service: node.elsewhere)
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_flag=os.ST_RDONLY))
    terms = SimpleNamespace(service=SimpleNamespace(paths=("/srv/shares/docs-a",)))
    return SimpleNamespace(elsewhere="", bundle=SimpleNamespace(terms=lambda service: terms, left=lambda service: None))


def test_a_restore_into_a_folder_that_failover_keeps_read_only_names_the_unit(served: SimpleNamespace) -> None:
    """It said ".appliance-restore: read-only file system. See journalctl -k.", where nothing stood."""
    with pytest.raises(Refused, match=r"appliance-read-only@docs-a\.service") as refused:
        check_writable_here(served, SERVICE)  # type: ignore[arg-type]
    assert "failover status" in refused.value.remedy
    served.elsewhere = "hermitage"
    with pytest.raises(Refused) as refused:
        check_writable_here(served, SERVICE)  # type: ignore[arg-type]
    assert "on hermitage" in refused.value.remedy


def test_what_does_not_move_is_restored_as_ever(served: SimpleNamespace) -> None:
    check_writable_here(served, "base-a")  # type: ignore[arg-type]


def test_what_failover_serves_is_left_to_it_by_a_restore_of_the_whole_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    brought: list[str] = []
    from appliance.config.load import load

    plan = load(INVENTORY)
    docs = plan.services[SERVICE]
    database = replace(docs, name="register", kind="postgresql")
    other = replace(docs, name="base-a", kind="postgresql")
    services = (docs, database, other, replace(docs, name="notes-a"))
    monkeypatch.setattr(restore_node_cmd, "this_node", lambda: SimpleNamespace(service=lambda name: None))
    monkeypatch.setattr(restore_node_cmd, "_services", lambda node, in_place: services)
    monkeypatch.setattr(restore_node_cmd, "installs_its_files", lambda node, name: name in (SERVICE, "register"))
    monkeypatch.setattr(restore_node_cmd, "_bring_back", lambda aim, service, paths, told: brought.append(service.name))
    restore_node_cmd.node.callback(  # type: ignore[misc]
        to=None, in_place=True, force=False, once=False, people=False, source="", paper=False, dry_run=False
    )
    assert brought == ["notes-a"]
    said = capsys.readouterr()
    assert "docs-a is left to failover" in said.out
    assert "register is a database" not in said.err
    assert "base-a is a database" in said.err
