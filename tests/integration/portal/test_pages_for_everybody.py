"""Every page with axe, in light and dark, narrow, enlarged, in forced colours, without motion."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import quote

import pytest

from appliance.lab.stories.portal import SCREENSHOTS
from tests.integration.portal.browsing import open_as, tab_to, violations
from tests.integration.portal.world import PASSWORD, World, wait_until

PAGES = {
    "home": "/",
    "search": "/retrouver",
    "found": "/retrouver?q=permis",
    "nothing found": "/retrouver?q=introuvable",
    "file": "/fichier/docs-a?chemin={budget}",
    "folder": "/dossier/docs-a",
    "deleted": "/supprimes",
    "attack": "/attaque",
    "hit": "/attaque/docs-a",
    "requests": "/demandes",
    "request": "{order}",
    "view": "{view}",
    "comparison": "{comparison}",
    "failure": "/nulle-part",
    "accessibility": "/accessibilite",
    "notice": "/mentions",
    "map": "/plan",
}


@pytest.fixture(scope="module")
def pages(world: World) -> dict[str, str]:
    """Each page's address, once something was asked for."""
    visitor, path = world.visit("marie"), quote(world.archived("Budget 2026.txt"))
    new, old = (f"docs-a {archive} {path}" for archive in ("wednesday", "monday"))
    known = {
        "budget": path,
        "order": visitor.submit("/demandes", quoi=new, action="copy").headers["location"],
        "view": visitor.submit("/voir", quoi=new).headers["location"],
        "comparison": visitor.submit("/comparer", avant=old, apres=new).headers["location"],
    }
    wait_until(lambda: "<del>" in visitor.get(known["comparison"]).text, "two versions are compared")
    return {name: address.format(**known) for name, address in PAGES.items()}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_no_fault_in_light_dark_or_at_320_pixels(
    browser: Any, world: World, pages: dict[str, str], name: str
) -> None:
    page = open_as(browser, world, "marie")
    page.goto(pages[name])
    if folder := os.environ.get(SCREENSHOTS):
        page.screenshot(path=f"{folder}/{name.replace(' ', '-')}.png", full_page=True)
    assert violations(page) == []
    page.emulate_media(color_scheme="dark")
    assert violations(page) == []
    assert page.locator("h1").count() == 1
    assert page.locator("html").get_attribute("lang") == "fr"
    # A usual screen, 1280 pixels wide, enlarged to 400 %.
    page.set_viewport_size({"width": 320, "height": 256})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    controls = "[...document.querySelectorAll('button, select, input:not([type=hidden]):not([type=checkbox])')]"
    heights = page.evaluate(f"{controls}.filter(it => it.offsetParent).map(it => it.offsetHeight)")
    assert min(heights, default=44) >= 44, "a finger needs 44 pixels"
    assert [fault for fault in page.faults if "404" not in fault] == []
    page.context.close()


def test_where_one_signs_in_has_no_fault_before_and_after_a_mistake(browser: Any, world: World) -> None:
    page = open_as(browser, world)
    page.goto("/")
    assert page.url.endswith("/connexion")
    assert violations(page) == []
    page.fill("#identifiant", "personne")
    page.fill("#secret", "rien du tout")
    page.fill("#code", "000000")
    page.get_by_role("button", name="Se connecter").click()
    assert page.get_by_role("alert").inner_text().startswith("L'identifiant, le mot de passe ou le code")
    assert violations(page) == []
    page.emulate_media(color_scheme="dark")
    assert violations(page) == []
    page.context.close()


def test_in_forced_colours_and_without_motion_everything_is_there_and_still(browser: Any, world: World) -> None:
    page = open_as(browser, world, "marie", forced_colors="active", reduced_motion="reduce")
    page.goto("/")
    assert violations(page) == []
    tab_to(page, "Retrouver un fichier")
    moves = "it => parseFloat(getComputedStyle(it).transitionDuration) > 0"
    assert not page.evaluate(f"[...document.querySelectorAll('*')].some({moves})")
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
    page.get_by_role("button", name="Continuer").click()
    notice.wait_for(state="hidden")
    page.context.close()


@pytest.mark.parametrize("language", ["fr", "en"])
def test_pages_are_in_the_language_that_was_chosen(browser: Any, world: World, language: str) -> None:
    page = open_as(browser, world, "marie")
    page.goto("/")
    if language == "en":
        page.get_by_role("link", name="English").click()
    assert page.locator("html").get_attribute("lang") == language
    assert (
        page.locator("h1").inner_text()
        == {"fr": "Que voulez-vous faire ?", "en": "What would you like to do?"}[language]
    )
    page.context.close()
