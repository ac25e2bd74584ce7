"""A restore request of a person: made here, carried out by the worker, shown until it is done, downloaded, undone."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import Route

from appliance.portal.base.failures import PageFailure
from appliance.portal.base.web_app import Visit
from appliance.portal.page_context import PageContext
from appliance.portal.requesting import find, own, place, read_wanted
from appliance.restore.process import ask_again
from appliance.restore.request import Kind, reached, request_folder, result_of
from appliance.restore.undo_request import UndoRequest

KINDS: dict[str, Kind] = {"in-place": "in-place", "copy": "download", "folder": "folder"}
SHOWN_MAX = 200


@dataclass(frozen=True)
class Orders:
    context: PageContext

    def routes(self) -> Iterable[Route]:
        page = self.context.web_app.page
        yield page("/demandes", self.all)
        yield page("/demandes", self.ask, method="POST")
        yield page("/demandes/{id}", self.one)
        yield page("/demandes/{id}/fichier", self.download)
        yield page("/demandes/{id}/annuler", self.undo, method="POST")
        yield page("/demandes/{id}/reprendre", self.again, method="POST")

    def all(self, visit: Visit) -> Response:
        with self.context.seen(visit) as seen:
            found = sorted(own(self.context, visit, seen), key=lambda it: it.order.created_utc_seconds, reverse=True)
            return self.context.web_app.render(
                visit, "orders.html", found=found[:SHOWN_MAX], standings=self.context.standings(seen)
            )

    def ask(self, visit: Visit) -> Response:
        kind = KINDS.get(visit.form.text("action"))
        wanted = {read_wanted(words) for words in visit.form.quoted_words("quoi")}
        if kind is None or not wanted:
            raise PageFailure(400, "nothing-chosen")
        with self.context.seen(visit) as seen:
            orders = place(self.context, visit, seen, kind, wanted)
        return RedirectResponse(f"/demandes/{orders[0].id}" if len(orders) == 1 else "/demandes", 303)

    def one(self, visit: Visit) -> Response:
        with self.context.seen(visit) as seen:
            placed = find(self.context, visit, seen, visit.parameters["id"])
            requests = self.context.lookup.requests(placed.order.service)
            return self.context.web_app.render(
                visit,
                "order-changed.html" if visit.part else "order.html",
                order=placed.order,
                status=placed.status,
                share=placed.share,
                standing=self.context.standing(seen, placed.share),
                reached=reached(request_folder(requests, placed.order.id)),
                undoing=UndoRequest(requests, placed.order.id).state,
            )

    def download(self, visit: Visit) -> Response:
        with self.context.seen(visit) as seen:
            request = find(self.context, visit, seen, visit.parameters["id"]).order
            file = result_of(self.context.lookup.requests(request.service), request.id)
            self.context.record(visit, "downloaded", service=request.service, order=request.id)
            name = os.fsencode(file.name).decode("utf-8", "replace")
            # Always saved and never shown: what it holds was written by anybody.
            return FileResponse(file, filename=name, media_type="application/octet-stream")

    def undo(self, visit: Visit) -> Response:
        with self.context.seen(visit) as seen:
            placed = find(self.context, visit, seen, visit.parameters["id"])
            request, undo = (
                placed.order,
                UndoRequest(self.context.lookup.requests(placed.order.service), placed.order.id),
            )
            # A person who asks twice gets the page that says that it is undone, or on its way.
            if placed.status.state != "undone" and undo.state != "asked":
                if placed.status.state != "ready" or request.kind == "download":
                    raise PageFailure(400)
                self.context.record(visit, "undone", service=request.service, order=request.id)
                undo.ask()
        return RedirectResponse(f"/demandes/{request.id}", 303)

    def again(self, visit: Visit) -> Response:
        """Let an order that failed go on from where it stopped."""
        with self.context.seen(visit) as seen:
            request = find(self.context, visit, seen, visit.parameters["id"]).order
            self.context.record(visit, "asked-again", service=request.service, order=request.id)
            ask_again(self.context.lookup.requests(request.service), request.id)
        return RedirectResponse(f"/demandes/{request.id}", 303)
