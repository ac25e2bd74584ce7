"""A folder as it was on a day: a calendar, arrows to the day before and after, and what it held."""

from __future__ import annotations

import calendar
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from starlette.responses import Response
from starlette.routing import Route

from appliance.portal.base.failures import PageFailure
from appliance.portal.base.site import Visit
from appliance.portal.desk import Desk, chosen_day
from appliance.restore.browse import children, days, moments

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
    desk: Desk

    def routes(self) -> Iterable[Route]:
        yield self.desk.site.page("/dossier/{service}", self.show)

    def show(self, visit: Visit) -> Response:
        service = visit.parameters["service"]
        with self.desk.seen(visit) as seen:
            share, catalogue = seen.one(service)
            path = visit.query.path("chemin") or share.folders[0]
            seen.scope.check(service, path)
            known = days(moments(catalogue), self.desk.zone)
            if not known:
                raise PageFailure(404)
            day = _nearest(sorted(known), chosen_day(visit.query.text("jour")))
            moment = _at(known[day], visit.query.number("version", len(known[day])))
            held = children(catalogue, path, moment.archive)
            whole = path in share.folders
            agreed = service in self.desk.lookup.rewinds((share,), visit.now)
            self.desk.record(visit, "saw-folder", service=service, path=path, archive=moment.archive)
            return self.desk.site.render(
                visit,
                "folder.html",
                share=share,
                path=path,
                whole=whole,
                replaces=agreed or not whole,
                moment=moment,
                moments=known[day],
                around=around(sorted(known), day),
                children=held[:SHOWN_MAX],
                standing=self.desk.lookup.standing(share, catalogue),
                more=max(0, len(held) - SHOWN_MAX),
            )


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


def _nearest(known: Sequence[date], wanted: date | None) -> date:
    """The wanted day, or the last before it with a version, or the first after; without a wish the last of all."""
    if wanted is None:
        return known[-1]
    return known[max(0, bisect_right(known, wanted) - 1)]


def _at[Thing](found: Sequence[Thing], number: int) -> Thing:
    if not 1 <= number <= len(found):
        raise PageFailure(404)
    return found[number - 1]
