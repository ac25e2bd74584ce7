"""An agent whose node has not one free byte, for its own notes neither: it says so, and goes on by itself."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from appliance.backup.writer import writer
from appliance.units import MIB
from appliance_lab.processes.territory import ProcessTerritory
from tests.integration.agent.watch import SERVICE, agent_of, is_safe, status
from tests.integration.faults.world import FaultWorld
from tests.integration.small_disk import free_bytes, on_small_disk
from tests.waiting import wait_until

pytestmark = pytest.mark.root

SIZE_BYTES = 320 * MIB


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "film.mp4").write_bytes(random.Random(1).randbytes(4 * MIB))
    return folder


def test_a_node_without_a_free_byte_says_so_and_comes_back_by_itself(territory: ProcessTerritory) -> None:
    origin = territory.nodes["commune-a"]
    with on_small_disk(origin.layout.root, SIZE_BYTES) as disk:
        disk.fill()
        assert free_bytes(disk.place) == 0
        origin.start_agent()
        wait_until(lambda: "the disk is full" in status(origin)[2], "it is told")
        code, _, text = status(origin)
        assert code == 4
        assert "The agent continues by itself." in text
        assert agent_of(origin).poll() is None
        disk.empty()
        wait_until(lambda: is_safe(territory), "docs-a is safe")
        wait_until(lambda: "the disk is full" not in status(origin)[2], "all its work goes on")
        origin.kill()


def test_a_disk_that_stays_full_gets_the_room_of_old_archives(territory: ProcessTerritory, tmp_path: Path) -> None:
    """Nobody takes away what filled it: a backup fails, and the agent tidies."""
    origin = territory.nodes["commune-a"]
    films = Path(territory.territory.service(SERVICE).paths[0]) / "film.mp4"
    with on_small_disk(origin.layout.root, SIZE_BYTES) as disk:
        for number in range(3):
            films.write_bytes(random.Random(number).randbytes(20 * MIB))
            writer.run(territory.open(origin.name), SERVICE)
        FaultWorld(territory, films.parent, tmp_path).make_due()
        disk.fill()
        films.write_bytes(random.Random(9).randbytes(20 * MIB))
        origin.start_agent()
        try:
            wait_until(lambda: free_bytes(disk.place) > 20 * MIB, "old archives went")
        finally:
            print(status(origin)[2], origin.layout.journal.read_text()[-3000:])
            origin.kill()
