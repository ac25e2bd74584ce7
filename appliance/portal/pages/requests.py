"""What somebody wants back: asked for here, carried out by the worker, shown until it is done, downloaded, undone."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import Route

from appliance.portal.base.failures import PageFailure
from appliance.portal.base.site import Visit
from appliance.portal.desk import Desk
from appliance.portal.ordering import find, own, place, read_wish
from appliance.restore.carry import ask_again
from appliance.restore.order import Kind, order_folder, reached, result_of
from appliance.restore.undoing import Undoing

KINDS: dict[str, Kind] = {"in-place": "in-place", "copy": "download", "folder": "folder"}
SHOWN_MAX = 200


@dataclass(frozen=True)
class Orders:
    desk: Desk

    def routes(self) -> Iterable[Route]:
        page = self.desk.site.page
        yield page("/demandes", self.all)
        yield page("/demandes", self.ask, method="POST")
        yield page("/demandes/{id}", self.one)
        yield page("/demandes/{id}/fichier", self.download)
        yield page("/demandes/{id}/annuler", self.undo, method="POST")
        yield page("/demandes/{id}/reprendre", self.again, method="POST")

    def all(self, visit: Visit) -> Response:
        with self.desk.seen(visit) as seen:
            found = sorted(own(self.desk, visit, seen), key=lambda it: it.order.created_utc_seconds, reverse=True)
            return self.desk.site.render(
                visit, "orders.html", found=found[:SHOWN_MAX], standings=self.desk.standings(seen)
            )

    def ask(self, visit: Visit) -> Response:
        kind = KINDS.get(visit.form.text("action"))
        wishes = {read_wish(words) for words in visit.form.quoted_words("quoi")}
        if kind is None or not wishes:
            raise PageFailure(400, "nothing-chosen")
        with self.desk.seen(visit) as seen:
            orders = place(self.desk, visit, seen, kind, wishes)
        return RedirectResponse(f"/demandes/{orders[0].id}" if len(orders) == 1 else "/demandes", 303)

    def one(self, visit: Visit) -> Response:
        with self.desk.seen(visit) as seen:
            placed = find(self.desk, visit, seen, visit.parameters["id"])
            orders = self.desk.lookup.orders(placed.order.service)
            return self.desk.site.render(
                visit,
                "order-changed.html" if visit.part else "order.html",
                order=placed.order,
                status=placed.status,
                share=placed.share,
                standing=self.desk.standing(seen, placed.share),
                reached=reached(order_folder(orders, placed.order.id)),
                undoing=Undoing(orders, placed.order.id).state,
            )

    def download(self, visit: Visit) -> Response:
        with self.desk.seen(visit) as seen:
            order = find(self.desk, visit, seen, visit.parameters["id"]).order
            file = result_of(self.desk.lookup.orders(order.service), order.id)
            self.desk.record(visit, "downloaded", service=order.service, order=order.id)
            name = os.fsencode(file.name).decode("utf-8", "replace")
            # Always saved and never shown: what it holds was written by anybody.
            return FileResponse(file, filename=name, media_type="application/octet-stream")

    def undo(self, visit: Visit) -> Response:
        with self.desk.seen(visit) as seen:
            placed = find(self.desk, visit, seen, visit.parameters["id"])
            order, undoing = placed.order, Undoing(self.desk.lookup.orders(placed.order.service), placed.order.id)
            # Whoever asks twice is led to the page that says that it is undone, or on its way.
            if placed.status.state != "undone" and undoing.state != "asked":
                if placed.status.state != "ready" or order.kind == "download":
                    raise PageFailure(400)
                self.desk.record(visit, "undone", service=order.service, order=order.id)
                undoing.ask()
        return RedirectResponse(f"/demandes/{order.id}", 303)

    def again(self, visit: Visit) -> Response:
        """Let an order that failed go on from where it stopped."""
        with self.desk.seen(visit) as seen:
            order = find(self.desk, visit, seen, visit.parameters["id"]).order
            self.desk.record(visit, "asked-again", service=order.service, order=order.id)
            ask_again(self.desk.lookup.orders(order.service), order.id)
        return RedirectResponse(f"/demandes/{order.id}", 303)
