"""The pages of one node without a server, over a catalogue of names that were never files: what a page is asked for
alone is asked for here, in a second."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
from starlette.testclient import TestClient

from appliance.accounts.model import Store
from appliance.accounts.store import write_store
from appliance.borg.model import Archive, Item
from appliance.clock import SystemClock
from appliance.config.load import load
from appliance.host.layout import NodeLayout
from appliance.portal.base.app import application
from appliance.portal.base.forms import quoted
from appliance.portal.base.person import Person
from appliance.portal.build import make_web_app, routes
from appliance.portal.copies_age import Freshness
from appliance.portal.lookup import Lookup
from appliance.portal.opened import Opened, save
from appliance.portal.paths import PortalPaths
from appliance.restore.catalogue import catch_up
from appliance.restore.schema import open_catalogue
from appliance_lab.processes.territory import ProcessTerritory
from tests.integration.portal.world import NODE
from tests.unit.restore.memory_repository import MemoryRepository, item
from tests.worlds.accounts import account
from tests.worlds.demo import INVENTORY

SHARE = "srv/docs-a"
SAFE = Freshness(time.time(), 2, 2, 86_400)


class Dated(MemoryRepository):
    """Archives that were made when it is said."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.at: dict[str, float] = {}

    def save(self, moment: str, *paths: str, rewritten: bool = False) -> str:
        """Save the share with these files at `moment`, UTC; the archive's name. `rewritten`: all at that moment."""
        at = datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()
        folders = {"/".join(path.split("/")[:depth]) for path in paths for depth in range(1, path.count("/") + 1)}
        items: list[Item] = [item(it, 0, "folder") for it in (SHARE, *(f"{SHARE}/{it}" for it in sorted(folders)))]
        name = self.add(
            [*items, *(replace(item(f"{SHARE}/{it}", 10), mtime_seconds=at if rewritten else 0.0) for it in paths)]
        )
        self.at[name] = at
        return name

    def archives(self) -> tuple[Archive, ...]:
        return tuple(Archive(name, f"id-{name}", self.at[name]) for name in self.kept)


@dataclass(frozen=True)
class Small:
    layout: NodeLayout
    repository: Dated

    @contextmanager
    def read(self, fresh: Freshness | None = SAFE) -> Iterator[TestClient]:
        """A browser of marie's before the pages, once a worker has read what was saved."""
        file = self.layout.root / "catalogue.db"
        with closing(open_catalogue(file)) as catalogue:
            catch_up(catalogue, self.repository)
            save(PortalPaths.of(self.layout).opened, {"docs-a": Opened(file, fresh)})
            lookup = Lookup(self.layout)
            web_app = make_web_app(lookup, SystemClock())
            token = web_app.sessions.begin(Person("marie", "Marie", {NODE: ()}), time.time())
            app = application(web_app, routes(web_app, lookup))
            with TestClient(app, "http://localhost", follow_redirects=False, cookies={"portail": token}) as client:
                yield client


def small(root: Path) -> Small:
    territory = ProcessTerritory(root / "territory", load(INVENTORY))
    territory.create()
    territory.sign((NODE,))
    layout = territory.nodes[NODE].layout
    write_store(layout.accounts, Store(NODE, {"marie": account("marie")}))
    return Small(layout, Dated(root / "repository"))


def page_of(*names: str, kind: str = "dossier") -> str:
    """The address of a folder of the share, or of a file."""
    return f"/{kind}/docs-a?chemin={quoted('/'.join((SHARE, *names)))}"


def submit(client: TestClient, address: str, **fields: object) -> httpx.Response:
    """Submit a form of ours to `address`."""
    token = client.get("/").text.partition('name="jeton" value="')[2].partition('"')[0]
    return client.post(address, data={"jeton": token, **fields}, headers={"Origin": "http://localhost"})


def links(text: str) -> dict[str, str]:
    """Where each link of a page leads, by what it says."""
    found = re.findall(r'<a [^>]*?href="([^"]*)"[^>]*>(.*?)</a>', text, re.DOTALL)
    return {html.unescape(re.sub(r"<[^>]*>", "", said)).strip(): html.unescape(address) for address, said in found}
