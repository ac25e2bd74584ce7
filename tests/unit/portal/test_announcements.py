"""A change while somebody looks is said in a place that stays: once for each change, and not for each look."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

import appliance.portal
from appliance.portal.base.forms import parse
from appliance.portal.base.language import Words
from appliance.portal.base.templates import Templates
from appliance.portal.base.web_app import Visit
from appliance.portal.requesting import Placed
from appliance.portal.shares import Share
from appliance.restore.preview.difference import Line
from appliance.restore.preview.model import Preview
from appliance.restore.request import Reached, RestoreRequest, Status

TEMPLATES = Templates(Path(appliance.portal.__file__).parent / "templates")
SAID = 'hx-swap-oob="innerHTML:#annonce"'
ORDER = RestoreRequest("0" * 32, "marie", "docs-a", "download", "monday", 0.0, ("srv/docs/plan.pdf",), "srv/docs", 0.0)
NOWHERE = Reached()
SHARE = Share("docs-a", "Documents", "Attichy", ("srv/docs",))


def look(query: str = "") -> Visit:
    return Visit("/", parse(query.encode()), parse(b""), Words("fr", ZoneInfo("Europe/Paris")), 0.0, "", part=True)


def changed(status: Status, reached: Reached = NOWHERE, *, undoing: str = "", told: str = "") -> str:
    """Return what a page gets that was last given `told`."""
    values = {"order": ORDER, "share": SHARE, "status": status, "reached": reached, "undoing": undoing}
    return TEMPLATES.render(look(f"dit={told}"), "order-changed.html", **values)


@pytest.mark.parametrize(
    ("status", "reached", "undoing", "told", "says"),
    [
        (Status("waiting"), NOWHERE, "", "waiting", ""),
        (Status("running"), NOWHERE, "", "waiting", "En cours."),
        (Status("running"), NOWHERE, "", "running", ""),
        (Status("running"), Reached(10, 100), "", "running", "En cours."),
        (Status("running"), Reached(24, 100), "", "running0", ""),
        (Status("running"), Reached(30, 100), "", "running0", "En cours, à 25 % environ."),
        (Status("running"), Reached(49, 100), "", "running1", ""),
        (Status("running"), Reached(120, 100), "", "running1", "En cours, à 100 % environ."),
        (Status("ready", result="plan.pdf", size=9), NOWHERE, "", "running4", "C&#39;est prêt."),
        (
            Status("ready", raw=(("srv/agenda.sqlite", "0"),)),
            NOWHERE,
            "",
            "running4",
            "C&#39;est prêt, mais peut être abîmé",
        ),
        (Status("ready", result="plan.pdf", size=9), NOWHERE, "asked", "readyasked", ""),
        (Status("undone"), NOWHERE, "", "readyasked", "Annulé"),
        (Status("failed", cause="NoSpace"), NOWHERE, "", "running2", "Il n&#39;y a plus assez de place"),
    ],
)
def test_an_order_is_told_when_it_changes_and_not_at_each_look(
    status: Status, reached: Reached, undoing: str, told: str, says: str
) -> None:
    page = changed(status, reached, undoing=undoing, told=told)
    assert (SAID in page) == bool(says)
    assert says in page.partition(SAID)[2]


def test_the_next_look_brings_what_was_told_last() -> None:
    page = changed(Status("running"), Reached(30, 100), told="waiting")
    assert f'hx-get="/demandes/{ORDER.id}?dit=running1"' in page
    assert SAID not in changed(Status("running"), Reached(31, 100), told="running1")


@pytest.mark.parametrize(
    ("made", "says"),
    [("0", "prenez plutôt la version du "), ("", "aucune version meilleure n&#39;est connue")],
    ids=["an older copy", "no copy"],
)
def test_a_database_that_could_not_be_copied_is_said_to_be_damaged_perhaps(made: str, says: str) -> None:
    page = changed(Status("ready", raw=(("srv/app/agenda.sqlite", made),)))
    told = page.partition("Peut être abîmé : cette base de données")[2]
    assert "agenda.sqlite : " in told
    assert says in told
    assert ('href="/fichier/docs-a?chemin=srv' in told) == bool(made)


@pytest.mark.parametrize(("age_seconds", "milliseconds"), [(0, 300), (9, 300), (10, 1000), (86400, 1000)])
def test_a_young_order_is_looked_at_more_often(age_seconds: float, milliseconds: int) -> None:
    request = dataclasses.replace(ORDER, created_utc_seconds=-age_seconds)
    values = {"order": request, "share": SHARE, "status": Status(), "reached": NOWHERE, "undoing": ""}
    page = TEMPLATES.render(look(), "order-part.html", **values)
    assert f'hx-trigger="every {milliseconds}ms"' in page


@pytest.mark.parametrize("state", ["waiting", "running", "ready", "failed", "undone", "expired"])
def test_the_focus_finds_its_place_again_whatever_came(state: str) -> None:
    page = changed(dataclasses.replace(Status(), state=state))
    assert page.count('id="suite"') == 1
    assert ('<a id="suite"' in page) == (state in ("waiting", "running")), "never on what brings something about"


@pytest.mark.parametrize(
    ("preview", "says"),
    [
        (None, ""),
        (Preview("text", text="Bonjour"), "Cette version est là."),
        (Preview("none", "locked"), "Ce document a un mot de passe"),
        (Preview("none", "busy"), "Rechargez cette page dans une minute."),
        (Preview("none", "too-slow"), "Ce fichier ne peut pas être montré ici."),
    ],
)
def test_that_a_version_arrived_is_told(preview: Preview | None, says: str) -> None:
    placed = Placed(ORDER, Status("ready"), SHARE)
    page = TEMPLATES.render(look(), "view-part.html", placed=placed, preview=preview, picture="", number=1)
    assert (SAID in page) == bool(says)
    assert says in page.partition(SAID)[2]
    assert page.count('id="suite"') == 1


@pytest.mark.parametrize(
    ("lines", "waiting", "says"),
    [
        (None, True, ""),
        (None, False, "ne peuvent pas être comparées"),
        ((), False, "Le texte de ces deux versions est le même."),
        ((Line("gone", "90"),), False, "1 ligne n&#39;est pas la même."),
        ((Line("same", "x"), Line("gone", "90"), Line("new", "95"), Line("skipped")), False, "2 lignes ne sont pas"),
    ],
)
def test_that_two_versions_are_compared_is_told(lines: tuple[Line, ...] | None, waiting: bool, says: str) -> None:
    both = [Placed(ORDER, Status("ready"), SHARE)] * 2
    page = TEMPLATES.render(look(), "compare-part.html", both=both, waiting=waiting, busy=False, lines=lines)
    assert (SAID in page) == bool(says)
    assert says in page.partition(SAID)[2]
    assert page.count('id="suite"') == 1
