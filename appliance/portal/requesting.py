"""What somebody wants back becomes orders, and orders are found again by whoever asked for them alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from appliance.errors import NotFound
from appliance.portal.base.failures import PageFailure
from appliance.portal.base.forms import unquoted
from appliance.portal.base.site import Visit
from appliance.portal.desk import Desk, Seen
from appliance.portal.shares import Share
from appliance.restore.ended import clear_ended
from appliance.restore.order import (
    Kind,
    Order,
    Status,
    all_orders,
    load_order,
    order_folder,
    place_order,
    shown_status,
)

WORDS_MAX = 16_384
WAITING_MAX = 100
"""Of one person, in all shares: each is a file that waits for the worker, and every page that lists them reads all."""


@dataclass(frozen=True)
class Wish:
    """One path of one archive."""

    service: str
    archive: str
    path: str


@dataclass(frozen=True)
class Placed:
    """An order and how far it is; `share` is the one that it is about."""

    order: Order
    status: Status
    share: Share


def read_wish(words: str) -> Wish:
    """A wish as our forms write it: service, archive and path, each percent-encoded."""
    parts = words.split(" ")
    if len(parts) != 3 or len(words) > WORDS_MAX:
        raise PageFailure(400)
    return Wish(*map(unquoted, parts))


def place(desk: Desk, visit: Visit, seen: Seen, kind: Kind, wishes: set[Wish]) -> list[Order]:
    """Orders for `wishes`, one for each archive and folder of a share; nothing is ordered when one is out of scope,
    or when too much of what this person asked for waits already."""
    for wish in wishes:
        seen.scope.check(wish.service, wish.path)
        seen.moment(wish.service, wish.archive)

    def together(wish: Wish) -> tuple[str, str, str]:
        return wish.service, wish.archive, _root(seen.shares[wish.service], wish.path)

    ordered = sorted(wishes, key=lambda wish: (*together(wish), wish.path))
    orders = [list(group) for _, group in groupby(ordered, key=together)]
    if len(orders) + sum(it.status.state in ("waiting", "running") for it in own(desk, visit, seen)) > WAITING_MAX:
        raise PageFailure(429)
    return [_place(desk, visit, seen, kind, group) for group in orders]


def find(desk: Desk, visit: Visit, seen: Seen, name: str) -> Placed:
    """The order `name`; raise PageFailure alike for one that is somebody else's and one that is not there."""
    for service, share in seen.shares.items():
        try:
            folder = order_folder(desk.lookup.orders(service), name)
        except NotFound:
            continue
        order = load_order(folder)
        if order.person == visit.person.name:
            return Placed(order, shown_status(folder), share)
    raise PageFailure(404)


def own(desk: Desk, visit: Visit, seen: Seen) -> Iterator[Placed]:
    """All orders of who visits, within what this person sees now."""
    for service, share in seen.shares.items():
        for order, status in all_orders(desk.lookup.orders(service)):
            if order.person == visit.person.name:
                yield Placed(order, status, share)


def _place(desk: Desk, visit: Visit, seen: Seen, kind: Kind, wishes: list[Wish]) -> Order:
    service, archive = wishes[0].service, wishes[0].archive
    paths = tuple(wish.path for wish in wishes)

    def tell(order: Order) -> None:
        desk.record(visit, "asked", service=service, order=order.id, kind=kind, archive=archive, paths=paths)

    clear_ended(desk.lookup.orders(service))
    return place_order(
        desk.lookup.orders(service),
        person=visit.person.name,
        service=service,
        kind=kind,
        archive=archive,
        moment_seconds=seen.moment(service, archive).start_seconds,
        paths=paths,
        share=_root(seen.shares[service], paths[0]),
        now=visit.now,
        tell=tell,
    )


def _root(share: Share, path: str) -> str:
    return next(folder for folder in share.folders if path == folder or path.startswith(f"{folder}/"))
