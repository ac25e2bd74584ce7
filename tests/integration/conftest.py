"""A small corpus, and the demo's four nodes, each with a real sshd: what most integration tests stand on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.host.command import run
from appliance.trust.keys import create_key
from appliance.units import MIB
from appliance_lab.corpus import generate
from appliance_lab.processes.territory import ProcessTerritory
from tests.worlds.demo import running_territory


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """About 8 MB in 150 files of a town hall, for reading only; `documents` is a copy to change."""
    folder = tmp_path_factory.mktemp("corpus") / "documents"
    generate(folder, 8 * MIB, 150, seed=1)
    return folder


@pytest.fixture
def documents(corpus: Path, tmp_path: Path) -> Path:
    """This test's own copy of the corpus: what the service docs-a of `territory` saves."""
    folder = tmp_path / "documents"
    run(("cp", "-a", str(corpus), str(folder)), timeout_seconds=60, check=True)
    return folder


@pytest.fixture
def operator_key(tmp_path: Path) -> Path:
    """The SSH key with which `maintenance` signs acts in `territory`."""
    path = tmp_path / "maintenance_ed25519"
    create_key(path)
    return path


@pytest.fixture
def recovery() -> str:
    """The public recovery key of `territory`; a folder in which all must be well has one."""
    return ""


@pytest.fixture
def territory(tmp_path: Path, documents: Path, operator_key: Path, recovery: str) -> Iterator[ProcessTerritory]:
    """The territory of inventory/demo: keys, signed bundle, docs-a begun under its first grant, four sshds running.

    Nothing is backed up yet: `writer.run(territory.open("commune-a"), "docs-a")` does that.
    """
    with running_territory(tmp_path / "territory", documents, operator_key, recovery) as made:
        yield made
