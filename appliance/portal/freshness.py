"""When the last safe copy of a share was made, as those who hold it have signed.

At the writer the receipts are its own memory's. A standby has its own, and the last one that each other holder showed;
by these it also dates what was safe before it took the service over itself.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from dataclasses import replace
from itertools import islice

from appliance.agent.memory import Memory
from appliance.agent.observe import Observer, now_of
from appliance.agent.observe_safety import SAFE_SEARCH_MAX
from appliance.backup.peers.counted import Safety
from appliance.backup.peers.exchange import shown_receipts
from appliance.backup.peers.safety import judge
from appliance.backup.still.heard import heard
from appliance.backup.still.words import as_of
from appliance.backup.vault.evidence import read_stored_header
from appliance.backup.vault.replicas import replica_of
from appliance.backup.vault.stored_grants import stored_grant
from appliance.clock import utc_seconds
from appliance.errors import ApplianceError
from appliance.monitor.view import Held, Missing, View
from appliance.node.handle import Node
from appliance.portal.copies_age import Freshness
from appliance.trust.generation import Header


def freshness(node: Node, services: tuple[str, ...]) -> dict[str, Freshness]:
    """Return what is known here of each of `services`; nobody is asked. A service of which something is corrupt is left
    out."""
    view = Observer().look(node, now_of(node), Memory(), thorough=True)
    found = {}
    for service in services:
        with contextlib.suppress(ApplianceError):
            if known := _of(node, view, service):
                found[service] = replace(known, databases=node.bundle.terms(service).service.kind == "sqlite")
    return found


def _of(node: Node, view: View, service: str) -> Freshness | None:
    held = next((it for it in view.held if it.service == service), None)
    for written in view.written:
        if written.service == service and written.ours:
            safe = written.safe_newest.as_of if written.safe_newest else _held_safe_seconds(node, held)
            safety = written.safety
            found = Freshness(safe, len(safety.counted), safety.promised, written.rpo_seconds)
            without = tuple((it.path, float(it.since), float(it.on)) for it in written.accepted)
            return replace(found, whole=safety.whole, partial=_pairs(written.partial), without=without)
    return _of_held(node, held) if held else None


def _held_safe_seconds(node: Node, held: Held | None) -> float | None:
    """When the newest copy was made that was safe before this node wrote the service: its chain has none of those
    receipts, its vault has its own and the others'."""
    found = _of_held(node, held) if held else None
    return found.safe_seconds if found else None


def _of_held(node: Node, held: Held) -> Freshness | None:
    if held.newest is None:
        return None
    replica = replica_of(node, held.service)
    shown, bound = shown_receipts(node, held.service), node.bundle.terms(held.service).replica_nodes

    def safety_of(name: str, epoch: int) -> Safety:
        writer = stored_grant(replica, node.bundle, epoch).writer
        holders = {node.name, *_holding(shown, name, bound)}
        whole = read_stored_header(node, replica, name).whole
        return judge(node.bundle, held.service, writer, holders, held.lost, whole=whole)

    newest = safety_of(held.newest.name, held.newest.epoch)
    older = (it for it in islice(replica.newest_first(), SAFE_SEARCH_MAX) if it.held)
    safe = held.newest.name if newest.safe else next((it.name for it in older if safety_of(it.name, it.epoch).safe), "")
    safe_seconds = _as_of(node, held, read_stored_header(node, replica, safe)) if safe else None
    found = Freshness(safe_seconds, len(newest.counted), newest.promised, held.rpo_seconds)
    return replace(found, whole=newest.whole, partial=_pairs(held.partial))


def _as_of(node: Node, held: Held, header: Header) -> float:
    """The moment of which the generation of `header` holds the state, by what its writer and holders signed since."""
    writer = stored_grant(replica_of(node, held.service), node.bundle, header.epoch).writer
    words, now = heard(node, held.service), node.clock.now()
    still = as_of(node.bundle, held.service, writer, header.id, words, held.lost, now)
    return max(utc_seconds(header.time), still)


def _pairs(partial: tuple[Missing, ...]) -> tuple[tuple[str, float | None], ...]:
    return tuple((it.path, it.last) for it in partial)


def _holding(shown: Mapping[str, str], generation: str, bound: Collection[str]) -> tuple[str, ...]:
    """The peers whose receipt shows that they hold `generation`: that one, or a later one of the same epoch. The nodes
    `bound` to hold the service all along have that of an earlier epoch too; a spare may have begun with its own."""
    epoch = generation.split(".")[0]
    later = {peer for peer, newest in shown.items() if newest >= generation}
    return tuple(peer for peer in later if peer in bound or shown[peer].startswith(f"{epoch}."))
