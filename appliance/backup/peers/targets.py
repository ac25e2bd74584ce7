"""The nodes that must hold a service now: its replica nodes, and spares in order for those that are lost or write it.
Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from appliance.clock import SKEW_SECONDS_MAX
from appliance.trust.act import Act
from appliance.trust.bundle import Bundle
from appliance.trust.in_force import in_force


@dataclass(frozen=True)
class Target:
    """A node that must hold copies, and why."""

    node: str
    reason: str


def targets(bundle: Bundle, service: str, writer: str, lost: Collection[str]) -> tuple[Target, ...]:
    """Those to push to while `writer` writes and the nodes `lost` are gone, best first.

    Spares step in, in their order, until the promised number of distinct domains is reached; one that would share a
    domain with those there, or with the writer, is passed over.
    """
    terms = bundle.terms(service)
    gone = {writer, *lost}
    chosen = [Target(holder, "holder") for holder in terms.replica_nodes if holder not in gone]
    for spare in terms.spares:
        present = tuple(target.node for target in chosen)
        counted = len(bundle.counted(writer, present))
        if counted >= terms.service.copies:
            break
        if spare not in gone and len(bundle.counted(writer, (*present, spare))) > counted:
            chosen.append(Target(spare, f"spare, for {', '.join(sorted(gone & {*terms.replica_nodes, terms.origin}))}"))
    return tuple(chosen)


def lost_nodes(acts: Iterable[Act], service: str, now: float, heard: Mapping[str, float]) -> frozenset[str]:
    """The nodes that an act in force says are lost for `service`, and that did not answer since. `heard`: when each
    last answered this node itself, UTC seconds; the clock of the one who signed may be behind."""
    lost = (act for act in in_force(acts, now) if act.concerns("lost", act.subject, service, now))
    return frozenset(it.subject for it in lost if heard.get(it.subject, -math.inf) <= it.start + SKEW_SECONDS_MAX)
