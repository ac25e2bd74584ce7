"""The restore requests of people in the portal, carried out on this node: from which copy, in which shares, by which
acts."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from appliance.backup.peers.openable import open_best
from appliance.backup.writer.filling import filling_of, lacking_of
from appliance.borg.client import Borg
from appliance.borg.contents import Contents
from appliance.borg.model import Progress
from appliance.borg.names import time_of
from appliance.errors import Busy, IntegrityError, NotFound
from appliance.node.acts import load_acts
from appliance.node.handle import Node
from appliance.restore.fill import Fill
from appliance.restore.process import RestoreEnv, no_raw, process
from appliance.restore.request import RestoreRequest, Status, all_requests, untaken
from appliance.restore.request_intake import take
from appliance.restore.schema import read_catalogue
from appliance.restore.search import contents_of_all
from appliance.restore.undo_request import UndoRequest, undo_requests_of
from appliance.territory.implicit import openable
from appliance.trust.act import Act

PLACE_OF_PATHS = Path("/")  # archives hold absolute names without their first slash


@dataclass(frozen=True)
class Processed:
    service: str
    request: RestoreRequest
    status: Status


def environment_of(node: Node, service: str) -> RestoreEnv:
    """Where orders of `service` are carried out; raise Refused on a node that the service does not trust."""
    layout, of = node.service(service), node.bundle.terms(service).service
    return RestoreEnv(
        requests=layout.requests,
        restores=layout.restores,
        live=PLACE_OF_PATHS,
        shares=of.paths,
        may_replace=rewind_act(node, service) is not None,
        zone=ZoneInfo(node.bundle.territory.timezone),
        open_borg=partial(_open, node, service),
        known=partial(_known, layout.catalogue),
        fills=partial(_fills, service),
        raw=partial(_raw, service) if of.kind == "sqlite" else no_raw,
    )


def rewind_act(node: Node, service: str) -> Act | None:
    """The act in force, accepted here, that lets a whole share of `service` be replaced; of several that ends last."""
    return _longest(load_acts(node.layout.acts, node.bundle, "rewind"), service, node.clock.now())


def rewinds_until(node: Node) -> dict[str, float]:
    """Until when, UTC seconds, acts in force let a whole share of each service be replaced; no others are named."""
    acts, now = load_acts(node.layout.acts, node.bundle, "rewind"), node.clock.now()
    found = (_longest(acts, service, now) for service in {act.subject for act in acts})
    return {it.subject: it.end for it in found if it is not None}


def _longest(acts: Iterable[Act], service: str, now: float) -> Act | None:
    in_force = [act for act in acts if act.concerns("rewind", service, service, now)]
    return max(in_force, key=lambda act: act.end) if in_force else None


def waiting(node: Node) -> tuple[tuple[str, RestoreRequest], ...]:
    """(service, order) of all that waits or was cut on this node, the oldest first."""
    found = [
        (service, request)
        for service in _services(node)
        for request, status in all_requests(node.layout.requests(service))
        if status.state in ("waiting", "running")
    ]
    return tuple(sorted(found, key=lambda it: it[1].created_utc_seconds))


def to_undo(node: Node) -> tuple[tuple[str, UndoRequest], ...]:
    """(service, what to undo) of all that somebody wants undone."""
    return tuple(
        (service, undo) for service in _services(node) for undo in undo_requests_of(node.layout.requests(service))
    )


def _services(node: Node) -> tuple[str, ...]:
    """By the bundle, and by no name of a folder that the pages made."""
    return openable(node.bundle.territory, node.name)


def process_waiting(node: Node) -> Iterator[Processed]:
    """Undo what is to be undone and carry out what waits; what another process is at is left to it."""
    take_all(node)
    for service, undo in to_undo(node):
        with contextlib.suppress(Busy):
            request, status = undo.process(environment_of(node, service), age_seconds=node.ageing.now())
            yield Processed(service, request, status)
    for service, request in waiting(node):
        with contextlib.suppress(Busy):
            yield Processed(service, request, _carry(node, service, request))


def take_all(node: Node) -> None:
    """Take up what was asked; what no page of ours writes is journalled, once for each order."""
    for service in _services(node):
        for folder in untaken(node.service(service).requests):
            try:
                take(folder, age_seconds=node.ageing.now())
            except IntegrityError as error:
                node.journal.write("order-refused", service=service, order=folder.name, error=error.what)
            except (Busy, NotFound):
                continue


def _carry(node: Node, service: str, request: RestoreRequest) -> Status:
    status = process(environment_of(node, service), request.id, now=node.clock.now(), age_seconds=node.ageing.now())
    if status.state == "ready":
        in_place = request.kind != "download"
        node.journal.write("restored", service=service, job=status.job, entries=status.entries, in_place=in_place)
    return status


def _open(node: Node, service: str, on_progress: Callable[[Progress], None] | None) -> Borg:
    return Borg(open_best(node, service).repository, on_progress)


def _fills(service: str, borg: Borg, request: RestoreRequest) -> tuple[Fill, ...]:
    return filling_of(borg, service, request.archive, *request.paths).fills


def _raw(service: str, borg: Borg, request: RestoreRequest) -> tuple[tuple[str, str], ...]:
    found = lacking_of(borg, service, request.archive, *request.paths).raw
    return tuple((it.path.strip("/"), str(time_of(it.copied)) if it.copied else "") for it in found)


def _known(catalogue: Path, request: RestoreRequest) -> Contents | None:
    try:
        with contextlib.closing(read_catalogue(catalogue)) as connection:
            return contents_of_all(connection, request.archive, request.paths)
    except NotFound:
        return None
