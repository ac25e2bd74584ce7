"""The first page: links to the three ways to get files back, and how each share is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from starlette.responses import Response
from starlette.routing import Route

from appliance.portal.base.web_app import Page, Visit
from appliance.portal.page_context import PageContext

PLACES = (
    ("/", "Accueil"),
    ("/retrouver", "Retrouver un fichier"),
    ("/supprimes", "Fichiers supprimés"),
    ("/attaque", "Mes fichiers ne s'ouvrent plus"),
    ("/demandes", "Mes demandes"),
)
OPEN_TO_EVERYBODY = (
    ("/accessibilite", "Déclaration d'accessibilité", "accessibility.html"),
    ("/mentions", "Mentions", "mentions.html"),
    ("/plan", "Plan du site", "site-map.html"),
)


@dataclass(frozen=True)
class Home:
    context: PageContext

    def routes(self) -> Iterable[Route]:
        yield self.context.web_app.page("/", self.show)
        for path, _, template in OPEN_TO_EVERYBODY:
            yield self.context.web_app.page(path, self._plain(template), everybody=True)

    def show(self, visit: Visit) -> Response:
        with self.context.seen(visit) as seen:
            return self.context.web_app.render(visit, "home.html", standings=self.context.standings(seen))

    def _plain(self, template: str) -> Page:
        return lambda visit: self.context.web_app.render(visit, template, pages=OPEN_TO_EVERYBODY)
