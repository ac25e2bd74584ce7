"""The page behind the link of a letter: what the alert is, and a button by which its person takes care of it.

It needs no account, since the person reads the letter on a telephone at night: the token in the link names the person
and the alerts, and the queue of this node checks it. To open the page changes nothing: mail scanners open links.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from appliance.errors import Refused, Unreachable
from appliance.monitor.duty.queue_client import ask
from appliance.monitor.duty.service import PATH
from appliance.monitor.duty.tokens import TOKENS
from appliance.portal.base.failures import PageFailure
from appliance.portal.base.web_app import Visit
from appliance.portal.dashboard.targets import is_watching, queue
from appliance.portal.page_context import PageContext

FORGED, SILENT = "forged", "silent"
NOTHING: Mapping[str, Any] = {"open": [], "taken": [], "done": False, "title": ""}
STATUSES = {FORGED: 403, SILENT: 503, "unknown": 403, "over": 410, "used": 410}


@dataclass(frozen=True)
class Acknowledge:
    context: PageContext

    def routes(self) -> Iterable[Route]:
        page, path = self.context.web_app.page, f"{PATH}{{token}}"
        yield page(path, self.look, everybody=True, waits=True)
        yield page(path, self.take, method="POST", everybody=True, waits=True)

    def look(self, visit: Visit) -> Response:
        return self._page(visit, "GET")

    def take(self, visit: Visit) -> Response:
        return self._page(visit, "POST")

    def _page(self, visit: Visit, method: str) -> Response:
        lookup = self.context.lookup
        node, territory = lookup.territory()
        if not is_watching(lookup.layout, node, territory):
            raise PageFailure(404)
        try:
            told = ask(f"{queue(lookup.layout)}{TOKENS}{visit.parameters['token']}", method)
            reason = str(told["reason"])
        except Refused:
            told, reason = NOTHING, FORGED
        except Unreachable:
            told, reason = NOTHING, SILENT
        if told["done"] and told["open"]:
            self.context.web_app.journal.write(
                "acknowledged", account=told["person"], alerts=[it["fingerprint"] for it in told["open"]]
            )
        status = STATUSES.get(reason, 200)
        return self.context.web_app.render(
            visit,
            "dashboard/acknowledge.html",
            status,
            told=told,
            reason=reason,
            address=f"{PATH}{visit.parameters['token']}",
        )
