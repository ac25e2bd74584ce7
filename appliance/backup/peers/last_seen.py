"""The nodes of a service that this node has seen, its statements about those it has not, and the statements of others.

    sight/SERVICE         when each node of the service last answered or pushed, by this node's ageing clock; the
                          statements
    sight/SERVICE.heard   when each last did so, of those that ever did: it ends an act `lost`

It is apart from what is held: an origin, which holds nothing, observes too. Statements are signed again whenever heads
are exchanged and shown with the own head, so each party has them all, and hands them to a spare with a relay.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance.backup.peers.absence_rule import ABSENT_SECONDS, is_fresh, parties, proven_absent
from appliance.backup.peers.targets import Target, lost_nodes, targets
from appliance.backup.vault.evidence import read_own_receipt
from appliance.backup.vault.replicas import replica_of
from appliance.backup.vault.store import RELAY
from appliance.backup.vault.stored_grants import stored_grant
from appliance.clock import utc_seconds, utc_text
from appliance.errors import ApplianceError
from appliance.host.files import make_private_folder
from appliance.host.records import Record
from appliance.node.acts import load_acts
from appliance.node.handle import Node
from appliance.trust.absence import Absence, make_absence, read_absence
from appliance.trust.act import Act
from appliance.trust.keys import load_key

STATEMENTS_MAX = 64


@dataclass(frozen=True)
class Seen:
    """When somebody last answered: `age` by this node's ageing clock, `time` UTC for people."""

    age: int
    time: str


@dataclass(frozen=True)
class LastSeen:
    """`statements` are raw documents, own ones and those of others.

    Raise ValueError for text that UTF-8 cannot encode.
    """

    seen: Mapping[str, Seen]
    statements: tuple[str, ...]

    def __post_init__(self) -> None:
        "".join(self.statements).encode()


LAST_SEEN = Record(LastSeen, mode=0o644)
"""The vault shows it with its head."""


HEARD = Record(dict[str, Seen], mode=0o644)
"""Apart from what was seen, where a node counts as seen as soon as it is watched: that is no sign of life."""


def record(node: Node, service: str, answers: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """Remember the nodes that answered now, with the statements that each showed; sign again; return the nodes that are
    unseen by the rule."""
    before = load_last_seen(node, service)
    seen = _seen(node, service, before, answers)
    own = _own_statements(node, service, seen)
    _note_heard(node, service, {**_pushed(node, service), **{name: seen[name] for name in answers if name in seen}})
    _save(node, service, LastSeen(seen, (*own.values(), *_learned(node, service, before, answers))))
    _tell(node, service, _stated(node, service, before), own, seen)
    return absent_nodes(node, service)


def _learned(node: Node, service: str, before: LastSeen, answers: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The newest word of each other observer about each; who answered has taken back what it no longer shows."""
    raws = (*before.statements, *(raw for shown in answers.values() for raw in shown[:STATEMENTS_MAX]))
    newest: dict[tuple[str, str], str] = {}
    for it in sorted(read_statements(node, service, raws), key=lambda it: it.said_at):
        raw = it.document.raw.decode()
        if it.observer != node.name and raw in answers.get(it.observer, (raw,)):
            newest[it.observer, it.absent] = raw
    return tuple(newest.values())


def absent_nodes(node: Node, service: str) -> frozenset[str]:
    """Return the nodes of the service that all others have not seen for 14 days, as far as this node has heard."""
    statements = read_statements(node, service, load_last_seen(node, service).statements)
    return proven_absent(parties(node.bundle.terms(service)), statements, service, node.clock.now())


def read_statements(node: Node, service: str, raws: Iterable[str]) -> tuple[Absence, ...]:
    """Those of `raws` that are fresh statements about `service` by nodes of this bundle; the others prove nothing."""
    found = []
    for raw in raws:
        with contextlib.suppress(ApplianceError):
            statement = read_absence(raw.encode(), node.bundle.signing_keys)
            if statement.service == service and is_fresh(statement, node.clock.now()):
                found.append(statement)
    return tuple(found)


def load_last_seen(node: Node, service: str) -> LastSeen:
    """Return what was seen; nothing when it cannot be read, and the 14 days start over."""
    return LAST_SEEN.load_or(_path(node, service), LastSeen({}, ()))


def _seen(node: Node, service: str, before: LastSeen, answers: Mapping[str, object]) -> dict[str, Seen]:
    """Each other party's last sign of life; a node that is watched for the first time counts as seen now."""
    now = Seen(node.ageing.now(), utc_text(node.clock.now()))
    seen = {}
    for name in sorted(parties(node.bundle.terms(service)) - {node.name}):
        known = before.seen.get(name, now)
        seen[name] = now if name in answers or known.age > now.age else known
    for name, last in _pushed(node, service).items():
        if name in seen and seen[name].age < last.age <= now.age:
            seen[name] = last
    return seen


def _pushed(node: Node, service: str) -> dict[str, Seen]:
    """The writer of the newest generation here, which brought it itself: its own vault may be closed to us."""
    replica = replica_of(node, service)
    newest = replica.newest_held()
    if newest is None or replica.path(newest.name, RELAY).exists():
        return {}
    try:
        receipt = read_own_receipt(node, replica, newest.name)
        writer = stored_grant(replica, node.bundle, newest.epoch).writer
    except ApplianceError:
        return {}  # the scrub reports it; who answers us is seen all the same
    return {writer: Seen(receipt.age_seconds, receipt.time)}


def _note_heard(node: Node, service: str, heard: Mapping[str, Seen]) -> None:
    path = make_private_folder(_path(node, service).parent) / f"{service}.heard"
    before = HEARD.load_or(path, {})
    newer = {name: it for name, it in heard.items() if name not in before or before[name].age < it.age}
    if newer:
        HEARD.save(path, before | newer)


def heard_times(node: Node, service: str) -> dict[str, float]:
    """When each other node of `service` last answered this one or pushed to it, UTC seconds; nobody's word, and no
    later than either clock of this node says: the wall clock may have been ahead then."""
    now, age, found = node.clock.now(), node.ageing.now(), dict[str, float]()
    for name, it in HEARD.load_or(_path(node, service).with_name(f"{service}.heard"), {}).items():
        with contextlib.suppress(ValueError):
            found[name] = min(utc_seconds(it.time), now - max(0, age - it.age))
    return found


def declared_lost(node: Node, service: str, acts: Iterable[Act]) -> frozenset[str]:
    """The nodes that `acts`, kept here, say are lost for `service` and that this node did not hear since."""
    lost = [it for it in acts if it.act == "lost"]
    return lost_nodes(lost, service, node.clock.now(), heard_times(node, service)) if lost else frozenset()


def _own_statements(node: Node, service: str, seen: Mapping[str, Seen]) -> dict[str, str]:
    """Return the present statements of this node, by the node it misses; a node that is no party has nothing to
    state."""
    if node.name not in parties(node.bundle.terms(service)):
        return {}
    age, time = node.ageing.now(), utc_text(node.clock.now())
    return {
        name: make_absence(
            load_key(node.signing_key),
            observer=node.name,
            absent=name,
            service=service,
            since=last.time,
            time=time,
            last_seen_age=age - last.age,
        ).decode()
        for name, last in seen.items()
        if age - last.age >= ABSENT_SECONDS
    }


def _stated(node: Node, service: str, last_seen: LastSeen) -> set[str]:
    """Return the nodes that this node itself stated to be absent."""
    return {it.absent for it in read_statements(node, service, last_seen.statements) if it.observer == node.name}


def _tell(node: Node, service: str, before: set[str], own: Mapping[str, str], seen: Mapping[str, Seen]) -> None:
    for name in sorted(own.keys() - before):
        node.journal.write("unseen", service=service, absent=name, since=seen[name].time)
    for name in sorted(before - own.keys()):
        node.journal.write("seen-again", service=service, absent=name)


def _save(node: Node, service: str, last_seen: LastSeen) -> None:
    path = _path(node, service)
    make_private_folder(path.parent)
    LAST_SEEN.save(path, last_seen)


def _path(node: Node, service: str) -> Path:
    return node.layout.last_seen / service


def lost_now(node: Node, service: str) -> frozenset[str]:
    """The nodes that acts in force here call lost, and those that were revoked."""
    acts = load_acts(node.layout.acts, node.bundle, "lost")
    return declared_lost(node, service, acts) | node.bundle.revoked_nodes


def current_targets(node: Node, service: str) -> tuple[Target, ...]:
    """Return the nodes that must hold what this node writes of `service`, by the bundle, the acts in force and the
    nodes that all others miss."""
    lost = lost_now(node, service)
    return targets(node.bundle, service, node.name, lost | absent_nodes(node, service))
