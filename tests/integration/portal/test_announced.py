"""A part that changes by itself is announced: in a place that stays while the rest is swapped, once for each change. A
person on « Actualiser » meanwhile, by keyboard, is not thrown back to the top of the page."""

from __future__ import annotations

from typing import Any

from appliance.restore.request import Reached, Status, save_status, tell
from tests.integration.portal.browsing import open_as, tab_to
from tests.integration.portal.world import World

FILE = "Conseil/2026/Ordre du jour.txt"
LISTEN = """() => {
  const place = document.querySelector("[role=status]"), said = () => place.innerText.trim();
  window.place = place;
  window.heard = [said()];
  const hear = () => { if (said() && said() !== window.heard.at(-1)) window.heard.push(said()); };
  window.changes = 0;
  new MutationObserver(() => { window.changes += 1; hear(); })
    .observe(place, {childList: true, subtree: true, characterData: true});
}"""
STAYED = "window.place === document.querySelector('[role=status]') && document.contains(window.place)"
LOOKS = """() => new Promise((done) => {
  let looks = 0;
  document.body.addEventListener("htmx:afterSwap", () => { looks += 1; if (looks === 3) done(looks); });
})"""


def stand_and_wait(page: Any, address: str) -> None:
    """Stand on « Actualiser » while the page at `address` looks three times, and hear what it says from then on."""
    page.goto(address)
    page.evaluate(LISTEN)
    tab_to(page, "Actualiser")
    assert page.evaluate(LOOKS) == 3


def test_an_order_tells_each_change_once_and_keeps_the_focus(browser: Any, world: World) -> None:
    page = open_as(browser, world, "marie")
    with world.held(FILE, Status("waiting")) as folder:
        stand_and_wait(page, f"/demandes/{folder.root.name}")
        assert page.evaluate("window.changes") == 0, "what did not change is not said again"
        assert page.evaluate("document.activeElement.innerText") == "Actualiser"
        for reached in (Reached(), Reached(30, 100, 1), Reached(80, 100, 2)):
            save_status(folder, Status("running", "extracting"))
            tell(folder, reached)
            said = page.get_by_role("status").get_by_text(_progress(reached))
            said.wait_for()
            assert page.evaluate("document.activeElement.innerText") == "Actualiser"
        save_status(folder, Status("failed", cause="NoSpace"))
        page.get_by_role("status").get_by_text("plus assez de place").wait_for()
        assert page.evaluate("document.activeElement.id") == "suite"
        tab_to(page, "Recommencer", "BUTTON")
        heard = page.evaluate("window.heard")
        assert [it[:24] for it in heard] == [
            "Votre demande attend son",
            "En cours. Vous pouvez fe",
            "En cours, à 25 % environ",
            "En cours, à 75 % environ",
            "Il n'y a plus assez de p",
        ]
        assert page.evaluate(STAYED)
    assert page.faults == []
    page.context.close()


def test_a_version_is_announced_when_it_arrives_and_the_focus_is_brought_to_it(browser: Any, world: World) -> None:
    page = open_as(browser, world, "marie")
    with world.held(FILE, Status("waiting")) as folder:
        stand_and_wait(page, f"/voir/{folder.root.name}")
        assert page.evaluate("document.activeElement.innerText") == "Actualiser"
    page.get_by_label("Texte de cette version").wait_for()
    assert page.evaluate("window.heard") == ["Cette version arrive.", "Cette version est là."]
    assert page.evaluate(STAYED)
    assert page.evaluate("document.activeElement.id") == "suite"
    tab_to(page, "1. Le budget")
    assert page.faults == []
    page.context.close()


def test_two_versions_are_announced_when_they_are_compared(browser: Any, world: World) -> None:
    page = open_as(browser, world, "marie")
    with world.held(FILE, Status("waiting")) as one, world.held(FILE, Status("waiting")) as other:
        page.goto(f"/comparer/{one.root.name}/{other.root.name}")
        page.evaluate(LISTEN)
        tab_to(page, "Actualiser")
    page.get_by_role("status").get_by_text("Le texte de ces deux versions est le même.").wait_for()
    heard = ["Ces versions arrivent.", "Le texte de ces deux versions est le même."]
    assert page.evaluate("window.heard") == heard
    assert page.evaluate(STAYED)
    assert page.evaluate("document.activeElement.id") == "suite"
    tab_to(page, "Toutes les versions de ce fichier", "A")
    assert page.faults == []
    page.context.close()


def test_what_was_searched_is_announced_without_leaving_the_field(browser: Any, world: World) -> None:
    page = open_as(browser, world, "marie")
    page.goto("/retrouver")
    page.evaluate(LISTEN)
    tab_to(page, "Une partie du nom", "INPUT")
    for typed in ("budget", " introuvable"):
        page.keyboard.type(typed)
        page.keyboard.press("Enter")
        said = "1 fichier trouvé." if typed == "budget" else "Aucun fichier ne porte ce nom."
        page.get_by_role("status").get_by_text(said).wait_for()
    assert page.evaluate(STAYED)
    assert page.evaluate("document.activeElement.id") == "q"
    page.context.close()


def _progress(reached: Reached) -> str:
    percent = 100 * reached.done_bytes // reached.total_bytes // 25 * 25 if reached.total_bytes else 0
    return f"à {percent} % environ" if percent else "En cours. Vous pouvez fermer"
