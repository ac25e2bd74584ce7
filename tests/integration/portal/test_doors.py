"""The three doors, each by keyboard alone in a real browser, and each without JavaScript."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.integration.portal.browsing import click, open_as, tab_to, violations
from tests.integration.portal.world import ODD, VICTIMS, World
from tests.waiting import wait_until

WRONG = "Recettes : 100\nDépenses : 95\n"
RIGHT = "Recettes : 100\nDépenses : 90\n"


def test_a_file_is_found_put_back_and_the_restore_undone_by_keyboard(browser: Any, world: World) -> None:
    file = world.documents / "Budget 2026.txt"
    page = open_as(browser, world, "marie")
    page.goto("/")
    _press(page, "Retrouver un fichier")
    tab_to(page, "Une partie du nom", "INPUT")
    page.keyboard.type("BUDGÉT")
    page.keyboard.press("Enter")
    page.get_by_role("status").get_by_text("1 fichier trouvé").wait_for()
    _press(page, "Budget 2026.txt")
    assert page.locator("h1").inner_text() == "Budget 2026.txt"
    assert page.locator("h2").first.inner_text() == "2 versions"
    tab_to(page, "Remettre en place", "BUTTON")
    tab_to(page, "Remettre en place", "BUTTON")
    tab_to(page, "Enregistrer une copie", "BUTTON")
    tab_to(page, "Remettre en place", "BUTTON", key="Shift+Tab")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    page.get_by_text("C'est fait.").wait_for()
    assert file.read_text() == RIGHT
    _press(page, "Annuler", "BUTTON")
    page.get_by_text("Annulé").wait_for()
    assert file.read_text() == WRONG
    assert page.faults == []
    page.context.close()


def test_a_version_is_looked_at_and_compared_before_it_is_brought_back(browser: Any, world: World) -> None:
    page = open_as(browser, world, "marie")
    page.goto("/retrouver?q=budget")
    click(page, "link", "Budget 2026.txt")
    click(page, "button", "Voir")
    shown = page.get_by_label("Texte de cette version")
    shown.wait_for()
    assert shown.inner_text().strip() == RIGHT.strip()
    page.go_back()
    click(page, "button", "Comparer")
    page.get_by_role("region", name="Lignes changées").wait_for()
    assert page.locator("del").all_inner_texts() == ["Dépenses : 90"]
    assert page.locator("ins").all_inner_texts() == ["Dépenses : 95"]
    assert page.faults == []
    page.context.close()


def test_without_javascript_a_file_is_found_looked_at_compared_and_saved(
    browser: Any, world: World, tmp_path: Path
) -> None:
    page = open_as(browser, world, "marie", java_script_enabled=False)
    page.goto("/")
    click(page, "link", "Retrouver un fichier")
    page.get_by_label("Une partie du nom").fill("budget")
    click(page, "button", "Chercher")
    page.locator("#annonce", has_text="1 fichier trouvé").wait_for()
    click(page, "link", "Budget 2026.txt")
    click(page, "button", "Voir")
    _refresh_until(page, "Cette version est là.")
    assert page.get_by_label("Texte de cette version").inner_text().strip() == RIGHT.strip()
    click(page, "link", "Toutes les versions de ce fichier")
    click(page, "button", "Comparer")
    _refresh_until(page, "lignes ne sont pas les mêmes.")
    assert page.locator("del").all_inner_texts() == ["Dépenses : 90"]
    click(page, "link", "Toutes les versions de ce fichier")
    click(page, "button", "Enregistrer une copie")
    order = page.url
    _refresh_until(page, "C'est prêt.")
    with page.expect_download() as started:
        page.get_by_role("link", name="Enregistrer").click()
    started.value.save_as(tmp_path / "saved")
    assert (tmp_path / "saved").read_text() == RIGHT
    assert started.value.suggested_filename.startswith("Budget 2026 (version du ")
    assert order == page.url
    page.context.close()


def test_without_javascript_what_was_deleted_comes_back_and_that_is_undone(browser: Any, world: World) -> None:
    page = open_as(browser, world, "marie", java_script_enabled=False)
    found = world.documents / "registre.csv"
    assert not found.exists()
    page.goto("/")
    click(page, "link", "Voir les fichiers supprimés")
    page.get_by_role("checkbox", name="registre.csv").check()
    click(page, "button", "Remettre en place ce qui est coché")
    _refresh_until(page, "C'est fait.")
    assert found.stat().st_size == len("nom;date\n" * 200_000)
    click(page, "button", "Annuler")
    _refresh_until(page, "Annulé : tout est comme avant.")
    assert not found.exists()
    page.context.close()


def test_without_javascript_everything_comes_back_after_an_attack_and_that_is_undone(
    browser: Any, world: World
) -> None:
    page = open_as(browser, world, "marie", java_script_enabled=False)
    before = set(world.documents.iterdir())
    page.goto("/")
    click(page, "link", "Mes fichiers ne s'ouvrent plus")
    click(page, "link", "Voir la liste de ces fichiers")
    assert page.locator("tbody tr").count() == VICTIMS
    click(page, "link", "Revenir à la page d'avant")
    click(page, "button", "Récupérer tout dans un nouveau dossier")
    _refresh_until(page, "C'est fait.")
    (made,) = set(world.documents.iterdir()) - before
    assert len(list(made.rglob("Permis de construire *.odt"))) == VICTIMS
    click(page, "button", "Annuler")
    _refresh_until(page, "Annulé : tout est comme avant.")
    assert set(world.documents.iterdir()) == before
    page.context.close()


def test_what_was_deleted_is_ticked_and_comes_back_by_keyboard(browser: Any, world: World) -> None:
    page = open_as(browser, world, "marie")
    page.goto("/")
    _press(page, "Voir les fichiers supprimés")
    tab_to(page, "Conseil", "INPUT")
    page.keyboard.press("Space")
    assert page.get_by_role("checkbox", name="Conseil dossier entier").is_checked()
    _press(page, "Remettre en place ce qui est coché", "BUTTON")
    page.get_by_text("C'est fait.").wait_for()
    found = world.documents / "Conseil/2026/Délibération 12.txt"
    assert found.read_text() == "La délibération du conseil.\n"
    page.context.close()


def test_after_an_attack_everything_comes_back_beside_by_keyboard(browser: Any, world: World) -> None:
    page = open_as(browser, world, "marie")
    page.goto("/")
    _press(page, "Mes fichiers ne s'ouvrent plus")
    text = page.locator("main").inner_text()
    assert f"{VICTIMS} fichiers ont été changés ou effacés d'un coup" in text
    assert "La plupart se terminent maintenant par .verrouille" in text
    _press(page, "Voir la liste de ces fichiers")
    assert page.locator("tbody tr").count() == VICTIMS
    page.go_back()
    _press(page, "Récupérer tout dans un nouveau dossier", "BUTTON")
    page.get_by_text("C'est fait.").wait_for()
    (made,) = world.documents.glob("Retrouvé du*")
    assert len(list(made.rglob("Permis de construire *.odt"))) == VICTIMS
    assert len(list((world.documents / "Urbanisme/Permis").glob("*.verrouille"))) == VICTIMS, "today's files stay"
    page.context.close()


def test_with_the_agreement_of_the_maintenance_team_everything_comes_back_in_place_by_keyboard(
    browser: Any, world: World
) -> None:
    page = open_as(browser, world, "marie")
    page.goto("/attaque")
    assert page.get_by_role("button", name="Tout remettre en place").count() == 0
    assert "demande l'accord signé de la régie" in page.locator("main").inner_text()
    act = world.agree()
    try:
        wait_until(lambda: 'value="in-place"' in world.visit("marie").get("/attaque").text, "the page says so")
        for address in ("/dossier/docs-a", "/attaque"):
            page.goto(address)
            assert violations(page) == []
        permits = world.documents / "Urbanisme/Permis"
        before = sorted(permits.iterdir())
        _press(page, "Tout remettre en place", "BUTTON")
        page.get_by_text("C'est fait.").wait_for()
        assert len(list(permits.glob("*.odt"))) == VICTIMS
        _press(page, "Annuler", "BUTTON")
        page.get_by_text("Annulé").wait_for()
        assert sorted(permits.iterdir()) == before
    finally:
        act.unlink()
    page.context.close()


def test_a_folder_is_walked_from_day_to_day(browser: Any, world: World) -> None:
    page = open_as(browser, world, "marie")
    page.goto("/dossier/docs-a")
    assert page.get_by_role("link", name="Conseil").count() == 0, "it was deleted on the second day"
    while page.get_by_role("link", name="Jour d'avant").count():
        click(page, "link", "Jour d'avant")
    page.get_by_text("Choisir un jour dans le calendrier").click()
    assert page.locator(".calendar [aria-current=date]").count() == 1
    click(page, "link", "Conseil")
    click(page, "link", "2026")
    assert page.get_by_role("link", name="Délibération 12.txt").count() == 1
    click(page, "link", "Jour d'après")
    page.context.close()


def test_a_folder_is_saved_as_a_zip_whose_names_any_pc_can_write(browser: Any, world: World, tmp_path: Path) -> None:
    page = open_as(browser, world, "marie")
    page.goto("/dossier/docs-a")
    click(page, "link", "Photos")
    click(page, "button", "Enregistrer une copie")
    with page.expect_download() as started:
        page.get_by_role("link", name="Enregistrer").click()
    started.value.save_as(tmp_path / "saved.zip")
    names = zipfile.ZipFile(tmp_path / "saved.zip").namelist()
    assert "Photos/facture d'été _b_gras.txt" in names
    page.context.close()


def test_a_name_that_is_no_text_and_looks_like_a_tag_is_only_a_name(browser: Any, world: World) -> None:
    page = open_as(browser, world, "marie")
    page.goto("/retrouver?q=facture")
    shown = ODD.replace("\udce9", "\\xe9")
    click(page, "link", shown)
    assert page.locator("h1").inner_text() == shown
    assert page.locator("h1 b").count() == 0
    page.context.close()


@pytest.mark.parametrize("name", ["marie", "regis", "paul"])
def test_everybody_sees_their_own_shares_and_how_safe_they_are(browser: Any, world: World, name: str) -> None:
    page = open_as(browser, world, name)
    page.goto("/")
    seen = page.locator("section h3").all_inner_texts()
    a, b = "Documents de la commune A", "Documents de la commune B"
    wanted = {"marie": [a], "regis": [a, b], "paul": [b]}[name]
    assert [text.partition(" (")[0] for text in seen] == wanted
    text = page.locator("main").inner_text()
    assert ("En sécurité. Dernière copie sûre :" in text) == (a in wanted)
    assert "On peut revenir en arrière jusqu'au" in text
    page.context.close()


def _press(page: Any, text: str, tag: str = "") -> None:
    tab_to(page, text, tag)
    with page.expect_navigation():
        page.keyboard.press("Enter")


def _refresh_until(page: Any, text: str) -> None:
    """As somebody without JavaScript does: press « Actualiser » until it is there."""

    def is_there() -> bool:
        if not page.get_by_text(text).count():
            click(page, "link", "Actualiser")
        return bool(page.get_by_text(text).count())

    wait_until(is_there, text)
