"""The search: a part of a name, one row a file. Each row leads to the versions of that file (`file.py`)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from starlette.responses import Response
from starlette.routing import Route

from appliance.portal.base.web_app import Visit
from appliance.portal.page_context import PageContext
from appliance.restore.everywhere import Hits, find
from appliance.restore.model import Found

TERM_MAX = 200


@dataclass(frozen=True)
class Find:
    context: PageContext

    def routes(self) -> Iterable[Route]:
        yield self.context.web_app.page("/retrouver", self.search)

    def search(self, visit: Visit) -> Response:
        term = visit.query.text("q", TERM_MAX).strip()
        found: Hits[Found] | None = None
        with self.context.seen(visit) as seen:
            if term:
                found = find(seen.catalogues, seen.scope, term)
                self.context.record(visit, "searched", term=term, hits=len(found.hits), more=found.more)
            if visit.part:
                return self.context.web_app.render(visit, "find-part.html", term=term, found=found, shares=seen.shares)
            standings = self.context.standings(seen)
            return self.context.web_app.render(
                visit, "find.html", term=term, found=found, shares=seen.shares, standings=standings
            )
