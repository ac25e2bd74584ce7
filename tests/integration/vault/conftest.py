"""One territory under siege for a whole module: what one attack leaves behind must not help the next either."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.backup.writer import writer
from appliance.host.command import run
from appliance.trust.keys import create_key
from appliance_lab.corpus import change
from tests.integration.vault.siege import SERVICE, Siege
from tests.worlds.demo import running_territory
from tests.worlds.vaults import VaultWorld


@pytest.fixture(scope="module")
def siege(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Siege]:
    """Two generations of docs-a, safe at hermitage and commune-b; then everything of commune-a is stolen."""
    root = tmp_path_factory.mktemp("siege")
    documents = root / "documents"
    run(("cp", "-a", str(corpus), str(documents)), timeout_seconds=60, check=True)
    create_key(root / "maintenance_ed25519")
    with running_territory(root / "territory", documents, root / "maintenance_ed25519") as territory:
        origin = territory.open("commune-a")
        for _ in range(2):
            assert writer.run(origin, SERVICE).safety.safe
            change(documents, 0.02)
        stolen = root / "stolen"
        run(("cp", "-a", str(origin.layout.root), str(stolen)), timeout_seconds=60, check=True)
        yield Siege.begin(territory, stolen)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> VaultWorld:
    """Vaults without any history: each test copies them, since keys cost more than all the rest."""
    return VaultWorld(tmp_path_factory.mktemp("desk") / "made").create()
