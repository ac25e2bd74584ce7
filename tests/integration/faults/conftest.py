"""A territory with small documents, so that a fault can be made many times."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance_lab.processes.territory import ProcessTerritory
from tests.integration.faults.world import FaultWorld


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    """A few documents of a town hall, in place of the usual corpus."""
    folder = tmp_path / "documents"
    (folder / "Conseil municipal").mkdir(parents=True)
    (folder / "Conseil municipal" / "délibération 2026-11-25.odt").write_bytes(bytes(range(256)) * 300)
    (folder / "lien").symlink_to("Conseil municipal")
    return folder


@pytest.fixture
def world(territory: ProcessTerritory, documents: Path, tmp_path: Path) -> Iterator[FaultWorld]:
    """`territory` with its first backup made. At its end no counter was used twice in all pools together."""
    work = tmp_path / "work"
    work.mkdir()
    made = FaultWorld(territory, documents, work)
    made.assert_healed()
    yield made
    made.assert_no_counter_twice()
