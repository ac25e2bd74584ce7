"""A folder as it was at a moment: a calendar, arrows to the day before and after, and what it held."""

from __future__ import annotations

import calendar
import sqlite3
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from starlette.responses import Response
from starlette.routing import Route

from appliance.errors import NotFound
from appliance.portal.base.failures import PageFailure
from appliance.portal.base.web_app import Visit
from appliance.portal.page_context import PageContext, Seen, chosen_day
from appliance.restore.browse import Child, Moment, children, date_of, days, moment_of, moments
from appliance.restore.everywhere import find_versions

SHOWN_MAX = 2000


@dataclass(frozen=True)
class Days:
    """The days around `day`, which has versions; "" and None where there are none. `weeks`: (date, has versions)."""

    day: date
    before: date | None
    after: date | None
    weeks: tuple[tuple[tuple[date, bool], ...], ...]
    month_before: date | None
    month_after: date | None


@dataclass(frozen=True)
class Folder:
    context: PageContext

    def routes(self) -> Iterable[Route]:
        yield self.context.web_app.page("/dossier/{service}", self.show)

    def show(self, visit: Visit) -> Response:
        service = visit.parameters["service"]
        with self.context.seen(visit) as seen:
            share, catalogue = seen.one(service)
            path = visit.query.path("chemin") or share.folders[0]
            newest = _newest_with(seen, service, path)
            known = days(moments(catalogue), self.context.zone)
            # The very moment that a link names, or the last before it once it is kept no more.
            version, wanted = visit.query.text("version"), chosen_day(visit.query.text("jour"))
            moment = moment_of(catalogue, version) if version else _last_of(known, wanted) if wanted else newest
            if moment is None:
                raise PageFailure(404)
            day = date_of(moment.start_seconds, self.context.zone)
            held = _held(catalogue, path, moment)
            whole = path in share.folders
            agreed = service in self.context.lookup.rewinds((share,), visit.now)
            self.context.record(visit, "saw-folder", service=service, path=path, archive=moment.archive)
            return self.context.web_app.render(
                visit,
                "folder.html",
                share=share,
                path=path,
                whole=whole,
                replaces=agreed or not whole,
                moment=moment,
                moments=known[day],
                around=around(sorted(known), day),
                was_there=held is not None,
                children=(held or ())[:SHOWN_MAX],
                standing=self.context.standing(seen, share),
                more=max(0, len(held or ()) - SHOWN_MAX),
            )


def _newest_with(seen: Seen, service: str, path: str) -> Moment:
    """The last moment at which the folder was there; raise for one that never was, or not for who asks."""
    found = (it for it in find_versions(seen.catalogues, seen.scope, service, path) if it.kind == "folder")
    newest = next(found, None)
    if newest is None:
        raise PageFailure(404)
    return seen.moment(service, newest.archive)


def _last_of(known: Mapping[date, Sequence[Moment]], wanted: date) -> Moment:
    """The last moment of the wanted day, of the last before it that has any, or of the first after."""
    earlier = [day for day in known if day <= wanted]
    return known[max(earlier) if earlier else min(known)][-1]


def _held(catalogue: sqlite3.Connection, path: str, moment: Moment) -> tuple[Child, ...] | None:
    """None where the folder was not there at that moment."""
    try:
        return children(catalogue, path, moment.archive)
    except NotFound:
        return None


def around(known: Sequence[date], day: date) -> Days:
    """The calendar of the month of `day`; `known` are the days with versions, in their order."""
    at = known.index(day)
    first = day.replace(day=1)
    next_month = date(day.year + day.month // 12, day.month % 12 + 1, 1)
    later = bisect_left(known, next_month)
    return Days(
        day=day,
        before=known[at - 1] if at else None,
        after=known[at + 1] if at + 1 < len(known) else None,
        weeks=_weeks(day, set(known)),
        month_before=next((it for it in reversed(known) if it < first), None),
        month_after=known[later] if later < len(known) else None,
    )


def _weeks(day: date, known: Collection[date]) -> tuple[tuple[tuple[date, bool], ...], ...]:
    weeks = calendar.Calendar().monthdatescalendar(day.year, day.month)
    return tuple(tuple((it, it in known) for it in week) for week in weeks)
