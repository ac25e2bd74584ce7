"""The deleted files of a share, newest first, whole folders too."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from starlette.responses import Response
from starlette.routing import Route

from appliance.portal.base.web_app import Visit
from appliance.portal.page_context import PageContext
from appliance.restore.everywhere import find_gone
from appliance.restore.scope import Scope

PER_PAGE, PAGES_MAX = 50, 1000


@dataclass(frozen=True)
class GonePage:
    context: PageContext

    def routes(self) -> Iterable[Route]:
        yield self.context.web_app.page("/supprimes", self.show)

    def show(self, visit: Visit) -> Response:
        wanted, number = visit.query.text("partage"), min(visit.query.number("page", 1), PAGES_MAX) or 1
        with self.context.seen(visit) as seen:
            shares = {wanted: seen.one(wanted)[0]} if wanted else seen.shares
            scope = Scope({service: seen.scope.of(service) for service in shares})
            offset = (number - 1) * PER_PAGE
            found = find_gone(seen.catalogues, scope, limit=PER_PAGE, offset=offset)
            self.context.record(visit, "saw-deleted", services=sorted(shares), page=number)
            return self.context.web_app.render(
                visit,
                "gone.html",
                found=found,
                shares=seen.shares,
                wanted=wanted,
                number=number,
                standings=self.context.standings(seen),
            )
