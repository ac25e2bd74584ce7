"""The dashboards, for members of the group `regie` of a node that watches the territory, and for nobody else.

They show what the worker wrote down (`watch.py`) and ask nobody themselves: a page is as fast where half the territory
is silent.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from appliance.portal.base.failures import PageFailure
from appliance.portal.base.web_app import Page, Visit
from appliance.portal.dashboard import chart, history, observations, plan
from appliance.portal.dashboard.history import QUESTIONS, WINDOWS, History
from appliance.portal.dashboard.observations import Observations
from appliance.portal.dashboard.overview import NEVER_ASKED, Overview, judge
from appliance.portal.dashboard.reasons import checks_of, merged, of_node
from appliance.portal.dashboard.runbooks import runbook, said_of
from appliance.portal.dashboard.shown import QUESTIONS as TITLES
from appliance.portal.dashboard.shown import SPANS, Shown
from appliance.portal.dashboard.targets import ADDRESS, is_watching
from appliance.portal.dashboard.visits import Visits
from appliance.portal.lookup import Lookup
from appliance.portal.page_context import PageContext
from appliance.territory.model import Service, Territory

NAME = "Le territoire"


def watches(lookup: Lookup) -> bool:
    """Whether there are dashboards at this node: by its newest bundle."""
    node, territory = lookup.territory()
    return is_watching(lookup.layout, node, territory)


@dataclass(frozen=True)
class Look:
    """The state that one visit looks at."""

    node: str
    territory: Territory
    observed: Observations
    overview: Overview


@dataclass(frozen=True)
class Line:
    """The values of one measure of a service over time."""

    question: str
    values: history.Line
    promised: float | None
    chart: chart.Chart | None


@dataclass(frozen=True)
class Dashboard:
    context: PageContext
    visits: Visits = field(default_factory=Visits)

    def routes(self) -> Iterable[Route]:
        pages: dict[str, tuple[str, Page]] = {
            "": ("territory", self.show),
            "/carte": ("map", self.map),
            "/services/{service}": ("service", self.service),
            "/machines/{node}": ("machine", self.machine),
            "/fiches/{alert}": ("runbook", self.runbook),
        }
        for path, (kind, page) in pages.items():
            yield self.context.web_app.page(f"{ADDRESS}{path}", self._for_maintainers(kind, page))

    def show(self, visit: Visit) -> Response:
        return self._render(visit, "territory.html", self._look(visit))

    def map(self, visit: Visit) -> Response:
        look = self._look(visit)
        zones = [(zone, plan.sites_in(look.territory, zone)) for zone in look.territory.zones.values()]
        sites = sorted(look.territory.sites.values(), key=lambda it: it.title)
        return self._render(visit, "map.html", look, plan=plan.arrange(look.territory), sites=sites, zones=zones)

    def service(self, visit: Visit) -> Response:
        look, name = self._look(visit), visit.parameters["service"]
        found = next((it for it in look.overview.services if it.service.name == name), None)
        if found is None:
            raise PageFailure(404)
        window = visit.query.text("depuis") or next(iter(WINDOWS))
        if window not in WINDOWS:
            raise PageFailure(404)
        known = history.load(self.context.lookup.paths.history)
        return self._render(
            visit,
            "service.html",
            look,
            it=found,
            why=tuple(it for row in look.overview.rows for it in row.reasons if it.subject == name),
            window=window,
            spans=SPANS,
            history=known,
            moments=known.moments(window),
            lines=lines(known, window, found.service),
            questions=TITLES,
            width=chart.WIDTH,
            height=chart.HEIGHT,
            left=chart.LEFT,
            right=chart.RIGHT,
        )

    def machine(self, visit: Visit) -> Response:
        """The answers of a node itself: the same that `appliance doctor` gives there."""
        look, name = self._look(visit), visit.parameters["node"]
        if name not in look.territory.nodes:
            raise PageFailure(404)
        watched, fresh = look.observed.nodes.get(name, NEVER_ASKED), look.observed.is_fresh(visit.now)
        return self._render(
            visit,
            "machine.html",
            look,
            name=name,
            watched=watched,
            checks=checks_of(watched.agent),
            why=merged(of_node(name, watched, visit.now, fresh=fresh)),
        )

    def runbook(self, visit: Visit) -> Response:
        page = runbook(visit.parameters["alert"])
        if page is None:
            raise PageFailure(404)
        return self._render(visit, "runbook.html", self._look(visit), page=page)

    def _for_maintainers(self, kind: str, page: Page) -> Page:
        def guarded(visit: Visit) -> Response:
            node, _ = self.context.lookup.territory()
            if not visit.person.maintains(node):
                raise PageFailure(403)
            if not watches(self.context.lookup):
                raise PageFailure(404)
            if self.visits.is_new(visit.token, kind, visit.now):
                self.context.record(visit, "saw-dashboard", page=kind)
            return page(visit)

        return guarded

    def _look(self, visit: Visit) -> Look:
        node, territory = self.context.lookup.territory()
        observed = observations.load(self.context.lookup.paths.seen)
        return Look(node, territory, observed, judge(territory, observed, visit.now))

    def _render(self, visit: Visit, template: str, look: Look, **values: Any) -> Response:
        language = visit.words.language
        return self.context.web_app.render(
            visit,
            f"dashboard/{template}",
            look=look,
            show=Shown(visit.words),
            fresh=look.observed.is_fresh(visit.now),
            said=lambda alert: said_of(alert, language),
            has_page=lambda alert: runbook(alert) is not None,
            **values,
        )


def lines(known: History, window: str, service: Service) -> tuple[Line, ...]:
    """How `service` was, question by question."""
    promises = {
        "age": float(service.rpo_seconds),
        "copies": float(service.copies),
        "room": 1.0,
        "drill": float(service.rto_seconds),
    }
    return tuple(_line(known, window, service.name, question, promises.get(question)) for question in QUESTIONS)


def _line(known: History, window: str, service: str, question: str, promised: float | None) -> Line:
    values = known.line(window, question, service)
    drawn = chart.draw(known.moments(window), values, promised, of_time=question in ("age", "drill"))
    return Line(question, values, promised, drawn)
