"""After an attack: from which day everything is still good, how much was hit, and all of it back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from starlette.responses import Response
from starlette.routing import Route

from appliance.portal.base.failures import PageFailure
from appliance.portal.base.web_app import Visit
from appliance.portal.page_context import PageContext
from appliance.restore.attack import attacks, hit_files

PER_PAGE, PAGES_MAX = 100, 1000


@dataclass(frozen=True)
class AttackPage:
    context: PageContext

    def routes(self) -> Iterable[Route]:
        yield self.context.web_app.page("/attaque", self.show)
        yield self.context.web_app.page("/attaque/{service}", self.files)

    def show(self, visit: Visit) -> Response:
        with self.context.seen(visit) as seen:
            found = [
                (share, standing, attacks(seen.catalogues[share.service], folders=share.folders))
                for share, standing in self.context.standings(seen)
            ]
            self.context.record(visit, "looked-for-attack", services=sorted(seen.shares))
            agreed = self.context.lookup.rewinds(seen.shares.values(), visit.now)
            return self.context.web_app.render(visit, "attack.html", found=found, agreed=agreed)

    def files(self, visit: Visit) -> Response:
        """The files of one share that the latest attack hit."""
        service, number = visit.parameters["service"], min(visit.query.number("page", 1), PAGES_MAX) or 1
        with self.context.seen(visit) as seen:
            share, catalogue = seen.one(service)
            found = next(iter(attacks(catalogue, folders=share.folders)), None)
            if found is None:
                raise PageFailure(404)
            offset = (number - 1) * PER_PAGE
            hit = hit_files(catalogue, found, folders=share.folders, limit=PER_PAGE, offset=offset)
            self.context.record(visit, "saw-hit", service=service, page=number)
            return self.context.web_app.render(
                visit,
                "hit.html",
                share=share,
                standing=self.context.standing(seen, share),
                attack=found,
                hit=hit,
                number=number,
                more=offset + len(hit) < found.hit,
            )
