"""The context of every page of the portal: the site, the catalogues, and what the person who visits may see in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from appliance.portal.base.failures import PageFailure
from appliance.portal.base.web_app import Visit, WebApp
from appliance.portal.lookup import Lookup, Standing
from appliance.portal.shares import Share, scope_of
from appliance.restore.browse import Moment, moments
from appliance.restore.scope import Scope


@dataclass(frozen=True)
class Seen:
    """The shares and catalogues that one visit may see."""

    shares: dict[str, Share]
    scope: Scope
    catalogues: dict[str, sqlite3.Connection]

    def one(self, service: str) -> tuple[Share, sqlite3.Connection]:
        """The share and its catalogue; raise PageFailure alike for one that is not there and one that is not theirs."""
        if service not in self.shares:
            raise PageFailure(404)
        return self.shares[service], self.catalogues[service]

    def moment(self, service: str, archive: str) -> Moment:
        """The moment that `archive` was made at; raise PageFailure for a name that is none."""
        found = (it for it in moments(self.one(service)[1]) if it.archive == archive)
        moment = next(found, None)
        if moment is None:
            raise PageFailure(404)
        return moment


@dataclass(frozen=True)
class PageContext:
    web_app: WebApp
    lookup: Lookup

    @property
    def zone(self) -> ZoneInfo:
        return self.web_app.zone

    @contextmanager
    def seen(self, visit: Visit) -> Iterator[Seen]:
        """The shares and catalogues that `visit` may see; its right is checked before any of them is looked at."""
        shares = self.lookup.shares(visit.person)
        with self.lookup.catalogues(shares) as catalogues:
            yield Seen({share.service: share for share in shares}, scope_of(shares), catalogues)

    def standing(self, seen: Seen, share: Share) -> Standing:
        return self.lookup.standing(share, seen.catalogues[share.service])

    def standings(self, seen: Seen) -> list[tuple[Share, Standing]]:
        """How each share is that a visit may see."""
        return [(it, self.standing(seen, it)) for it in seen.shares.values()]

    def record(self, visit: Visit, event: str, **details: object) -> None:
        """Write down what `visit` is about to be shown, before it is."""
        self.web_app.journal.write(event, account=visit.person.name, address=visit.address, **details)


def chosen_day(text: str) -> date | None:
    """A day as addresses name it, 2026-11-24; None for none; raise PageFailure for anything else."""
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise PageFailure(400) from None
