"""Restore requests become orders, and only the person who made an order finds it again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from appliance.errors import NotFound
from appliance.portal.base.failures import PageFailure
from appliance.portal.base.forms import unquoted
from appliance.portal.base.web_app import Visit
from appliance.portal.page_context import PageContext, Seen
from appliance.portal.shares import Share
from appliance.restore.ended import clear_ended
from appliance.restore.request import (
    Kind,
    RestoreRequest,
    Status,
    all_requests,
    load_request,
    place_request,
    request_folder,
    shown_status,
)

WORDS_MAX = 16_384
WAITING_MAX = 100
"""The waiting requests of one person, in all shares: each is a file that waits for the worker, and every page that
lists them reads all."""


@dataclass(frozen=True)
class Wanted:
    """One path of one archive."""

    service: str
    archive: str
    path: str


@dataclass(frozen=True)
class Placed:
    """An order and how far it is; `share` is the one that it is about."""

    order: RestoreRequest
    status: Status
    share: Share


def read_wanted(words: str) -> Wanted:
    """An item as our forms write it: service, archive and path, each percent-encoded."""
    parts = words.split(" ")
    if len(parts) != 3 or len(words) > WORDS_MAX:
        raise PageFailure(400)
    return Wanted(*map(unquoted, parts))


def place(context: PageContext, visit: Visit, seen: Seen, kind: Kind, wanted: set[Wanted]) -> list[RestoreRequest]:
    """Orders for `wanted`, one for each archive and folder of a share; nothing is ordered when one is out of scope,
    or when too much of what this person asked for waits already."""
    for item in wanted:
        seen.scope.check(item.service, item.path)
        seen.moment(item.service, item.archive)

    def together(item: Wanted) -> tuple[str, str, str]:
        return item.service, item.archive, _root(seen.shares[item.service], item.path)

    ordered = sorted(wanted, key=lambda item: (*together(item), item.path))
    orders = [list(group) for _, group in groupby(ordered, key=together)]
    if len(orders) + sum(it.status.state in ("waiting", "running") for it in own(context, visit, seen)) > WAITING_MAX:
        raise PageFailure(429)
    return [_place(context, visit, seen, kind, group) for group in orders]


def find(context: PageContext, visit: Visit, seen: Seen, name: str) -> Placed:
    """The order `name`; raise PageFailure alike for one that is somebody else's and one that is not there."""
    for service, share in seen.shares.items():
        try:
            folder = request_folder(context.lookup.requests(service), name)
        except NotFound:
            continue
        request = load_request(folder)
        if request.person == visit.person.name:
            return Placed(request, shown_status(folder), share)
    raise PageFailure(404)


def own(context: PageContext, visit: Visit, seen: Seen) -> Iterator[Placed]:
    """All orders of who visits, within what this person sees now."""
    for service, share in seen.shares.items():
        for request, status in all_requests(context.lookup.requests(service)):
            if request.person == visit.person.name:
                yield Placed(request, status, share)


def _place(context: PageContext, visit: Visit, seen: Seen, kind: Kind, wanted: list[Wanted]) -> RestoreRequest:
    service, archive = wanted[0].service, wanted[0].archive
    paths = tuple(item.path for item in wanted)

    def tell(request: RestoreRequest) -> None:
        context.record(visit, "asked", service=service, order=request.id, kind=kind, archive=archive, paths=paths)

    clear_ended(context.lookup.requests(service))
    return place_request(
        context.lookup.requests(service),
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
