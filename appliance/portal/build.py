"""The portal of one node, put together: places, accounts, pages."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache, partial
from pathlib import Path
from zoneinfo import ZoneInfo

from starlette.routing import Route
from starlette.types import ASGIApp

from appliance.accounts.model import Store
from appliance.accounts.service import AccountService
from appliance.clock import Clock, SystemClock
from appliance.host.layout import NodeLayout
from appliance.portal.base.app import application
from appliance.portal.base.database import Database
from appliance.portal.base.entrance import Entrance
from appliance.portal.base.journal import ChainedJournal
from appliance.portal.base.sessions import Sessions
from appliance.portal.base.sign_in import ANSWER_SECONDS, Authenticator, Stores
from appliance.portal.base.templates import Templates
from appliance.portal.base.web_app import WebApp
from appliance.portal.dashboard import pages as dashboards
from appliance.portal.dashboard.acknowledge import Acknowledge
from appliance.portal.dashboard.pages import Dashboard
from appliance.portal.dashboard.targets import ADDRESS
from appliance.portal.lookup import Lookup
from appliance.portal.page_context import PageContext
from appliance.portal.pages.attack import AttackPage
from appliance.portal.pages.file import File
from appliance.portal.pages.find import Find
from appliance.portal.pages.folder import Folder
from appliance.portal.pages.gone import GonePage
from appliance.portal.pages.home import PLACES, Home
from appliance.portal.pages.published import Published
from appliance.portal.pages.requests import Orders
from appliance.portal.pages.views import Views

TEMPLATES = Path(__file__).parent / "templates"
PAGES = (Home, Find, File, Folder, GonePage, AttackPage, Orders, Views, Published, Acknowledge, Dashboard)


def build(
    layout: NodeLayout, *, names: Collection[str] = (), secure: bool = False, answer_seconds: float = ANSWER_SECONDS
) -> ASGIApp:
    """The application of the node in `layout`, asked by one of `names`; `secure` when it is reached by TLS."""
    lookup = Lookup(layout)
    web_app = make_web_app(lookup, SystemClock(), secure=secure, answer_seconds=answer_seconds)
    return application(web_app, routes(web_app, lookup), names)


def make_web_app(
    lookup: Lookup, clock: Clock, *, secure: bool = False, answer_seconds: float = ANSWER_SECONDS
) -> WebApp:
    """Return the common state of the pages: the people who may come in, where visits are written down, how pages
    look."""
    database = Database(lookup.paths.database)
    node, territory = lookup.territory()
    stores = stores_of(lookup.layout, node)
    return WebApp(
        clock=clock,
        zone=ZoneInfo(territory.timezone),
        templates=Templates(
            TEMPLATES,
            places=PLACES,
            territory=territory.title,
            contact=territory.contact,
            node=node,
            dashboards=(ADDRESS, dashboards.NAME),
            watches=partial(dashboards.watches, lookup),
        ),
        authenticator=Authenticator(database, stores, answer_seconds=answer_seconds),
        sessions=Sessions(database, stores),
        journal=ChainedJournal(lookup.paths.journal, clock),
        secure=secure,
    )


def routes(web_app: WebApp, lookup: Lookup) -> list[Route]:
    """Every page that can be asked for."""
    context = PageContext(web_app, lookup)
    return [route for part in (Entrance(web_app), *(page(context) for page in PAGES)) for route in part.routes()]


def stores_of(layout: NodeLayout, node: str) -> Stores:
    """The accounts of `node`, and of those that it stands in for, as they are at each call."""
    service = AccountService(layout.accounts, node, syncs=False)

    @lru_cache(maxsize=1)
    def read(marks: tuple[object, ...]) -> tuple[Store, ...]:
        return (service.own, *service.others.values())

    # To read them costs as much as to make a page, and they change some times a year. A store is replaced whole.
    return lambda: read(service.marks)
