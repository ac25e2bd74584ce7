"""A link leads to the very moment that it speaks of, however often things were saved on that day."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.integration.portal.small import Small, links, page_of, small


@pytest.fixture
def made(tmp_path: Path) -> Small:
    return small(tmp_path)


def test_the_safe_date_is_the_moment_that_was_proposed_and_not_the_last_of_that_day(made: Small) -> None:
    permits = [f"Permis/{number:03}.odt" for number in range(120)]
    made.repository.save("2026-11-23 07:00", *permits)
    safe = made.repository.save("2026-11-24 07:00", *permits)
    made.repository.save("2026-11-24 09:00", *(f"{it}.verrouille" for it in permits), rewritten=True)
    with made.read() as marie:
        page = marie.get("/attaque").text
        shown = marie.get(links(page)["Voir Documents de la commune A à la date sûre"])
        assert shown.status_code == 200
        wishes = re.findall(r'name="quoi" value="docs-a (\w+) ', shown.text)
        assert set(wishes) == {safe}, "what is got back from there is of that moment, too"
        assert set(re.findall(r'name="quoi" value="docs-a (\w+) ', page)) == {safe}
        assert "000.odt" in links(marie.get(links(shown.text)["Permis"]).text)


def test_the_chosen_hour_is_kept_on_the_way_down_and_up(made: Small) -> None:
    first = made.repository.save("2026-11-24 07:00", "Mairie/Conseil/2026/ancien.odt")
    made.repository.save("2026-11-24 15:00", "Mairie/Conseil/2026/nouveau.odt")
    with made.read() as marie:
        page = marie.get(links(marie.get(page_of()).text)["8\u00a0h\u00a000"])
        for step in ("Mairie", "Conseil", "2026", "ancien.odt", "Conseil", "2026", "Conseil", "Mairie"):
            page = marie.get(links(page.text)[step])
            assert page.status_code == 200
        assert f"version={first}" in links(page.text)["Conseil"]


def test_what_was_deleted_since_is_shown_as_it_was_last(made: Small) -> None:
    made.repository.save("2026-11-24 07:00", "Vide/note.txt", "reste.txt")
    made.repository.save("2026-11-24 15:00", "reste.txt")
    with made.read() as marie:
        found = links(marie.get("/retrouver?q=vide").text)
        folder = marie.get(found["Vide"])
        assert "tel qu&#39;il était le mardi 24 novembre 2026 à 8\u00a0h\u00a000" in folder.text
        file = marie.get(links(marie.get("/retrouver?q=note").text)["note.txt"])
        above = marie.get(links(file.text)["Vide"])
        assert "note.txt" in links(above.text)


def test_a_folder_that_was_not_there_then_says_so_and_leads_on(made: Small) -> None:
    made.repository.save("2026-11-23 07:00", "reste.txt")
    made.repository.save("2026-11-24 07:00", "reste.txt", "Neuf/note.txt")
    with made.read() as marie:
        page = marie.get(links(marie.get(page_of("Neuf")).text)["← Jour d'avant"])
        assert page.status_code == 200
        assert "Ce dossier n&#39;existait pas le lundi 23 novembre 2026" in page.text
        assert 'action="/demandes"' not in page.text, "there is nothing to bring back"
        assert "note.txt" in links(
            marie.get(links(page.text)["Voir ce dossier à la dernière date où il existait"]).text
        )
        assert "note.txt" in links(marie.get(links(page.text)["Jour d'après →"]).text)
        for never in (page_of("Rien"), page_of("reste.txt"), f"{page_of()}&version=a9"):
            assert marie.get(never).status_code == 404


def test_two_versions_of_one_minute_are_told_apart(made: Small) -> None:
    made.repository.save("2026-11-24 15:43:02", "un.txt")
    made.repository.save("2026-11-24 15:43:12", "deux.txt")
    with made.read() as marie:
        found = links(marie.get(page_of()).text)
        hours = [said for said in found if said.startswith("16")]
        assert hours == ["16\u00a0h\u00a043\u00a0min\u00a002\u00a0s", "16\u00a0h\u00a043\u00a0min\u00a012\u00a0s"]
        assert "un.txt" in links(marie.get(found[hours[0]]).text)
