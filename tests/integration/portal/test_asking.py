"""A request made twice, or for very much at once, is answered and written down as it was made."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.clock import SystemClock
from appliance.host.files import make_private_folder
from appliance.portal.base.journal import ChainedJournal
from appliance.portal.paths import PortalPaths
from appliance.restore.request import Status, request_folder, save_status
from appliance.restore.undo_request import UndoRequest
from tests.integration.portal.small import SHARE, Small, small, submit


@pytest.fixture
def made(tmp_path: Path) -> Small:
    made = small(tmp_path)
    made.repository.save("2026-11-24 07:00", "un.txt", "deux.txt")
    return made


def test_what_is_undone_already_says_so_to_whoever_presses_the_button_again(made: Small) -> None:
    with made.read() as marie:
        page = submit(marie, "/demandes", quoi=f"docs-a a1 {SHARE}/un.txt", action="in-place").headers["location"]
        requests, name = made.layout.service("docs-a").requests, page.rpartition("/")[2]
        make_private_folder(request_folder(requests, name).root)
        save_status(request_folder(requests, name), Status("ready", job="one"))
        for _ in range(2):
            assert submit(marie, f"{page}/annuler").headers["location"] == page
            assert "Annulation en cours." in marie.get(page).text
        save_status(request_folder(requests, name), Status("undone", job="one"))
        assert submit(marie, f"{page}/annuler").headers["location"] == page
        assert "tout est comme avant" in marie.get(page).text
        assert UndoRequest(requests, name).state == "", "nobody is asked to do it once more"
    assert [it["event"] for it in _told(made)].count("undone") == 1


def test_hundreds_of_ticks_are_all_in_the_journal(made: Small) -> None:
    paths = [f"{SHARE}/{'x' * 150} {number}" for number in range(250)]
    wishes = [f"docs-a a1 {path.replace(' ', '%20')}" for path in paths]
    with made.read() as marie:
        assert submit(marie, "/demandes", quoi=wishes, action="copy").status_code == 303
    asked = [it for it in _told(made) if it["event"] == "asked"]
    assert sorted(path for it in asked for path in it["paths"]) == sorted(paths)
    assert {(it["account"], it["kind"], it["archive"], it["address"]) for it in asked} == {
        ("marie", "download", "a1", "testclient")
    }


def _told(made: Small) -> list[dict[str, object]]:
    journal = ChainedJournal(PortalPaths.of(made.layout).journal, SystemClock())
    journal.verify()
    return list(journal.entries())
