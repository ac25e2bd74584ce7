"""What people asked for in the portal, carried out on this node: from which copy, in which shares, by which acts."""

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
from appliance.restore.carry import Ground, carry_out, no_raw
from appliance.restore.fill import Fill
from appliance.restore.order import Order, Status, all_orders, untaken
from appliance.restore.schema import read_catalogue
from appliance.restore.search import contents_of_all
from appliance.restore.taking import take
from appliance.restore.undoing import Undoing, asked_of
from appliance.territory.implicit import openable
from appliance.trust.act import Act

PLACE_OF_PATHS = Path("/")  # archives hold absolute names without their first slash


@dataclass(frozen=True)
class Carried:
    service: str
    order: Order
    status: Status


def ground_of(node: Node, service: str) -> Ground:
    """Where orders of `service` are carried out; raise Refused on a node that the service does not trust."""
    layout, of = node.service(service), node.bundle.terms(service).service
    return Ground(
        orders=layout.orders,
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


def waiting(node: Node) -> tuple[tuple[str, Order], ...]:
    """(service, order) of all that waits or was cut on this node, the oldest first."""
    found = [
        (service, order)
        for service in _services(node)
        for order, status in all_orders(node.layout.orders(service))
        if status.state in ("waiting", "running")
    ]
    return tuple(sorted(found, key=lambda it: it[1].created_utc_seconds))


def to_undo(node: Node) -> tuple[tuple[str, Undoing], ...]:
    """(service, what to undo) of all that somebody wants undone."""
    return tuple((service, undoing) for service in _services(node) for undoing in asked_of(node.layout.orders(service)))


def _services(node: Node) -> tuple[str, ...]:
    """By the bundle, and by no name of a folder that the pages made."""
    return openable(node.bundle.territory, node.name)


def carry_out_waiting(node: Node) -> Iterator[Carried]:
    """Undo what is to be undone and carry out what waits; what another process is at is left to it."""
    take_all(node)
    for service, undoing in to_undo(node):
        with contextlib.suppress(Busy):
            order, status = undoing.carry_out(ground_of(node, service), age_seconds=node.ageing.now())
            yield Carried(service, order, status)
    for service, order in waiting(node):
        with contextlib.suppress(Busy):
            yield Carried(service, order, _carry(node, service, order))


def take_all(node: Node) -> None:
    """Take up what was asked; what no page of ours writes is journalled, once for each order."""
    for service in _services(node):
        for folder in untaken(node.service(service).orders):
            try:
                take(folder, age_seconds=node.ageing.now())
            except IntegrityError as error:
                node.journal.write("order-refused", service=service, order=folder.name, error=error.what)
            except (Busy, NotFound):
                continue


def _carry(node: Node, service: str, order: Order) -> Status:
    status = carry_out(ground_of(node, service), order.id, now=node.clock.now(), age_seconds=node.ageing.now())
    if status.state == "ready":
        in_place = order.kind != "download"
        node.journal.write("restored", service=service, job=status.job, entries=status.entries, in_place=in_place)
    return status


def _open(node: Node, service: str, on_progress: Callable[[Progress], None] | None) -> Borg:
    return Borg(open_best(node, service).repository, on_progress)


def _fills(service: str, borg: Borg, order: Order) -> tuple[Fill, ...]:
    return filling_of(borg, service, order.archive, *order.paths).fills


def _raw(service: str, borg: Borg, order: Order) -> tuple[tuple[str, str], ...]:
    found = lacking_of(borg, service, order.archive, *order.paths).raw
    return tuple((it.path.strip("/"), str(time_of(it.copied)) if it.copied else "") for it in found)


def _known(catalogue: Path, order: Order) -> Contents | None:
    try:
        with contextlib.closing(read_catalogue(catalogue)) as connection:
            return contents_of_all(connection, order.archive, order.paths)
    except NotFound:
        return None
