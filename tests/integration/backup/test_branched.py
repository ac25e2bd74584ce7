"""What a home wrote alone is saved with the service once it is written there again, once, and beside its versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.backup import writer
from appliance.backup.adopt import own_repository
from appliance.backup.openable import open_best
from appliance.borg.client import Borg
from appliance.borg.names import branch_of
from appliance.errors import NoSpace
from appliance.host.files import make_private_folder
from appliance.lab.processes.territory import ProcessTerritory

SERVICE = "docs-a"


def keep(territory: ProcessTerritory, epoch: int, text: str) -> None:
    folder = territory.open("commune-a").service(SERVICE).branches / f"{epoch}/srv/docs-a"
    (make_private_folder(folder) / "alone.txt").write_text(text)


def test_it_is_saved_once_outlives_pruning_and_is_held_by_a_peer(territory: ProcessTerritory, tmp_path: Path) -> None:
    node = territory.open("commune-a")
    writer.run(node, SERVICE)
    keep(territory, 2, "written alone")
    (node.service(SERVICE).branches / "2.json").write_text("{}")
    (node.service(SERVICE).branches / "3.new").mkdir()
    done = writer.run(node, SERVICE)
    assert (done.left_out, done.failures) == ((), ())
    borg = Borg(own_repository(node.service(SERVICE)))
    (branch,) = borg.archives(branches=True)
    assert branch_of(branch.name) == 2
    assert branch.name not in {it.name for it in borg.archives()}
    writer.run(node, SERVICE)
    writer.tidy(node, SERVICE)
    assert borg.archives(branches=True) == (branch,)

    held = Borg(open_best(territory.open("hermitage"), SERVICE, "standby").repository)
    held.extract(branch.name, (), make_private_folder(tmp_path / "back"))
    assert (tmp_path / "back/srv/docs-a/alone.txt").read_text() == "written alone"


def test_one_that_cannot_be_saved_is_a_failure_of_the_run_and_the_service_is_sealed_all_the_same(
    territory: ProcessTerritory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> tuple[()]:
        raise NoSpace("the disk is full.")

    node = territory.open("commune-a")
    keep(territory, 2, "written alone")
    with monkeypatch.context() as broken:
        broken.setattr(writer, "save_branches", full)
        done = writer.run(node, SERVICE)
    assert [(it.what, it.error.what) for it in done.failures] == [("its branches", "the disk is full.")]
    assert done.safety.safe
    assert writer.run(node, SERVICE).failures == ()
    assert len(Borg(own_repository(node.service(SERVICE))).archives(branches=True)) == 1
