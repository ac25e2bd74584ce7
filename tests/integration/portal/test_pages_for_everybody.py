"""Every page with axe, in light and dark, in both languages, narrow, enlarged, in forced colours, without JavaScript,
and by keyboard alone: the declaration of accessibility says so, in these words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import quote

import pytest

from appliance.portal.base.limits import PER_NAME, PER_NAME_EVERYWHERE
from appliance.restore.request import Reached, Status
from appliance_lab.stories.promises import SCREENSHOTS
from tests.integration.portal.browsing import WAYS, check_whole, click, open_as, tab_to, violations
from tests.integration.portal.world import PASSWORD, World
from tests.waiting import wait_until

PAGES = {
    "sign in": "/connexion",
    "home": "/",
    "search": "/retrouver",
    "found": "/retrouver?q=permis",
    "nothing found": "/retrouver?q=introuvable",
    "file": "/fichier/docs-a?chemin={budget}",
    "folder": "/dossier/docs-a",
    "deleted": "/supprimes",
    "deleted from several": "/supprimes",
    "attack": "/attaque",
    "hit": "/attaque/docs-a",
    "requests": "/demandes",
    "request": "{order}",
    "running request": "/demandes/{running}",
    "failed request": "/demandes/{failed}",
    "coming view": "/voir/{running}",
    "view": "{view}",
    "comparison": "{comparison}",
    "failure": "/nulle-part",
    "accessibility": "/accessibilite",
    "notice": "/mentions",
    "map": "/plan",
    "published": "/publies",
}
WHO = {"sign in": "", "deleted from several": "regis"}
"""The visitor of each page that marie, who looks after one share alone, does not visit."""


@pytest.fixture(scope="module")
def pages(world: World) -> Iterator[dict[str, str]]:
    """Each page's address, once something was asked for; one request goes on and one has failed as long as they are
    looked at."""
    visitor, path = world.visit("marie"), quote(world.archived("Budget 2026.txt"))
    new, old = (f"docs-a {archive} {path}" for archive in ("wednesday", "monday"))
    with ExitStack() as stack:
        running = stack.enter_context(
            world.held("Conseil/2026/Ordre du jour.txt", Status("running", "extracting"), Reached(30, 100, 3))
        )
        failed = stack.enter_context(world.held("registre.csv", Status("failed", cause="NoSpace")))
        known = {
            "budget": path,
            "order": visitor.submit("/demandes", quoi=new, action="copy").headers["location"],
            "running": running.root.name,
            "failed": failed.root.name,
            "view": visitor.submit("/voir", quoi=new).headers["location"],
            "comparison": visitor.submit("/comparer", avant=old, apres=new).headers["location"],
        }
        wait_until(lambda: "<del>" in visitor.get(known["comparison"]).text, "two versions are compared")
        yield {name: address.format(**known) for name, address in PAGES.items()}


def look_at(browser: Any, world: World, pages: dict[str, str], name: str, **options: Any) -> Any:
    page = open_as(browser, world, WHO.get(name, "marie"), **options)
    assert page.goto(pages[name]).status == (404 if name == "failure" else 200)
    assert page.locator("h1").count() == 1
    return page


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_no_fault_in_light_and_in_dark(browser: Any, world: World, pages: dict[str, str], name: str) -> None:
    page = look_at(browser, world, pages, name)
    if folder := os.environ.get(SCREENSHOTS):
        page.screenshot(path=f"{folder}/{name.replace(' ', '-')}.png", full_page=True)
    assert violations(page) == []
    page.emulate_media(color_scheme="dark")
    assert violations(page) == []
    assert page.locator("html").get_attribute("lang") == "fr"
    assert [fault for fault in page.faults if "404" not in fault] == []
    page.context.close()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_in_english_has_no_fault(browser: Any, world: World, pages: dict[str, str], name: str) -> None:
    page = open_as(browser, world, WHO.get(name, "marie"))
    page.context.add_cookies([{"name": "langue", "value": "en", "url": world.address}])
    page.goto(pages[name])
    assert page.locator("html").get_attribute("lang") == "en"
    assert violations(page) == []
    page.context.close()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_whole_and_the_keyboard_comes_everywhere(
    browser: Any, world: World, pages: dict[str, str], name: str, way: str
) -> None:
    page = look_at(browser, world, pages, name, **WAYS[way])
    check_whole(page, way)
    page.context.close()


def test_where_one_signs_in_has_no_fault_after_a_mistake_and_after_too_many(browser: Any, world: World) -> None:
    page = open_as(browser, world)
    page.goto("/")
    assert page.url.endswith("/connexion")
    for says in ("L'identifiant, le mot de passe ou le code", "Trop d'essais. Réessayez dans"):
        page.fill("#identifiant", "personne")
        page.fill("#secret", "rien du tout")
        page.fill("#code", "000000")
        page.get_by_role("button", name="Se connecter").click()
        page.get_by_role("alert").get_by_text(says).wait_for()
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert violations(page) == []
        # From one address only so many may try one name, and all of them together no more.
        for number in range(1, PER_NAME_EVERYWHERE // PER_NAME + 1):
            outsider = world.visit(source=f"127.0.2.{number}")
            for _ in range(PER_NAME - 1 if number == 1 else PER_NAME):
                outsider.sign_in("personne", "rien du tout", "000000")
    page.context.close()


def test_the_first_stop_of_the_keyboard_leads_past_the_menu(browser: Any, world: World) -> None:
    page = open_as(browser, world, "marie")
    page.goto("/")
    tab_to(page, "Aller au contenu")
    page.keyboard.press("Enter")
    tab_to(page, "Retrouver un fichier")
    assert page.evaluate("document.activeElement.closest('main') !== null")
    page.context.close()


def test_a_person_signs_in_by_keyboard_alone(browser: Any, world: World) -> None:
    page = open_as(browser, world)
    page.goto("/connexion")
    for field, typed in (
        ("identifiant", "lucie"),
        ("secret", PASSWORD),
        ("code", world.people["lucie"].codes.pop()),
    ):
        while page.evaluate("document.activeElement.id") != field:
            page.keyboard.press("Tab")
        page.keyboard.type(typed)
    page.keyboard.press("Enter")
    page.wait_for_url("**/")
    assert page.locator("h1").inner_text() == "Que voulez-vous faire ?"
    page.context.close()


def test_a_session_says_before_it_ends_and_goes_on(browser: Any, world: World) -> None:
    page = open_as(browser, world, "marie")
    page.clock.install()
    page.goto("/")
    notice = page.locator("#fin")
    assert notice.is_hidden()
    page.clock.fast_forward("28:30")
    notice.wait_for()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert violations(page) == []
    page.get_by_role("button", name="Continuer").click()
    notice.wait_for(state="hidden")
    page.context.close()


@pytest.mark.parametrize("language", ["fr", "en"])
def test_pages_are_in_the_language_that_was_chosen(browser: Any, world: World, language: str) -> None:
    page = open_as(browser, world, "marie")
    page.goto("/")
    if language == "en":
        click(page, "link", "English")
    assert page.locator("html").get_attribute("lang") == language
    assert (
        page.locator("h1").inner_text()
        == {"fr": "Que voulez-vous faire ?", "en": "What would you like to do?"}[language]
    )
    page.context.close()
