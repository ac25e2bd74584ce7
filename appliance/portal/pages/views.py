"""« Voir » and « Comparer »: what an old version holds, before it is brought back.

Pages open no service, so a version is ordered like a download, and shown once it is there: by the worker without rights
that previews come from, as pictures and plain text.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass, field

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from appliance.portal.base.failures import PageFailure
from appliance.portal.base.web_app import Visit
from appliance.portal.page_context import PageContext, Seen
from appliance.portal.requesting import Placed, Wanted, find, own, place, read_wanted
from appliance.restore.preview.client import Previewer
from appliance.restore.preview.difference import difference
from appliance.restore.preview.model import Asked, Preview
from appliance.restore.request import result_of

PAGES_MAX = 10_000


@dataclass(frozen=True)
class Views:
    context: PageContext
    previewer: Previewer = field(default_factory=Previewer)

    def routes(self) -> Iterable[Route]:
        page = self.context.web_app.page
        yield page("/voir", self.ask, method="POST")
        yield page("/voir/{id}", self.show, waits=True)
        yield page("/comparer", self.ask_two, method="POST")
        yield page("/comparer/{before}/{after}", self.compare, waits=True)

    def ask(self, visit: Visit) -> Response:
        with self.context.seen(visit) as seen:
            name = self._ordered(visit, seen, read_wanted(visit.form.text("quoi", 16_384)))
        return RedirectResponse(f"/voir/{name}", 303)

    def show(self, visit: Visit) -> Response:
        with self.context.seen(visit) as seen:
            placed = find(self.context, visit, seen, visit.parameters["id"])
            number = min(visit.query.number("page", 1), PAGES_MAX)
            preview = self._preview(visit, placed, Asked(page=max(1, number)))
            picture = base64.b64encode(preview.picture).decode() if preview else ""
            template = "view-part.html" if visit.part else "view.html"
            return self.context.web_app.render(
                visit,
                template,
                placed=placed,
                standing=self.context.standing(seen, placed.share),
                preview=preview,
                picture=picture,
                number=max(1, number),
            )

    def ask_two(self, visit: Visit) -> Response:
        with self.context.seen(visit) as seen:
            before, after = (read_wanted(visit.form.text(name, 16_384)) for name in ("avant", "apres"))
            names = [self._ordered(visit, seen, item) for item in (before, after)]
        return RedirectResponse(f"/comparer/{names[0]}/{names[1]}", 303)

    def compare(self, visit: Visit) -> Response:
        with self.context.seen(visit) as seen:
            both = [find(self.context, visit, seen, visit.parameters[name]) for name in ("before", "after")]
            previews = [self._preview(visit, placed, Asked(text=True)) for placed in both]
            words = [preview.lines for preview in previews if preview and preview.kind != "none"]
            return self.context.web_app.render(
                visit,
                "compare-part.html" if visit.part else "compare.html",
                both=both,
                standing=self.context.standing(seen, both[0].share),
                waiting=None in previews,
                busy=any(preview and preview.why == "busy" for preview in previews),
                lines=difference(*words) if len(words) == len(both) else None,
            )

    def _ordered(self, visit: Visit, seen: Seen, item: Wanted) -> str:
        """The order that brings `item`: one that this person has already, else a new one."""
        for placed in own(self.context, visit, seen):
            same = (placed.order.service, placed.order.archive, placed.order.paths)
            if same == (item.service, item.archive, (item.path,)) and _serves(placed):
                return placed.order.id
        return place(self.context, visit, seen, "download", {item})[0].id

    def _preview(self, visit: Visit, placed: Placed, asked: Asked) -> Preview | None:
        """None while the version is on its way."""
        request = placed.order
        if placed.status.state in ("waiting", "running"):
            return None
        if placed.status.state != "ready" or request.kind != "download":
            raise PageFailure(404)
        self.context.record(visit, "viewed", service=request.service, order=request.id)
        with open(result_of(self.context.lookup.requests(request.service), request.id), "rb") as file:
            return self.previewer.preview(file, asked)


def _serves(placed: Placed) -> bool:
    return placed.order.kind == "download" and placed.status.state in ("waiting", "running", "ready")
