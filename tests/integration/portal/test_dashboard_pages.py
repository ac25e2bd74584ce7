"""The dashboards of twenty towns in a real browser: for the maintenance team alone, by keyboard, narrow, without JS."""

from __future__ import annotations

import json
import os
import re
import socket
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance.clock import SystemClock
from appliance.portal.base.journal import ChainedJournal
from appliance.portal.dashboard import history, observations
from appliance.portal.dashboard.history import History
from appliance.portal.dashboard.targets import ADDRESS, Target
from appliance.portal.dashboard.watch import Watcher
from appliance_lab.bench.watched import serving
from appliance_lab.stories.promises import SCREENSHOTS
from tests.integration.portal.browsing import WAYS, check_whole, click, open_as, tab_to, violations
from tests.integration.portal.dashboards import HERE, Large, large, unwell
from tests.integration.portal.exporters import LOOPBACK, answering, measured, nobody
from tests.integration.portal.world import World
from tests.pace import in_time
from tests.unit.portal.dashboard_cases import observed, whole
from tests.waiting import wait_until

SECONDS_MAX = 0.3
PAGES = {
    "territory": ADDRESS,
    "territory map": f"{ADDRESS}/carte",
    "service": f"{ADDRESS}/services/docs-attichy",
    "service of a day": f"{ADDRESS}/services/docs-attichy?depuis=jour",
    "silent machine": f"{ADDRESS}/machines/attichy",
    "machine": f"{ADDRESS}/machines/hermitage",
    "runbook": f"{ADDRESS}/fiches/SiteInjoignable",
}


@pytest.fixture(scope="module")
def towns(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Large]:
    with large(tmp_path_factory.mktemp("towns")) as made:
        yield made


@pytest.fixture(autouse=True)
def lately(towns: Large) -> None:
    """The worker has looked just now, whatever a test before this one has left."""
    plan, now = towns.territory.territory, time.time()
    observations.save(towns.places.seen, observed(unwell(plan), now))


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_no_fault_in_light_dark_or_at_320_pixels(browser: Any, towns: Large, name: str) -> None:
    page = open_as(browser, towns, "regis")
    assert page.goto(PAGES[name]).status == 200
    if folder := os.environ.get(SCREENSHOTS):
        page.screenshot(path=f"{folder}/{name.replace(' ', '-')}.png", full_page=True)
    assert violations(page) == []
    page.emulate_media(color_scheme="dark")
    assert violations(page) == []
    assert page.locator("h1").count() == 1
    for width in (1280, 1024, 320):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.faults == []
    page.context.close()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_whole_and_the_keyboard_comes_everywhere(browser: Any, towns: Large, name: str, way: str) -> None:
    page = open_as(browser, towns, "regis", **WAYS[way])
    page.goto(PAGES[name])
    check_whole(page, way)
    page.context.close()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_in_english_has_no_fault(browser: Any, towns: Large, name: str) -> None:
    page = open_as(browser, towns, "regis")
    page.context.add_cookies([{"name": "langue", "value": "en", "url": towns.address}])
    page.goto(PAGES[name])
    assert page.locator("html").get_attribute("lang") == "en"
    assert violations(page) == []
    page.context.close()


def test_a_look_is_written_down_once_for_a_kind_of_page_and_a_refusal_is_none(towns: Large) -> None:
    def told() -> list[tuple[str, str]]:
        entries = ChainedJournal(towns.places.journal, SystemClock()).entries()
        return [(it["account"], it["page"]) for it in entries if it["event"] == "saw-dashboard"]

    regis = towns.visit("regis")
    for _ in range(3):
        for path in PAGES.values():
            assert regis.get(path).status_code == 200
    once = ("territory", "map", "service", "machine", "runbook")
    assert [told().count(("regis", kind)) for kind in once] == [told().count(("regis", "map"))] * len(once)
    before = told()
    assert regis.get(ADDRESS).status_code == 200
    assert towns.visit("marie").get(ADDRESS).status_code == 403
    assert told() == before


@pytest.mark.parametrize("path", [*PAGES.values(), f"{ADDRESS}/services/nothing", f"{ADDRESS}/fiches/Nothing"])
def test_who_does_not_maintain_this_node_is_refused_whatever_there_is(towns: Large, path: str) -> None:
    answer = towns.visit("marie").get(path)
    assert answer.status_code == 403
    assert "Vous n&#39;avez pas accès à cette page." in answer.text
    assert "Attichy" not in answer.text
    assert towns.visit().get(path).headers["location"] == "/connexion"
    assert ADDRESS not in towns.visit("marie").get("/").text, "nothing leads there"


@pytest.mark.parametrize(
    "path",
    ["/services/nothing", "/machines/nothing", "/fiches/Nothing", "/fiches/README", "/fiches/..%2fREADME", "/nothing"],
)
def test_what_is_not_there_is_not_found(towns: Large, path: str) -> None:
    assert towns.visit("regis").get(f"{ADDRESS}{path}").status_code == 404


def test_where_nobody_watches_there_is_no_dashboard(world: World) -> None:
    assert world.visit("regis").get(ADDRESS).status_code == 404
    assert world.visit("marie").get(ADDRESS).status_code == 403
    assert ADDRESS not in world.visit("regis").get("/").text


def test_the_worst_town_is_first_and_its_remedy_is_found_by_keyboard(browser: Any, towns: Large) -> None:
    page = open_as(browser, towns, "regis")
    page.goto("/")
    tab_to(page, "Le territoire")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    first = page.locator("table.wide tbody tr").first
    assert "Berneuil-sur-Aisne" in first.inner_text()
    assert "en panne" in first.inner_text()
    tab_to(page, "Berneuil-sur-Aisne")
    page.keyboard.press("Enter")
    section = page.get_by_role("region", name="Berneuil-sur-Aisne")
    assert "plus vieille que trois fois le RPO" in section.inner_text()
    assert "Que faire" in section.inner_text()
    tab_to(page, "Fiche SauvegardeTresEnRetard")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert page.locator("h1").inner_text() == "SauvegardeTresEnRetard"
    assert "appliance backup run SERVICE" in page.locator("main").inner_text()
    page.context.close()


def test_a_silent_machine_says_since_when_and_nothing_of_it_is_taken_for_the_present(
    browser: Any, towns: Large
) -> None:
    page = open_as(browser, towns, "regis", java_script_enabled=False)
    page.goto(ADDRESS)
    section = page.get_by_role("region", name="Attichy").inner_text()
    assert "Silence depuis" in section
    assert "Appelez la mairie" in section
    row = page.locator("table.wide tbody tr", has=page.get_by_role("link", name="Attichy", exact=True)).inner_text()
    assert row.count("inconnu") == 2, "power and heat"
    page.goto(f"{ADDRESS}/machines/attichy")
    states = page.locator("#controles tbody tr").evaluate_all("rows => rows.map(it => it.dataset.state)")
    assert set(states) == {"unknown"}
    page.context.close()


def test_every_chart_has_its_values_in_a_table_and_a_gap_is_unknown(browser: Any, towns: Large) -> None:
    page = open_as(browser, towns, "regis", java_script_enabled=False)
    page.goto(PAGES["service"])
    charts = page.locator(".charts section")
    assert charts.count() == 5
    for number in range(5):
        chart = charts.nth(number)
        assert chart.locator("svg polyline").count() == 2, "a gap breaks the line"
        assert chart.locator("svg circle").count() == 28
        chart.locator("summary").click()
        rows = chart.locator("tbody tr")
        assert rows.count() == 31
        assert rows.filter(has_text="inconnu").count() == 3
    page.context.close()


def test_while_prometheus_is_down_the_present_goes_on_and_history_is_said_to_be_missing(
    browser: Any, towns: Large
) -> None:
    plan, now, paths = towns.territory.territory, time.time(), towns.places
    kept = history.load(paths.history)
    observations.save(paths.seen, observed({**whole(plan), "prometheus": "silent"}, now))
    history.save(paths.history, History(now, "refused."))
    try:
        page = open_as(browser, towns, "regis")
        page.goto(ADDRESS)
        text = page.locator("main").inner_text()
        assert "l'historique et les alertes manquent" in text
        assert "Tout va bien." in text
        cells = page.locator("table.wide tbody tr td:last-child").all_inner_texts()
        assert set(cells) == {"inconnu"}, "not 0"
        page.goto(PAGES["service"])
        assert "L'historique manque" in page.locator("main").inner_text()
        assert page.locator(".charts").count() == 0
        assert re.search(r"[23] pour 2 promises", page.locator("main").inner_text())
        assert violations(page) == []
        page.context.close()
    finally:
        history.save(paths.history, kept)


def test_when_nobody_looks_any_more_everything_is_unknown_and_it_is_said(towns: Large) -> None:
    fresh = observations.load(towns.places.seen)
    observations.save(towns.places.seen, replace(fresh, at=fresh.at - 300))
    text = towns.visit("regis").get(ADDRESS).text
    assert "Personne ne regarde plus le territoire depuis" in text
    towns.places.seen.unlink()
    text = towns.visit("regis").get(ADDRESS).text
    assert "encore regardé le territoire" in text


def test_what_a_node_says_is_text_and_nothing_else(browser: Any, towns: Large) -> None:
    plan, evil = towns.territory.territory, '"><b>gras</b>'
    words = unwell(plan)
    words["nodes"]["jaulzy"]["checks"] = {f"damage held {evil}": "failed", f"{evil} node jaulzy": "failed"}
    words["nodes"]["bitry"] = {"silent": "never"}
    words["alerts"] = [{"name": evil, "labels": {"node": "jaulzy", "severity": evil}}]
    observations.save(towns.places.seen, observed(words, time.time()))
    page = open_as(browser, towns, "regis")
    for path in (ADDRESS, f"{ADDRESS}/machines/jaulzy"):
        assert page.goto(path).status == 200
        assert evil in page.locator("main").inner_text()
        assert page.locator("main b").count() == 0
        assert page.faults == []
    page.context.close()


def test_in_english_the_words_and_the_remedies_are_english(browser: Any, towns: Large) -> None:
    page = open_as(browser, towns, "regis")
    page.goto(ADDRESS)
    click(page, "link", "English")
    text = page.locator("main").inner_text()
    assert "Call the town hall: is there power?" in text
    assert "need looking after" in text
    assert violations(page) == []
    page.goto(PAGES["runbook"])
    assert page.locator("main div[lang=fr]").count() == 1
    assert "Nothing of this machine answers" in page.locator("main").inner_text()
    page.context.close()


def test_in_forced_colours_and_with_large_text_states_are_still_words(browser: Any, towns: Large) -> None:
    page = open_as(browser, towns, "regis", forced_colors="active", reduced_motion="reduce")
    page.goto(ADDRESS)
    assert violations(page) == []
    assert page.locator("table.wide tbody tr").first.get_by_text("en panne").count() >= 1
    page.context.close()


@pytest.mark.parametrize("name", ["territory", "territory map", "service", "machine"])
def test_a_page_of_twenty_towns_comes_within_its_time(towns: Large, name: str) -> None:
    visitor, spent = towns.visit("regis"), []
    for _ in range(7):
        began = time.monotonic()
        assert visitor.get(PAGES[name]).status_code == 200
        spent.append(time.monotonic() - began)
    assert in_time(statistics.median(spent), SECONDS_MAX), f"{HERE}: {spent}"


def test_a_page_is_whole_while_the_worker_writes(towns: Large) -> None:
    """It is renamed into place: no visit ever sees half of it."""
    plan = towns.territory.territory
    visitor, end = towns.visit("regis"), time.monotonic() + 2
    while time.monotonic() < end:
        observations.save(towns.places.seen, observed(unwell(plan), time.time()))
        assert "Berneuil" in visitor.get(ADDRESS).text
    wait_until(lambda: visitor.get(ADDRESS).status_code == 200, "the pages answer")


def test_the_worker_fetches_the_history_and_says_when_there_is_none(towns: Large, tmp_path: Path) -> None:
    """As it works behind the pages, in the folder of a real node, with ports of its own."""
    layout, watcher = towns.territory.nodes[HERE].layout, Watcher(towns.state)
    kept, service = history.load(towns.places.history), f"{ADDRESS}/services/docs-attichy"

    def look(prometheus: Target) -> str:
        where = {"agents": {"attichy": f"http://{LOOPBACK}:{port}/metrics"}, "prometheus": _url(prometheus)}
        layout.watch.write_text(json.dumps(where))
        watcher.look()
        return towns.visit("regis").get(service).text

    try:
        with serving(measured(tmp_path / "sheet", "attichy")) as port, answering(_prometheus) as prometheus:
            assert "Demandé à Prometheus le" in look(prometheus)
            assert "L&#39;historique manque" in look(nobody())
            assert "Demandé à Prometheus le" in look(prometheus), "at once, and not in five minutes"
            seen_now = observations.load(towns.places.seen)
            assert seen_now.nodes["attichy"].agent.answers
            assert [it.name for it in seen_now.prometheus.alerts] == ["SiteInjoignable"]
            assert "Cette machine répond." in towns.visit("regis").get(f"{ADDRESS}/machines/attichy").text
    finally:
        layout.watch.unlink()
        history.save(towns.places.history, kept)


def _url(target: Target) -> str:
    return f"http://{target.address}:{target.port}"


def _prometheus(line: socket.socket) -> None:
    """Answer both questions: an alert, and a history of nothing."""
    labels = {"alertname": "SiteInjoignable", "severity": "critical", "node": "jaulzy"}
    alert = {"state": "firing", "labels": labels, "annotations": {}, "activeAt": "2026-11-25T11:00:00Z"}
    body = json.dumps({"data": {"alerts": [alert], "result": []}}).encode()
    line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
