"""The other language is that of the very page one reads, with what was asked of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.portal.small import SHARE, Small, links, page_of, small

ODD = "été 100 % \udce9 &.txt"


@pytest.fixture
def made(tmp_path: Path) -> Small:
    made = small(tmp_path)
    made.repository.save("2026-11-24 07:00", "Conseil/ordre du jour.odt", ODD)
    return made


def test_the_other_language_leads_back_to_the_same_file_folder_and_search(made: Small) -> None:
    with made.read() as marie:
        for address, holds in (
            (page_of(ODD, kind="fichier"), "1 version"),
            (page_of("Conseil"), "as it was on"),
            ("/retrouver?q=ordre+du+jour", "1 file found."),
        ):
            back = marie.get(links(marie.get(address).text)["English"])
            assert back.headers["location"] == address
            assert holds in marie.get(back.headers["location"]).text
            marie.cookies.pop("langue")


def test_a_search_that_changes_the_address_changes_the_link_too(made: Small) -> None:
    with made.read() as marie:
        part = marie.get("/retrouver?q=ordre", headers={"HX-Request": "true"}).text
        assert 'id="langue" hx-swap-oob="true"' in part
        assert marie.get(links(part)["English"]).headers["location"] == "/retrouver?q=ordre"


def test_from_the_answer_to_a_form_and_from_elsewhere_it_leads_to_a_page_of_ours(made: Small) -> None:
    with made.read() as marie:
        refused = marie.post("/voir", data={"quoi": f"docs-a a1 {SHARE}"}, headers={"Origin": "http://localhost"})
        assert refused.status_code == 403
        assert marie.get(links(refused.text)["English"]).headers["location"] == "/"
        for elsewhere in ("//elsewhere.example/?a=b", "/%5Celsewhere.example"):
            assert "elsewhere" not in marie.get(f"/langue/en?retour={elsewhere}").headers["location"]
        assert marie.get(f"/nulle-part?q={'x' * 5000}").text.count('retour=/"') == 1
