"""Wherever somebody looks at a share, it is said when its last safe copy was made and how far back one can go."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

from appliance.portal.copies_age import Freshness
from appliance.units import DAY
from tests.integration.portal.small import SHARE, small, submit
from tests.integration.portal.world import World

NONE_SAFE = Freshness(None, 0, 2, DAY)


@pytest.mark.parametrize(
    "page",
    [
        *("/", "/retrouver?q=budget", "/supprimes", "/attaque", "/attaque/docs-a", "/dossier/docs-a"),
        *("/fichier/docs-a?chemin={path}", "/demandes", "{order}", "{view}", "{comparison}"),
    ],
)
def test_every_page_about_a_share_says_how_safe_it_is_and_how_far_back_one_can_go(world: World, page: str) -> None:
    marie = world.visit("marie")
    path = quote(world.archived("Budget 2026.txt"))
    new, old = (f"docs-a {archive} {path}" for archive in ("wednesday", "monday"))
    asked = {
        "{order}": ("/demandes", {"quoi": new, "action": "copy"}),
        "{view}": ("/voir", {"quoi": new}),
        "{comparison}": ("/comparer", {"avant": old, "apres": new}),
    }
    if page in asked:
        address, fields = asked[page]
        page = marie.submit(address, **fields).headers["location"]
    text = marie.get(page.format(path=path)).text
    assert text.count("Dernière copie sûre : ") == text.count("On peut revenir en arrière jusqu&#39;au ") == 1


def test_where_no_safe_copy_is_known_that_is_said(tmp_path: Path) -> None:
    made = small(tmp_path)
    made.repository.save("2026-11-24 07:00", "un.txt")
    for fresh, says in ((NONE_SAFE, "aucune n&#39;est connue"), (None, "On ne sait pas quand la dernière copie sûre")):
        with made.read(fresh) as marie:
            wish = f"docs-a a1 {SHARE}/un.txt"
            order = submit(marie, "/demandes", quoi=wish, action="copy").headers["location"]
            view = submit(marie, "/voir", quoi=wish).headers["location"]
            comparison = submit(marie, "/comparer", avant=wish, apres=wish).headers["location"]
            for page in ("/", "/demandes", order, view, comparison):
                assert marie.get(page).text.count(says) == 1, page
