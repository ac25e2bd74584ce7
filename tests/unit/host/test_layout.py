"""Where a node keeps what, in process mode and on a host."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.host import layout
from appliance.host.layout import NodeLayout, state_of_this_host


def test_a_machine_without_the_file_is_no_node(tmp_path: Path) -> None:
    assert state_of_this_host(tmp_path / "state") is None


def test_a_host_says_in_one_line_where_its_node_is(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("/srv/appliance/node\n")
    assert state_of_this_host(tmp_path / "state") == Path("/srv/appliance/node")


def test_the_lineage_lies_where_an_image_of_the_state_folder_does_not_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "state_of_this_host", lambda: Path("/srv/appliance/node"))
    assert NodeLayout(Path("/srv/appliance/node")).lineage == Path("/var/lib/appliance/lineage")
    assert NodeLayout(Path("/tmp/nodes/commune-a")).lineage == Path("/tmp/nodes/.commune-a.lineage")


def test_what_a_host_holds_lies_beside_the_folder_of_its_agent_wherever_its_disk_is_looked_at() -> None:
    assert NodeLayout(Path("/srv/appliance/node")).vault == Path("/srv/appliance/vault")
    assert NodeLayout(Path("/mnt/disk/srv/appliance/node")).ageing == Path("/mnt/disk/srv/appliance/vault/age.json")
    assert NodeLayout(Path("/tmp/nodes/commune-a")).vault == Path("/tmp/nodes/commune-a/vault")
