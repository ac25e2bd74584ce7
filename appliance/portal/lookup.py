"""The catalogues in which the pages look things up, kept current by the worker. They are read and never written."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from appliance.host.layout import NodeLayout, RequestFolders
from appliance.portal.base.person import Person
from appliance.portal.copies_age import Freshness
from appliance.portal.opened import Opened, load
from appliance.portal.paths import PortalPaths
from appliance.portal.shares import Share, shares_of
from appliance.restore.schema import read_catalogue
from appliance.territory.model import Territory
from appliance.trust.identity import load_territory


@dataclass(frozen=True)
class Standing:
    """How a share is: `oldest` and `newest` are the first and last moment that one can go back to, UTC seconds."""

    fresh: Freshness | None
    oldest: float | None
    newest: float | None


@dataclass(frozen=True)
class Lookup:
    """The services of the node whose folder is `layout`."""

    layout: NodeLayout

    @property
    def paths(self) -> PortalPaths:
        return PortalPaths.of(self.layout)

    def requests(self, service: str) -> RequestFolders:
        """Where pages write down what is wanted of `service`, and where they read how far it is."""
        return self.layout.service(service).requests

    def territory(self) -> tuple[str, Territory]:
        """The name of this node, and the territory by its newest bundle."""
        bundle = self.layout.bundle.stat()
        return _territory(self.layout, (bundle.st_ino, bundle.st_mtime_ns))

    def shares(self, person: Person) -> tuple[Share, ...]:
        """The shares that `person` sees and that the worker could open at least once."""
        node, territory = self.territory()
        opened = self._opened()
        return tuple(share for share in shares_of(territory, node, person) if share.service in opened)

    @contextlib.contextmanager
    def catalogues(self, shares: Iterable[Share]) -> Iterator[dict[str, sqlite3.Connection]]:
        """The catalogues of `shares`, by service."""
        opened = self._opened()
        with contextlib.ExitStack() as stack:
            yield {
                share.service: stack.enter_context(contextlib.closing(read_catalogue(opened[share.service].catalogue)))
                for share in shares
            }

    def standing(self, share: Share, catalogue: sqlite3.Connection) -> Standing:
        query = "SELECT min(start), max(start) FROM archive WHERE kept"
        oldest, newest = catalogue.execute(query).fetchone()
        return Standing(self._opened()[share.service].fresh, oldest, newest)

    def rewinds(self, shares: Iterable[Share], now: float) -> dict[str, float]:
        """Until when each of `shares` may be replaced whole, UTC seconds, by service; those that may not are absent."""
        opened = self._opened()
        found = {share.service: opened[share.service].rewinds_until for share in shares}
        return {service: until for service, until in found.items() if until > now}

    def _opened(self) -> Mapping[str, Opened]:
        return load(self.paths.opened)


@lru_cache(maxsize=4)
def _territory(layout: NodeLayout, bundle: tuple[int, int]) -> tuple[str, Territory]:
    """Read once for each bundle, which is replaced and never changed: its signature takes longer than a page."""
    identity, found = load_territory(layout)
    return identity.name, found.territory
