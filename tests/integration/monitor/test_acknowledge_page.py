"""The page behind the link of a letter: to open it changes nothing, its button takes care of the alert, once."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from appliance.accounts.model import Store
from appliance.accounts.store import write_store
from appliance.monitor.duty.service import PATH
from appliance.monitor.duty.tokens import Asked, make_token
from appliance.portal.build import build
from appliance_lab.processes.catcher import Catcher
from tests.integration.monitor.sites import ALERTMANAGER, Site, sites, tell
from tests.waiting import wait_until
from tests.worlds.demo import signed_territory

NAME = "DisqueMalade"
pytestmark = pytest.mark.skipif(not ALERTMANAGER.exists(), reason="Alertmanager is not installed")


@dataclass(frozen=True)
class World:
    """A browser without an account before the pages of a monitoring node at which an alert fires."""

    site: Site
    client: TestClient
    mark: str
    watch: Path

    def link(self, person: str) -> str:
        return PATH + self.site.token(person, self.mark)

    def press(self, link: str) -> int:
        """The status of the answer to the button on the page at `link`."""
        token = self.client.get("/connexion").text.partition('name="jeton" value="')[2].partition('"')[0]
        answer = self.client.post(link, data={"jeton": token}, headers={"Origin": "http://localhost"})
        return int(answer.status_code)

    def taken_by(self) -> str:
        return str(self.site.firing()[NAME]["by"])


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    layout = signed_territory(tmp_path / "made").open("commune-a").layout
    write_store(layout.accounts, Store("commune-a"))
    with Catcher() as catcher, sites(tmp_path, 1, alice=catcher.url, bob=catcher.url) as [site]:
        layout.watch.write_text(json.dumps({"queue": site.queue}))
        tell((site,), NAME)
        wait_until(lambda: NAME in site.firing(), "it fires")
        client = TestClient(build(layout), base_url="http://localhost")
        yield World(site, client, site.firing()[NAME]["fingerprint"], layout.watch)


def test_opening_the_link_changes_nothing_and_the_button_takes_care_of_it_once(world: World) -> None:
    link = world.link("alice")
    for _ in range(2):
        page = world.client.get(link)
        assert (page.status_code, "Je m'en occupe" in page.text.replace("&#39;", "'")) == (200, True)
    world.client.head(link)
    assert world.taken_by() == "", "a scanner of mails opens links"
    assert world.client.post(link, headers={"Origin": "http://elsewhere"}).status_code == 403
    assert world.taken_by() == "", "the form of another page"
    assert (world.press(link), world.taken_by()) == (200, "alice")
    assert (world.press(world.link("bob")), world.taken_by()) == (200, "alice"), "it stays hers"
    assert "Alice Martin" in world.client.get(world.link("bob")).text


def test_a_forged_link_nobody_of_the_team_and_a_queue_that_is_away_are_one_sentence_each(world: World) -> None:
    forged = PATH + make_token(b"x" * 32, Asked("alice", (world.mark,), time.time()))
    for link, status, said in (
        (forged, 403, "Ce lien n'est pas valable"),
        (PATH + "x", 403, "Ce lien n'est pas valable"),
        (world.link("mallory"), 403, "ne figure plus"),
        (PATH + world.site.token("alice", "0" * 16), 410, "Cette alerte est finie"),
    ):
        page = world.client.get(link)
        assert (page.status_code, said in page.text.replace("&#39;", "'")) == (status, True), link
        assert world.press(link) == status
    world.watch.write_text(json.dumps({"queue": "http://127.0.0.1:9"}))
    page = world.client.get(world.link("alice"))
    assert (page.status_code, "Réessayez dans une minute" in page.text) == (503, True)
    world.watch.unlink()
    assert world.client.get(world.link("alice")).status_code == 404, "this node watches nothing"
    world.watch.write_text(json.dumps({"queue": world.site.queue}))
    assert world.taken_by() == ""
