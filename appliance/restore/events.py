"""One event for each search, view and restore of somebody's: values, which the portal writes into its chained journal.

They name people and files, so they go nowhere else; the journal of the node has neither. What was searched for is told
as it was typed: a search is a look into names.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from appliance.restore.order import Order, Status

Act = Literal["searched", "listed", "viewed", "ordered", "downloaded", "restored", "failed", "undone"]
Value = str | int | tuple[str, ...]


@dataclass(frozen=True)
class Event:
    """`person` did `act` on `service` ("" for all in scope); `details` are what else has to be known later."""

    act: Act
    person: str
    service: str = ""
    details: dict[str, Value] = field(default_factory=dict)

    def fields(self) -> dict[str, Value]:
        """For a line of a journal."""
        return {"event": self.act, "person": self.person, "service": self.service, **self.details}


def searched(person: str, services: Iterable[str], term: str, hits: int) -> Event:
    return Event("searched", person, details={"services": tuple(sorted(services)), "term": term, "hits": hits})


def listed(person: str, service: str, what: Literal["folder", "deleted", "attack"], path: str = "") -> Event:
    """A folder as it was on a day, what was deleted, or what an attack hit."""
    return Event("listed", person, service, {"what": what, "path": path})


def viewed(person: str, service: str, path: str, archive: str) -> Event:
    """A version was looked into, or compared with another."""
    return Event("viewed", person, service, {"path": path, "archive": archive})


def ordered(order: Order) -> Event:
    return Event("ordered", order.person, order.service, _of(order))


def downloaded(order: Order, person: str) -> Event:
    """The result left the portal; `person` is who took it."""
    return Event("downloaded", person, order.service, _of(order))


def ended(order: Order, status: Status) -> Event:
    """How the order ended: "restored", "failed" with its cause, or "undone"."""
    details = {**_of(order), "job": status.job, "entries": status.entries, "bytes": status.size}
    if status.state == "failed":
        return Event("failed", order.person, order.service, {**details, "cause": status.cause})
    return Event("undone" if status.state == "undone" else "restored", order.person, order.service, details)


def _of(order: Order) -> dict[str, Value]:
    return {"order": order.id, "kind": order.kind, "archive": order.archive, "paths": order.paths}
