"""The sentences of pages are true, and in plain French."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.host.files import make_private_folder
from appliance.restore.request import Status, request_folder, save_status
from tests.integration.portal.small import SHARE, Small, small, submit


@pytest.fixture
def made(tmp_path: Path) -> Small:
    made = small(tmp_path)
    made.repository.save("2026-11-23 07:00", "Seul/note.txt", "Deux/un.txt", "Deux/deux.txt", "reste.txt")
    made.repository.save("2026-11-24 07:00", "reste.txt")
    return made


def test_a_deleted_folder_is_counted_without_itself(made: Small) -> None:
    with made.read() as marie:
        page = marie.get("/supprimes").text
        assert "dossier entier, 1 élément<" in page
        assert "dossier entier, 2 éléments<" in page


@pytest.mark.parametrize(
    ("state", "says"), [("ready", "terminée"), ("failed", "échouée"), ("undone", "annulée"), ("expired", "périmée")]
)
def test_how_far_a_request_is_agrees_with_it(made: Small, state: str, says: str) -> None:
    with made.read() as marie:
        order = submit(marie, "/demandes", quoi=f"docs-a a1 {SHARE}/reste.txt", action="in-place").headers["location"]
        folder = request_folder(made.layout.service("docs-a").requests, order.rpartition("/")[2])
        make_private_folder(folder.root)
        save_status(folder, Status(state, result=f"{SHARE}/reste.txt"))  # type: ignore[arg-type]
        assert says in marie.get("/demandes").text


def test_every_cookie_is_named_in_the_notice(made: Small) -> None:
    with made.read() as marie:
        kept = set(marie.cookies)
        marie.cookies.clear()
        for page in ("/connexion", "/langue/fr"):
            kept |= set(marie.get(page).cookies)
        assert kept == {"portail", "formulaire", "langue"}
        notice = marie.get("/mentions").text
        said = ("garde votre connexion", "un autre votre langue", "un troisième protège le formulaire de connexion")
        assert [it for it in said if it not in notice] == []


def test_what_is_no_address_and_no_way_to_open_one_is_said_plainly(made: Small) -> None:
    with made.read() as marie:
        assert "n&#39;est pas valable" in marie.get("/supprimes?page=x").text
        assert "ne s&#39;ouvre pas de cette façon" in marie.get("/voir").text
