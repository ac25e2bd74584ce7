"""The origin's machine goes off in the middle of somebody's work: in the same browser she signs in at the standby, and
gets the same file back through the same door."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance_lab.processes.node import free_ports
from tests.integration.portal.browsing import open_as
from tests.integration.portal.world import NODE, PASSWORD, World, code_of, running_world
from tests.worlds.demo import LOOPBACK

STANDBY = "hermitage"
MONDAY = "Recettes : 100\nDépenses : 90\n"


@pytest.fixture
def world_of_its_own(tmp_path: Path) -> Iterator[World]:
    with running_world(tmp_path / "lost") as made:
        yield made


def test_with_the_origin_off_in_the_middle_its_people_go_on_at_the_standby(
    browser: Any, world_of_its_own: World, tmp_path: Path
) -> None:
    world = world_of_its_own
    nodes = world.territory.nodes
    page = open_as(browser, world, "marie")
    page.goto("/")
    assert _saved(page, tmp_path / "at home") == MONDAY
    saved = tmp_path / "accounts.json"
    saved.write_bytes(nodes[NODE].layout.accounts.read_bytes())  # as the node's own service brings it back
    nodes[STANDBY].cli("vault", "exchange")  # as its agent does each hour: holders show their receipts
    world.stop()
    nodes[NODE].wipe()
    nodes[STANDBY].cli("internal", "account", "sync", "--from", str(saved))
    port = free_ports(LOOPBACK, 1)[0]
    world.serve(STANDBY, port)
    page.goto(f"http://{LOOPBACK}:{port}/")
    assert page.url.endswith("/connexion"), "a session is known where it began alone"
    _sign_in(page, "000000")
    page.get_by_role("alert").get_by_text("ou le code n'est pas le bon").wait_for()
    _sign_in(page, code_of(world.people["marie"]))
    page.get_by_role("heading", name="Documents de la commune A").wait_for()
    home = page.locator("main").inner_text()
    assert "En sécurité." in home, "by its own receipt and those that other holders showed it"
    assert "Dernière copie sûre" in home
    assert _saved(page, tmp_path / "at the standby") == MONDAY
    page.context.close()


def _sign_in(page: Any, code: str) -> None:
    page.fill("#identifiant", "marie")
    page.fill("#secret", PASSWORD)
    page.fill("#code", code)
    page.get_by_role("button", name="Se connecter").click()


def _saved(page: Any, to: Path) -> str:
    """Save the oldest version of a file, by the first way from the first page."""
    page.locator(".doors").get_by_role("link", name="Retrouver un fichier").click()
    page.get_by_label("Une partie du nom").fill("budget")
    page.get_by_role("button", name="Chercher").click()
    page.get_by_role("status").get_by_text("1 fichier trouvé").wait_for()
    page.get_by_role("link", name="Budget 2026.txt").click()
    page.get_by_role("button", name="Enregistrer une copie").last.click()
    page.get_by_role("status").get_by_text("C'est prêt.").wait_for()
    with page.expect_download() as started:
        page.get_by_role("link", name="Enregistrer").click()
    started.value.save_as(to)
    return to.read_text()
