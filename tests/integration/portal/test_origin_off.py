"""The origin's machine is gone: the pages of its standby let the same people in, and bring the same files back."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.lab.processes.node import free_ports
from tests.integration.portal.world import NODE, PASSWORD, Visitor, World, code_of, running_world, wait_until
from tests.integration.running import LOOPBACK

STANDBY = "hermitage"


@pytest.fixture
def world_of_its_own(tmp_path: Path) -> object:
    with running_world(tmp_path / "lost") as made:
        yield made


def test_with_the_origin_off_its_people_find_their_files_at_the_standby(
    world_of_its_own: World, tmp_path: Path
) -> None:
    world = world_of_its_own
    nodes = world.territory.nodes
    saved = tmp_path / "accounts.json"
    saved.write_bytes(nodes[NODE].layout.accounts.read_bytes())  # as the node's own service brings it back
    nodes[STANDBY].cli("vault", "exchange")  # as its agent does each hour: holders show their receipts
    world.stop()
    nodes[NODE].wipe()
    nodes[STANDBY].cli("account", "feed", "--from", str(saved))
    port = free_ports(LOOPBACK, 1)[0]
    world.serve(STANDBY, port)
    with Visitor(f"http://{LOOPBACK}:{port}") as marie:
        assert marie.sign_in("marie", PASSWORD, "000000").status_code == 401
        assert marie.sign_in("marie", PASSWORD, code_of(world.people["marie"])).status_code == 303
        home = marie.get("/").text
        assert "Documents de la commune A" in home
        assert "En sécurité." in home, "by its own receipt and those that other holders showed it"
        assert "Dernière copie sûre" in home
        page = marie.get("/retrouver?q=budget").text
        assert "1 fichier trouvé" in page
        wish = f"docs-a monday {world.archived('Budget 2026.txt').replace(' ', '%20')}"
        order = marie.submit("/demandes", quoi=wish, action="copy").headers["location"]
        wait_until(lambda: "C&#39;est prêt" in marie.get(order).text, "the copy is ready")
        assert marie.get(f"{order}/fichier").text == "Recettes : 100\nDépenses : 90\n"
