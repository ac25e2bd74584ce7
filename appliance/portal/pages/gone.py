"""The second door: what was deleted from a share, newest first, whole folders too."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from starlette.responses import Response
from starlette.routing import Route

from appliance.portal.base.site import Visit
from appliance.portal.desk import Desk
from appliance.restore.everywhere import find_gone
from appliance.restore.scope import Scope

PER_PAGE, PAGES_MAX = 50, 1000


@dataclass(frozen=True)
class GonePage:
    desk: Desk

    def routes(self) -> Iterable[Route]:
        yield self.desk.site.page("/supprimes", self.show)

    def show(self, visit: Visit) -> Response:
        wanted, number = visit.query.text("partage"), min(visit.query.number("page", 1), PAGES_MAX) or 1
        with self.desk.seen(visit) as seen:
            shares = {wanted: seen.one(wanted)[0]} if wanted else seen.shares
            scope = Scope({service: seen.scope.of(service) for service in shares})
            offset = (number - 1) * PER_PAGE
            found = find_gone(seen.catalogues, scope, limit=PER_PAGE, offset=offset)
            self.desk.record(visit, "saw-deleted", services=sorted(shares), page=number)
            return self.desk.site.render(
                visit,
                "gone.html",
                found=found,
                shares=seen.shares,
                wanted=wanted,
                number=number,
                standings=self.desk.standings(seen),
            )
